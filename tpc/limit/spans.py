"""Where nodes stand in the program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node


def span_of(module: Module, node: Node | None) -> Any:
    """Return where a node stands in the program; derived nodes stand where their operands do."""
    todo: list[Node] = [] if node is None else [node]
    for each in _breadth(todo):
        if each in module.spans:
            return module.spans[each]
    return None


def _breadth(nodes: list[Node]) -> Iterable[Node]:
    seen = set(nodes)
    for node in nodes:  # grows while it is read
        yield node
        for operand in node.operands:
            if operand not in seen:
                seen.add(operand)
                nodes.append(operand)
