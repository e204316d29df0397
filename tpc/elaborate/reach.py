"""What a node depends on: walks that stop at the derivatives of inner steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tpc.ir.node import Node
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.ops.rate import RATE


def forward(root: Node, cut: Collection[Node] = ()) -> Iterator[Node]:
    """The nodes below ``root``, not entering inner gradients nor what stands in ``cut``."""
    seen: set[Node] = set()
    pending = [root]
    while pending:
        node = pending.pop()
        if node in seen or node in cut:
            continue
        seen.add(node)
        yield node
        if node.op is not RATE:
            pending.extend(node.operands)


def reads_data(node: Node) -> bool:
    """Whether an input is below ``node``."""
    return any(each.op is INPUT for each in forward(node))


def reads_weights(node: Node, cut: Collection[Node] = ()) -> bool:
    """Whether a param is below ``node`` other than through ``cut``."""
    return any(each.op is PARAM for each in forward(node, cut))


def weights(node: Node) -> set[str]:
    """Names of the params below ``node``."""
    return {each.attrs["name"] for each in forward(node) if each.op is PARAM}


def everything(roots: Collection[Node]) -> Iterator[Node]:
    """All nodes below ``roots``, inner gradients included."""
    seen: set[Node] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            yield node
            pending.extend(node.operands)
