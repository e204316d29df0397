"""From text to a tree of frozen dataclasses, and the formatter."""

from tpc.syntax import tree
from tpc.syntax.dump import dump
from tpc.syntax.format import format_program
from tpc.syntax.parser import parse, parse_expression
from tpc.syntax.read import decode

__all__ = ["decode", "dump", "format_program", "parse", "parse_expression", "tree"]
