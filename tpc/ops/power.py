"""Elementwise powers with a constant rational exponent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient, Constant
from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op, require_real
from tpc.ops.fill import FILL, constant, fill
from tpc.ops.multiply import multiply
from tpc.ops.scale import scale

if TYPE_CHECKING:
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


class Power(Op):
    """``x^p`` coordinatewise, p rational. A negative p divides, as normalisations do."""

    name = "power"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "^")
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        exponent: Fraction = node.attrs["exponent"]
        slope = scale(power(node.operands[0], exponent - 1), Constant.of(exponent))
        return (multiply(cotangent, slope),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.power(node, sizes[0], node.attrs["exponent"])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Polynomial, Root

        exponent: Fraction = node.attrs["exponent"]
        entry = (node.operands[0], index)
        if exponent.denominator != 1 or exponent < 0:
            return Root(entry, exponent)
        return Polynomial(((Coefficient.of(1), (entry,) * int(exponent)),))

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        exponent: Fraction = node.attrs["exponent"]
        if exponent == Fraction(1, 2):
            return np.sqrt(arrays[0])
        if exponent == -1:
            return 1.0 / arrays[0]
        if exponent.denominator == 1:
            return arrays[0] ** int(exponent)
        return arrays[0] ** float(exponent)

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import raised

        return raised(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import raised

        return raised(node, walk)


POWER = Power()


def power(x: Node, exponent: Fraction) -> Node:
    """Return ``x^exponent``; exponents 0 and 1 fold."""
    if exponent == 0:
        return constant(1, x.type.dims)
    if exponent == 1:
        return x
    if x.op is FILL and (x.attrs["coefficient"].constant.sign > 0):
        return fill(x.attrs["coefficient"] ** exponent, x.type.dims)
    if x.op is POWER and (exponent.denominator == 1 and x.attrs["exponent"].denominator == 1):
        return power(x.operands[0], exponent * x.attrs["exponent"])
    return make(POWER, x, exponent=exponent)


def divide(x: Node, y: Node) -> Node:
    """Return ``x / y``."""
    return multiply(x, power(y, Fraction(-1)))
