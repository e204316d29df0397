"""Application of a nonlinearity, coordinate by coordinate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, MissingRule, Op, require_real
from tpc.ops.multiply import multiply

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
    from tpc.ops.activations.base import Activation
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Apply(Op):
    """``phi(x)``, the Nonlin instruction; attribute ``activation`` is everything known of phi."""

    name = "apply"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, attrs["activation"].name)
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        derivative = node.attrs["activation"].derivative()
        return (multiply(cotangent, apply(derivative, node.operands[0])),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.apply(node, sizes[0], node.attrs["activation"])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Function

        return Function(node.attrs["activation"], (node.operands[0], index))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        if left.attrs != right.attrs:
            raise MissingRule(left, "limit", "covariances of two different nonlinearities")
        phi = left.attrs["activation"]
        return view.nonlinear(left.operands[0], right.operands[0], phi, modes)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        result: Array = node.attrs["activation"].numpy(arrays[0])
        return result

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import applied

        return applied(node, operands, context, node.attrs["activation"].parity)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import applied

        return applied(node, walk)


APPLY = Apply()


def apply(activation: Activation, x: Node) -> Node:
    """Return ``phi(x)``; the identity and constants fold."""
    from tpc.ops.fill import constant

    if activation.is_identity:
        return x
    level = activation.constant_value
    if level is not None:
        return constant(level, x.type.dims)
    return make(APPLY, x, activation=activation)
