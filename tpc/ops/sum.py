"""Sums over axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.axes import check_axes
from tpc.ops.base import EvalContext, MissingRule, Op, option, require_real, surface, value
from tpc.ops.fill import FILL, fill
from tpc.ops.scale import SCALE, scale

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


class Sum(Op):
    """``sum_i x_..i..`` over the axes in attribute ``axes`` (finite or width; a plain sum)."""

    name = "sum"
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "sum")
        axes = attrs["axes"]
        check_axes(x, axes, "sum")
        kept = tuple(dim for axis, dim in enumerate(x.dims) if axis not in axes)
        return TensorType(kept, x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        from tpc.ops.repeat import repeat

        x = node.operands[0]
        return (repeat(cotangent, tuple((axis, x.type.dims[axis]) for axis in node.attrs["axes"])),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.width_sum(node, sizes[0], node.attrs["axes"])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.contraction import summed

        return summed(node.operands[0], node.attrs["axes"], index)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        """Return sums over all pairs of positions of the axes that are summed."""
        axes = left.attrs["axes"]
        if axes != right.attrs["axes"]:
            raise MissingRule(left, "limit", "covariances of sums over different axes")
        rest = iter(modes)
        x, y = left.operands[0], right.operands[0]
        inner = "".join("A" if k in axes else next(rest) for k in range(x.type.rank))
        return view.request(x, y, inner)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        shift = int(node.operands[0].type.batched)
        result: Array = arrays[0].sum(axis=tuple(axis + shift for axis in node.attrs["axes"]))
        return result

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.contraction import width_sum

        return width_sum(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.products import width_sum

        return width_sum(node, walk)


SUM = Sum()


def total(x: Node, axes: tuple[int, ...]) -> Node:
    """Return the sum of ``x`` over 0-based ``axes``; constants move out.

    Raises:
        OpTypeError: an axis does not exist or is named twice.
    """
    if not axes:
        return x
    if x.op is FILL:
        check_axes(x.type, axes, "sum")
        return _sum_of_equal(x, axes)
    if x.op is SCALE:
        return scale(total(x.operands[0], axes), x.attrs["coefficient"])
    return make(SUM, x, axes=tuple(sorted(axes)))


@surface(value("x"), option("axis", "axes"), name="sum")
def sum_function(x: Node, axis: tuple[int, ...] | None) -> Node:
    """Sum over one or several axes; over all of them without ``axis``.

    A sum over a width axis is a plain sum: it is n times the mean.
    """
    return total(x, tuple(range(x.type.rank)) if axis is None else axis)


def _sum_of_equal(x: Node, axes: tuple[int, ...]) -> Node:
    coefficient = x.attrs["coefficient"]
    for axis in axes:
        dim = x.type.dims[axis]
        coefficient = coefficient * Coefficient(Constant.of(dim.count), Affine.of(int(dim.width)))
    kept = tuple(dim for axis, dim in enumerate(x.type.dims) if axis not in axes)
    return fill(coefficient, kept)
