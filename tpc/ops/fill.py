"""A tensor of equal entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import EvalContext, Op

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


class Fill(Op):
    """Leaf: every entry is ``coefficient`` = constant times a power of the width."""

    name = "fill"
    takes_matrices = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return TensorType(attrs["shape"])

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.constant(node, node.attrs["coefficient"])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import constant

        return constant(node.attrs["coefficient"])

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        from tpc.ops.scale import numeric

        shape = context.shape(node.type)
        return np.full(shape, numeric(node.attrs["coefficient"], context.width))

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import filled

        return filled(node, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import filled

        return filled(node)


FILL = Fill()


def fill(coefficient: Coefficient, dims: tuple[Dim, ...] = ()) -> Node:
    """Return a tensor of axes ``dims`` whose entries all are ``coefficient``."""
    return make(FILL, coefficient=coefficient, shape=dims)


def constant(number: Constant | int, dims: tuple[Dim, ...] = ()) -> Node:
    """Return a tensor of equal entries free of the width."""
    return fill(Coefficient(Constant.of(number), Affine.of(0)), dims)


def is_zero(node: Node) -> bool:
    """Return whether a node is zero by construction."""
    return node.op is FILL and node.attrs["coefficient"].constant == Constant.of(0)
