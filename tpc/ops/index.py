"""One position of a finite axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.axes import check_finite
from tpc.ops.base import OpTypeError
from tpc.ops.index_map import IndexMap
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Index(IndexMap):
    """``x[t]``: 0-based ``position`` along ``axis``, which disappears."""

    name = "index"
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        axis, position = attrs["axis"], attrs["position"]
        check_finite(x, (axis,), "index")
        extent = int(x.dims[axis].count)
        if not 0 <= position < extent:
            raise OpTypeError(
                f"position {position + 1} is outside axis {axis + 1} of {x}",
                operand=0,
                help=f"positions run from 1 to {extent}",
            )
        return TensorType((*x.dims[:axis], *x.dims[axis + 1 :]), x.batched, x.below)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ir.types import finite
        from tpc.ops.place import place
        from tpc.ops.repeat import repeat

        axis, position = node.attrs["axis"], node.attrs["position"]
        dim = node.operands[0].type.dims[axis]
        return (place(repeat(cotangent, ((axis, finite(1)),)), axis, position, dim),)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.moves import indexed

        return indexed(left, right, modes, view)

    def independent(self, node: Node, axis: int) -> bool:
        before = axis + int(axis >= node.attrs["axis"])
        return node.operands[0].op.independent(node.operands[0], before)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        result: Array = arrays[0].take(node.attrs["position"], axis=node.attrs["axis"] + lead)
        return result

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.symbols import Label

        axes = list(walk.axes[node])
        place = Label("axis", name=str(node.attrs["position"] + 1))
        axes.insert(node.attrs["axis"], place)
        return walk.entry(node.operands[0], tuple(axes))


INDEX = Index()


def index(x: Node, axis: int, position: int) -> Node:
    """Return the entry at 0-based ``position`` along 0-based ``axis``; the axis disappears.

    An entry of a stack is what was stacked.
    """
    from tpc.ops.stack import STACK

    if x.op is SCALE:
        return scale(index(x.operands[0], axis, position), x.attrs["coefficient"])
    if x.op is STACK and axis == 0 and 0 <= position < len(x.operands):
        return x.operands[position]
    return make(INDEX, x, axis=axis, position=position)
