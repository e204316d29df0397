"""The text form of a tree: one line a node, indented by depth, with its place."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction

from tpc.syntax import tree


def dump(program: tree.Node) -> str:
    """The tree as text, deterministic, ended by a line end."""
    lines: list[str] = []
    pending: list[tuple[tree.Node, int]] = [(program, 0)]
    while pending:
        node, depth = pending.pop()
        lines.append("  " * depth + _line(node))
        pending.extend((each, depth + 1) for each in reversed(list(tree.children(node))))
    return "\n".join(lines) + "\n"


def _line(node: tree.Node) -> str:
    words = [type(node).__name__]
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, (str, Fraction)) and each.name != "text":
            words.append(str(value))
    return f"{' '.join(words)}  @{node.span.line}:{node.span.column}"
