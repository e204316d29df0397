"""Several values of equal axes as one, along a new first axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType, finite
from tpc.ops.base import OpTypeError, require_real, same_batch, surface, values
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Stack(IndexMap):
    """``result[i] = operand_i``."""

    name = "stack"
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "stack")
        for position, operand in enumerate(operands):
            if operand.dims != operands[0].dims:
                raise OpTypeError(
                    f"`stack` takes values of equal axes: {operands[0]} and {operand}",
                    operand=position,
                )
        return TensorType((finite(len(operands)), *operands[0].dims), same_batch(operands))

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.index import index

        return tuple(index(cotangent, 0, position) for position in range(len(node.operands)))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.moves import stacked

        return stacked(left, right, modes, view)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        import numpy as np

        return np.stack(arrays, axis=lead)


STACK = Stack()


@surface(values("parts"), name="stack")
def stack_function(parts: tuple[Node, ...]) -> Node:
    """Put values of equal axes side by side along a new first axis.

    `stack(a, b)[1]` is `a`; `stack(s)` collects the members of a family, and
    `stack(f(h[t]) for t in 1..T)` those of a loop.
    """
    return stack(*parts)


def stack(*parts: Node) -> Node:
    """Return the parts along a new first axis.

    Raises:
        OpTypeError: there are none, or their axes differ.
    """
    if not parts:
        raise OpTypeError("`stack` of nothing", help="the range is empty: give it one member")
    return make(STACK, *parts)
