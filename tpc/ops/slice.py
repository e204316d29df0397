"""A range of positions of an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType, finite
from tpc.ops.axes import check_finite
from tpc.ops.base import OpTypeError
from tpc.ops.index_map import IndexMap
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Slice(IndexMap):
    """``x[i..j]``: the 0-based positions ``start <= t < stop`` of a finite axis, which stays."""

    name = "slice"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        axis, start, stop = attrs["axis"], attrs["start"], attrs["stop"]
        check_finite(x, (axis,), "slice")
        extent = int(x.dims[axis].count)
        if not 0 <= start < stop <= extent:
            raise OpTypeError(
                f"the range {start + 1}..{stop} does not fit axis {axis + 1} of {x}",
                operand=0,
                help=f"positions run from 1 to {extent}, and a range holds one at least",
            )
        dims = (*x.dims[:axis], finite(stop - start), *x.dims[axis + 1 :])
        return TensorType(dims, x.batched, x.below)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.place import place

        axis, start = node.attrs["axis"], node.attrs["start"]
        return (place(cotangent, axis, start, node.operands[0].type.dims[axis]),)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        before = (slice(None),) * (node.attrs["axis"] + lead)
        return arrays[0][(*before, slice(node.attrs["start"], node.attrs["stop"]))]


SLICE = Slice()


def slice_(x: Node, axis: int, start: int, stop: int) -> Node:
    """Return the 0-based positions ``start <= t < stop`` along ``axis``."""
    whole = 0 <= axis < x.type.rank and not x.type.dims[axis].width
    if whole and start == 0 and stop == x.type.dims[axis].count:
        return x
    if x.op is SCALE:
        return scale(slice_(x.operands[0], axis, start, stop), x.attrs["coefficient"])
    return make(SLICE, x, axis=axis, start=start, stop=stop)
