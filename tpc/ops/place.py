"""Placement among zeros: the transpose of taking an entry or a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.axes import check_finite
from tpc.ops.base import OpTypeError, require_real
from tpc.ops.fill import constant, is_zero
from tpc.ops.index_map import IndexMap
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Place(IndexMap):
    """The operand at positions ``start ..`` of a longer finite axis ``dim``, zero elsewhere."""

    name = "place"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "place")
        axis, start, dim = attrs["axis"], attrs["start"], attrs["dim"]
        check_finite(x, (axis,), "place")
        if start < 0 or start + x.dims[axis].count > dim.count:
            raise OpTypeError(f"{x} does not fit an axis of {dim} from {start + 1} on", operand=0)
        return TensorType((*x.dims[:axis], dim, *x.dims[axis + 1 :]), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.slice import slice_

        axis, start = node.attrs["axis"], node.attrs["start"]
        extent = int(node.operands[0].type.dims[axis].count)
        return (slice_(cotangent, axis, start, start + extent),)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        import numpy as np

        (x,) = arrays
        axis, start = node.attrs["axis"] + lead, node.attrs["start"]
        shape = list(x.shape)
        shape[axis] = int(node.attrs["dim"].count)
        result = np.zeros(shape, dtype=x.dtype)
        result[(*(slice(None),) * axis, slice(start, start + x.shape[axis]))] = x
        return result


PLACE = Place()


def place(x: Node, axis: int, start: int, dim: Dim) -> Node:
    """Return ``x`` placed at 0-based ``start`` along ``axis``, which becomes ``dim``."""
    if x.type.dims[axis] == dim:
        return x
    if is_zero(x):
        return constant(0, (*x.type.dims[:axis], dim, *x.type.dims[axis + 1 :]))
    if x.op is SCALE:
        return scale(place(x.operands[0], axis, start, dim), x.attrs["coefficient"])
    return make(PLACE, x, axis=axis, start=start, dim=dim)
