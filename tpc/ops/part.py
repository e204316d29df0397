"""One of the blocks that a concatenation put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import OpTypeError, require_real
from tpc.ops.fill import constant
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Part(IndexMap):
    """Block ``member`` of an axis that is the concatenation of blocks ``dims`` of widths.

    It is to a width axis what a slice is to a finite one: blocks of a width are told apart, the
    coordinates inside a block are not.
    """

    name = "part"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "part")
        axis, dims, member = attrs["axis"], attrs["dims"], attrs["member"]
        if x.dims[axis].count != sum(dim.count for dim in dims):
            raise OpTypeError(f"axis {axis + 1} of {x} does not consist of these blocks", operand=0)
        return TensorType((*x.dims[:axis], dims[member], *x.dims[axis + 1 :]), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.concat import concat

        axis, dims, member = node.attrs["axis"], node.attrs["dims"], node.attrs["member"]
        rest = node.type.dims
        blocks = [
            cotangent if k == member else constant(0, (*rest[:axis], dim, *rest[axis + 1 :]))
            for k, dim in enumerate(dims)
        ]
        return (concat(blocks, axis),)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        (x,) = arrays
        axis, dims, member = node.attrs["axis"] + lead, node.attrs["dims"], node.attrs["member"]
        unit = x.shape[axis] / float(sum(dim.count for dim in dims))
        start = round(unit * float(sum(dim.count for dim in dims[:member])))
        stop = start + round(unit * float(dims[member].count))
        result: Array = x[(*(slice(None),) * axis, slice(start, stop))]
        return result


PART = Part()


def part(x: Node, axis: int, dims: tuple[Dim, ...], member: int) -> Node:
    """Return block ``member`` of ``axis``: a slice of a finite axis, a part of a width."""
    from tpc.ops.slice import slice_

    if not dims[member].width:
        start = int(sum(dim.count for dim in dims[:member]))
        return slice_(x, axis, start, start + int(dims[member].count))
    return make(PART, x, axis=axis, dims=dims, member=member)
