"""The width scaling of a weight's gradient step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient
from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op
from tpc.ops.scale import numeric

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Rate(Op):
    """``mult^2 n^(-2a - c) * g``: how far a gradient moves the effective weight W.

    The trainable w of ``W = mult n^-a w`` moves by ``n^-c dL/dw``, so W itself moves by
    ``mult^2 n^(-2a-c) dL/dW``. The numbers are the module's (attribute ``param`` names the weight).
    ``grad(loss, W)`` inside a program is this op on the plain gradient: inner steps have the width
    scaling of the weight that they move.
    """

    name = "rate"
    takes_matrices = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (rate(cotangent, node.attrs["param"]),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.step(sizes[0], node.attrs["param"])

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        spec = context.params[node.attrs["param"]]
        return numeric(step_coefficient(spec), context.width) * arrays[0]

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import by

        coefficient = step_coefficient(context.params[node.attrs["param"]])
        return by(node, operands[0], coefficient)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import by

        return by(node, step_coefficient(walk.module.params[node.attrs["param"]]), walk)


RATE = Rate()


def step_coefficient(spec: ParamSpec) -> Coefficient:
    """Return ``mult^2 n^(-2a - c)``: how far W moves for a unit gradient at learning rate one.

    Raises:
        LookupError: an exponent of the weight is not known yet.
    """
    return spec.movement


def rate(gradient: Node, param: str) -> Node:
    """Return the gradient with its weight's width scaling."""
    return make(RATE, gradient, param=param)


def forward_walk(roots: Iterable[Node]) -> Iterator[Node]:
    """Yield the forward graph, not the backward parts that ``grad`` puts below a rate."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if node.op is not RATE:
            stack.extend(node.operands)
