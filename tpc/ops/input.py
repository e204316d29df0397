"""An input of the program: data, targets, noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import Op

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Input(Op):
    """Leaf: one sample of an input, batched; ``step`` tells the minibatches of a run apart."""

    name = "input"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return TensorType(attrs["dims"], batched=True, below=attrs.get("below"))

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.constant(node)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Data

        return Data(node.attrs["name"], index)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import given

        return given(node, walk)


INPUT = Input()


def input_(
    name: str, dims: tuple[Dim, ...], *, below: int | None = None, step: int | None = None
) -> Node:
    """Return the leaf of an input; ``below`` is the largest entry of an integer input."""
    return make(INPUT, name=name, dims=dims, below=below, step=step)
