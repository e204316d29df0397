"""Repetition along new axes: the transpose of a sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import EvalContext, Op
from tpc.ops.fill import FILL, fill
from tpc.ops.scale import SCALE, scale
from tpc.ops.sum import total

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Repeat(Op):
    """Repeat a value along new axes, given as (position in the result, axis) pairs."""

    name = "repeat"
    sums_positions = True
    transparent = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        dims = list(operands[0].dims)
        for position, dim in attrs["axes"]:
            dims.insert(position, dim)
        return TensorType(tuple(dims), operands[0].batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (total(cotangent, tuple(position for position, _ in node.attrs["axes"])),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.repeated(node, sizes[0])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import same

        new = {position for position, _ in node.attrs["axes"]}
        kept = tuple(place for axis, place in enumerate(index) if axis not in new)
        return same((node.operands[0], kept))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.moves import repeated

        return repeated(left, right, modes, view)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        shift = int(node.operands[0].type.batched)
        axes = tuple(position + shift for position, _ in node.attrs["axes"])
        shape = (*arrays[0].shape[:shift], *(dim.concrete(context.width) for dim in node.type.dims))
        return np.broadcast_to(np.expand_dims(arrays[0], axes), shape)

    def flops(self, node: Node, context: EvalContext) -> int:
        """Repeating entries costs no arithmetic."""
        return 0

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import repeated

        return repeated(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        new = {position for position, _ in node.attrs["axes"]}
        kept = tuple(label for axis, label in enumerate(walk.axes[node]) if axis not in new)
        return walk.entry(node.operands[0], kept)


REPEAT = Repeat()


def repeat(x: Node, axes: tuple[tuple[int, Dim], ...]) -> Node:
    """Return ``x`` repeated along new axes (positions in the result, increasing)."""
    if not axes:
        return x
    if x.op is SCALE:
        return scale(repeat(x.operands[0], axes), x.attrs["coefficient"])
    if x.op is FILL:
        dims = list(x.type.dims)
        for position, dim in sorted(axes, key=lambda pair: pair[0]):
            dims.insert(position, dim)
        return fill(x.attrs["coefficient"], tuple(dims))
    return make(REPEAT, x, axes=tuple(sorted(axes, key=lambda pair: pair[0])))
