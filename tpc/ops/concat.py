"""Several values one after the other along an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.axes import check_axes
from tpc.ops.base import OpTypeError, keyword, require_real, same_batch, surface, values
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Concat(IndexMap):
    """The operands one after the other along ``axis``, finite or (in all of them) a width."""

    name = "concat"
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "concat")
        axis, first = attrs["axis"], operands[0]
        for position, operand in enumerate(operands):
            if operand.rank != first.rank:
                raise OpTypeError(f"`concat` of {first} and {operand}", operand=position)
            check_axes(operand, (axis,), "concat")
            for k, (dim, expected) in enumerate(zip(operand.dims, first.dims, strict=True)):
                if (dim.width != expected.width) if k == axis else (dim != expected):
                    raise OpTypeError(
                        f"`concat` of {first} and {operand} along axis {axis + 1}: "
                        f"axis {k + 1} is {expected} and {dim}",
                        operand=position,
                    )
        count = sum((operand.dims[axis].count for operand in operands), Fraction(0))
        dim = Dim(count, first.dims[axis].width)
        dims = (*first.dims[:axis], dim, *first.dims[axis + 1 :])
        return TensorType(dims, same_batch(operands))

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.part import part

        axis = node.attrs["axis"]
        dims = tuple(operand.type.dims[axis] for operand in node.operands)
        return tuple(part(cotangent, axis, dims, member) for member in range(len(dims)))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.moves import concatenated

        return concatenated(left, right, modes, view)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        import numpy as np

        return np.concatenate(arrays, axis=node.attrs["axis"] + lead)


CONCAT = Concat()


@surface(values("parts"), keyword("axis", "axis"), name="concat")
def concat_function(parts: tuple[Node, ...], axis: int) -> Node:
    """Put values one after the other along an axis; their other axes are equal.

    Along a width axis the result's width is the sum: `[n]` and `[n]` give `[2*n]`.
    """
    return concat(parts, axis)


def concat(parts: Sequence[Node], axis: int) -> Node:
    """Return the parts one after the other along 0-based ``axis``.

    Raises:
        OpTypeError: there are none, or another axis differs.
    """
    if not parts:
        raise OpTypeError("`concat` of nothing")
    return parts[0] if len(parts) == 1 else make(CONCAT, *parts, axis=axis)
