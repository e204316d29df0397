"""How tangents move through one op: the transpose of its vector-Jacobian product.

The cotangents of the operands are linear in that of the result; the gradient of this map, once
more, is the map from tangents of the operands to that of the result. So every op with a derivative
has a pushforward, those that mix samples too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.ir.node import walk
from tpc.ops.batch import batch_sum
from tpc.ops.input import input_
from tpc.ops.param import param

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ir.types import TensorType


@lru_cache(maxsize=4096)
def pushforward(node: Node, position: int) -> tuple[Node, tuple[Node, ...]] | None:
    """Return (leaf, order): the share of an operand in the tangent of a node.

    ``leaf`` stands for the operand's tangent. ``order`` are the nodes to evaluate, given the node,
    its operands and the leaf; the last one is the result (the leaf where there are none). It lacks
    the batch axis where it is the same for all samples. None: no derivative.

    Raises:
        tpc.ops.base.MissingRule: the op has no derivative.
    """
    cotangent = _leaf("cotangent", node.type)
    part = node.op.vjp(node, cotangent)[position]
    if part is None:
        return None
    operand = node.operands[position]
    if not operand.type.batched and (node.type.batched or part.type.batched):
        part = batch_sum(part)
    leaf = _leaf("tangent", operand.type)
    result = gradient(part, [cotangent], seed=leaf)[0]
    return leaf, _between(result, {node, leaf, *node.operands})


def _between(result: Node, given: set[Node]) -> tuple[Node, ...]:
    """Return the nodes to evaluate for a result, operands first."""
    wanted = {result} - given
    order = list(walk([result]))
    for node in reversed(order):
        if node in wanted:
            wanted.update(x for x in node.operands if x not in given)
    return tuple(node for node in order if node in wanted)


def _leaf(name: str, type_: TensorType) -> Node:
    """Return a leaf of a type, under a name that no program has."""
    return (input_ if type_.batched else param)(f"<{name}>", type_.dims)
