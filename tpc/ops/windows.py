"""Sliding windows along one finite axis, and their transpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient
from tpc.ir.node import make
from tpc.ir.types import TensorType, finite
from tpc.ops.axes import check_finite
from tpc.ops.base import EvalContext, Op, OpTypeError, require_real
from tpc.ops.index_map import IndexMap
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size

PADDINGS = ("same", "valid", "circular")


@dataclass(frozen=True)
class Layout:
    """Where windows lie on an axis of ``extent`` positions.

    Window o reads the positions ``o * stride - before + j * dilation``, j = 0 .. size - 1; those
    outside the axis read zero, or, where ``circular``, wrap around.
    """

    extent: int
    count: int
    size: int
    stride: int
    dilation: int
    before: int
    circular: bool

    def positions(self) -> list[list[int]]:
        """Return the position that each window reads at each j, -1 for zero."""
        rows = []
        for o in range(self.count):
            start = o * self.stride - self.before
            row = [start + j * self.dilation for j in range(self.size)]
            if self.circular:
                rows.append([position % self.extent for position in row])
            else:
                rows.append([p if 0 <= p < self.extent else -1 for p in row])
        return rows

    def __str__(self) -> str:
        wrap = " circular" if self.circular else ""
        return (
            f"{self.count}x{self.size}/{self.extent} stride {self.stride} "
            f"dilation {self.dilation} before {self.before}{wrap}"
        )


def layout(extent: int, size: int, stride: int, dilation: int, padding: str) -> Layout:
    """Return where the windows of a padding lie, by TensorFlow's convention.

    With E positions and windows that span ``s = (size - 1) * dilation + 1`` of them:

    * ``valid``: ``floor((E - s) / stride) + 1`` windows, none over the edge;
    * ``same``: ``ceil(E / stride)`` windows; ``max((count - 1) stride + s - E, 0)`` zeros are
      added, half of them in front, the odd one at the end;
    * ``circular``: like ``same``, wrapped around instead of zeros.

    Raises:
        OpTypeError: a number is not positive, or the window does not fit.
    """
    if min(size, stride, dilation) < 1:
        raise OpTypeError("window, stride and dilation must be positive whole numbers")
    span = (size - 1) * dilation + 1
    if padding == "valid":
        if span > extent:
            raise OpTypeError(
                f"a window over {span} positions does not fit an axis of {extent}",
                operand=0,
                help="take a smaller window, or padding = same",
            )
        return Layout(extent, (extent - span) // stride + 1, size, stride, dilation, 0, False)
    if padding not in PADDINGS:
        raise OpTypeError(f"unknown padding {padding}", help="one of " + ", ".join(PADDINGS))
    count = -(-extent // stride)
    before = max((count - 1) * stride + span - extent, 0) // 2
    return Layout(extent, count, size, stride, dilation, before, padding == "circular")


class Windows(IndexMap):
    """``result[.., o, j, ..] = x[.., position(o, j), ..]``: an axis becomes two."""

    name = "windows"
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "windows")
        axis, where = attrs["axis"], attrs["layout"]
        check_finite(x, (axis,), "windows")
        if x.dims[axis].count != where.extent:
            raise OpTypeError(f"axis {axis + 1} of {x} has not {where.extent} positions", operand=0)
        new = (finite(where.count), finite(where.size))
        return TensorType((*x.dims[:axis], *new, *x.dims[axis + 1 :]), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (fold(cotangent, node.attrs["axis"], node.attrs["layout"]),)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.windows import windowed

        return windowed(left, right, modes, view)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        import numpy as np

        axis = node.attrs["axis"] + lead
        table = np.array(node.attrs["layout"].positions())
        result: Array = arrays[0].take(np.maximum(table, 0), axis=axis)
        if (table < 0).any():
            rest = (1,) * (result.ndim - axis - 2)
            result *= (table >= 0).reshape(*table.shape, *rest)
        return result


class Fold(Op):
    """``result[.., p, ..] = sum of x[.., o, j, ..] over the (o, j) that read p``."""

    name = "fold"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "fold")
        axis, where = attrs["axis"], attrs["layout"]
        check_finite(x, (axis, axis + 1), "fold")
        if x.dims[axis : axis + 2] != (finite(where.count), finite(where.size)):
            raise OpTypeError(f"axes {axis + 1} and {axis + 2} of {x} are no windows", operand=0)
        return TensorType((*x.dims[:axis], finite(where.extent), *x.dims[axis + 2 :]), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (windows(cotangent, node.attrs["axis"], node.attrs["layout"]),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.same(node, sizes[0])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Polynomial

        axis = node.attrs["axis"]
        before, position, after = index[:axis], index[axis], index[axis + 1 :]
        readers = [
            (*before, window, j, *after)
            for window, row in enumerate(node.attrs["layout"].positions())
            for j, read in enumerate(row)
            if read == position
        ]
        (x,) = node.operands
        return Polynomial(tuple((Coefficient.of(1), ((x, place),)) for place in readers))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.windows import folded

        return folded(left, right, modes, view)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        axis = node.attrs["axis"] + int(node.type.batched)
        table = np.array(node.attrs["layout"].positions())
        x = np.moveaxis(arrays[0], (axis, axis + 1), (0, 1))
        result = np.zeros((node.attrs["layout"].extent, *x.shape[2:]))
        # within one j no two windows read the same position, so += adds every term
        for j in range(table.shape[1]):
            inside = table[:, j] >= 0
            result[table[inside, j]] += x[inside, j]
        return np.moveaxis(result, 0, axis)

    def flops(self, node: Node, context: EvalContext) -> int:
        """One addition for each entry of the operand."""
        count = 1
        for extent in context.shape(node.operands[0].type):
            count *= extent
        return count

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import moved

        return moved(node, operands, context)


WINDOWS = Windows()
FOLD = Fold()


def windows(x: Node, axis: int, where: Layout) -> Node:
    """Return the windows of ``x`` along ``axis``, which becomes two: (windows, positions)."""
    if where.size == where.stride == 1 and not where.before and where.count == where.extent:
        from tpc.ops.repeat import repeat

        return repeat(x, ((axis + 1, finite(1)),))
    if x.op is SCALE:
        return scale(windows(x.operands[0], axis, where), x.attrs["coefficient"])
    return make(WINDOWS, x, axis=axis, layout=where)


def fold(x: Node, axis: int, where: Layout) -> Node:
    """Return the windows (axes ``axis`` and ``axis + 1``) added back where they were read."""
    if x.op is SCALE:
        return scale(fold(x.operands[0], axis, where), x.attrs["coefficient"])
    return make(FOLD, x, axis=axis, layout=where)
