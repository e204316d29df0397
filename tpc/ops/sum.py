"""Sums over axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op, OpTypeError, require_real, surface, value
from tpc.ops.base import option
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir.node import Node


class Sum(Op):
    """``sum_i x_..i..`` over the axes in attribute ``axes`` (finite or width; a plain sum)."""

    name = "sum"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "sum")
        axes = attrs["axes"]
        if any(not 0 <= axis < x.rank for axis in axes):
            raise OpTypeError(f"axis {max(axes) + 1} of a value with {x.rank} axes", operand=0)
        kept = tuple(dim for axis, dim in enumerate(x.dims) if axis not in axes)
        return TensorType(kept, x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.repeat import repeat

        x = node.operands[0]
        return (repeat(cotangent, tuple((axis, x.type.dims[axis]) for axis in node.attrs["axes"])),)

    def evaluate(
        self, node: Node, arrays: Sequence[np.ndarray], context: EvalContext
    ) -> np.ndarray:
        shift = int(node.operands[0].type.batched)
        return arrays[0].sum(axis=tuple(axis + shift for axis in node.attrs["axes"]))


SUM = Sum()


def total(x: Node, axes: tuple[int, ...]) -> Node:
    """Return the sum of ``x`` over 0-based ``axes``; constants move out."""
    if not axes:
        return x
    if x.op is SCALE:
        return scale(total(x.operands[0], axes), x.attrs["coefficient"])
    return make(SUM, x, axes=tuple(sorted(axes)))


@surface(value("x"), option("axis", "axes"), name="sum")
def sum_function(x: Node, axis: tuple[int, ...] | None) -> Node:
    """Sum over one or several axes; over all of them without ``axis``.

    A sum over a width axis is a plain sum: it is n times the mean.
    """
    return total(x, tuple(range(x.type.rank)) if axis is None else axis)


