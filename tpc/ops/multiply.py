"""Elementwise product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient
from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op
from tpc.ops.broadcast import align, infer_elementwise, unbroadcast
from tpc.ops.fill import FILL
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


class Multiply(Op):
    """``x * y``, axes matched from the last one."""

    name = "multiply"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return infer_elementwise(operands, "*")

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x, y = node.operands
        return (
            unbroadcast(multiply(cotangent, y), x.type),
            unbroadcast(multiply(cotangent, x), y.type),
        )

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.product(node, sizes[0], sizes[1])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Polynomial

        parts = tuple((x, index[len(index) - x.type.rank :]) for x in node.operands)
        return Polynomial(((Coefficient.of(1), parts),))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.products import product

        return product(left, right, modes, view)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        x, y = (align(a, o.type, node.type) for a, o in zip(arrays, node.operands, strict=True))
        return x * y

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import multiplied

        return multiplied(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import multiplied

        return multiplied(node, walk)


MULTIPLY = Multiply()


def multiply(x: Node, y: Node) -> Node:
    """Return ``x * y``; scales move out, a scalar constant becomes a scale."""
    for one, other in ((x, y), (y, x)):
        if one.op is FILL and infer_elementwise((x.type, y.type), "*") == other.type:
            return scale(other, one.attrs["coefficient"])
        if one.op is SCALE:
            inner = one.operands[0]
            product = multiply(inner, y) if one is x else multiply(x, inner)
            return scale(product, one.attrs["coefficient"])
    return make(MULTIPLY, x, y)
