"""Multiplication by a constant times a power of the width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op, OpTypeError, require_real
from tpc.ops.fill import FILL, fill

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


class Scale(Op):
    """``coefficient * x``: the only op by which constants and powers of the width multiply."""

    name = "scale"
    takes_matrices = True
    transparent = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "*")
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (scale(cotangent, node.attrs["coefficient"]),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.scaled(sizes[0], -node.attrs["coefficient"].power)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Polynomial

        return Polynomial(((node.attrs["coefficient"], ((node.operands[0], index),)),))

    def addends(self, node: Node) -> Sequence[tuple[Coefficient, Node]]:
        return [(node.attrs["coefficient"], node.operands[0])]

    def independent(self, node: Node, axis: int) -> bool:
        return node.operands[0].op.independent(node.operands[0], axis)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        return numeric(node.attrs["coefficient"], context.width) * arrays[0]

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import by

        return by(node, operands[0], node.attrs["coefficient"])

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import by

        return by(node, node.attrs["coefficient"], walk)


SCALE = Scale()


def numeric(coefficient: Coefficient, width: int) -> float:
    """Return the coefficient at a width.

    Raises:
        OpTypeError: its exponent is still symbolic.
    """
    if not coefficient.power.is_constant:
        raise OpTypeError(
            f"the exponent {coefficient.power} has no value",
            help="give it one: --set or program.with_(...)",
        )
    return float(coefficient.constant.value * float(width) ** float(coefficient.power.const))


def scale(x: Node, factor: Coefficient | Constant | int, power: Affine | int = 0) -> Node:
    """Return ``factor * n^power * x``; nested scales merge and a factor of one disappears."""
    if not isinstance(factor, Coefficient):
        factor = Coefficient(Constant.of(factor), Affine.of(0))
    coefficient = factor * Coefficient(Constant.of(1), Affine.of(power))
    if coefficient.is_one:
        return x
    if coefficient.is_zero:
        return fill(coefficient, x.type.dims)
    if x.op is SCALE:
        return scale(x.operands[0], coefficient * x.attrs["coefficient"])
    if x.op is FILL:
        return fill(coefficient * x.attrs["coefficient"], x.attrs["shape"])
    return make(SCALE, x, coefficient=coefficient)
