"""How many multiplications and numbers in memory a contraction takes, at a nominal size.

A graph says neither how wide the network is nor how many samples a batch has, so decisions are
taken at a nominal width and batch. They change speed, never results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tpc.ops.contract import CONTRACT

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ir.types import TensorType

WIDTH = 256
BATCH = 16


def entries(type_: TensorType) -> int:
    """Return how many numbers a value holds."""
    count = BATCH if type_.batched else 1
    for dim in type_.dims:
        count *= dim.concrete(WIDTH)
    return count


def products(node: Node) -> int:
    """Return how many multiplications a contraction takes."""
    x, y = node.operands
    extents: dict[int, int] = {}
    for operand, labels in ((x, node.attrs["left"]), (y, node.attrs["right"])):
        extents |= {
            label: dim.concrete(WIDTH) for label, dim in zip(labels, operand.type.dims, strict=True)
        }
    count = BATCH if x.type.batched or y.type.batched else 1
    for extent in extents.values():
        count *= extent
    return count


def new_work(nodes: Iterable[Node], known: set[Node]) -> int:
    """Return the work of the nodes below ``nodes`` that are not ``known``.

    A contraction counts its multiplications, any other op the numbers that it writes.
    """
    total, seen, stack = 0, set(known), list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        total += products(node) if node.op is CONTRACT else entries(node.type)
        stack += node.operands
    return total


def expands(node: Node) -> bool:
    """Whether a contraction is an outer product for each sample: it writes more than it reads.

    A product with a weight that all samples share is left alone: others need it as it is.
    """
    if node.op is not CONTRACT or not all(operand.type.batched for operand in node.operands):
        return False
    return entries(node.type) > sum(entries(operand.type) for operand in node.operands)
