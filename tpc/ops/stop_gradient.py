"""The identity through which no derivative flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op, surface, value

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


class StopGradient(Op):
    """``x``, with derivative zero by decree (first-order MAML cuts second derivatives with it)."""

    name = "stop_gradient"
    takes_matrices = True
    sums_positions = True
    transparent = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (None,)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return sizes[0]

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import same

        return same((node.operands[0], index))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        """Return the covariances of what is held fixed; nothing moves."""
        from tpc.covariance.arrays import Value

        return Value(view.request(left.operands[0], right.operands[0], modes).kernel)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        return arrays[0]

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        return operands[0]

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import same

        return same(node, walk)


STOP_GRADIENT = StopGradient()


@surface(value("x"))
def stop_gradient(x: Node) -> Node:
    """Return x; nothing is differentiated through it."""
    return make(STOP_GRADIENT, x)
