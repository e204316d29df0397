"""From text to a tree of frozen dataclasses, and the formatter."""

from tpc.syntax import tree
from tpc.syntax.parser import parse, parse_expression
from tpc.syntax.read import decode

__all__ = ["decode", "parse", "parse_expression", "tree"]
