"""Elementwise sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient
from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op
from tpc.ops.broadcast import align, infer_elementwise, unbroadcast
from tpc.ops.fill import is_zero

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


class Add(Op):
    """``x + y``, axes matched from the last one."""

    name = "add"
    takes_matrices = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return infer_elementwise(operands, "+")

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return tuple(unbroadcast(cotangent, operand.type) for operand in node.operands)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.sum(node, sizes)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Polynomial

        parts = ((x, index[len(index) - x.type.rank :]) for x in node.operands)
        return Polynomial(tuple((Coefficient.of(1), (part,)) for part in parts))

    def addends(self, node: Node) -> Sequence[tuple[Coefficient, Node]]:
        return [(Coefficient.of(1), x) for x in node.operands]

    def independent(self, node: Node, axis: int) -> bool:
        return all(
            x.type.rank == node.type.rank and x.op.independent(x, axis) for x in node.operands
        )

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        x, y = (align(a, o.type, node.type) for a, o in zip(arrays, node.operands, strict=True))
        return x + y

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import added

        return added(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import added

        return added(node, walk)


ADD = Add()


def add(x: Node, y: Node) -> Node:
    """Return ``x + y``; an added zero that changes nothing disappears."""
    if is_zero(y) and infer_elementwise((x.type, y.type), "+") == x.type:
        return x
    if is_zero(x) and infer_elementwise((x.type, y.type), "+") == y.type:
        return y
    return make(ADD, x, y)
