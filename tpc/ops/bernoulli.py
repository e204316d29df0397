"""Random zeros and ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Constant
from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import EvalContext, MissingRule, Op

if TYPE_CHECKING:
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Bernoulli(Op):
    """Leaf: independent entries, 1 with probability ``keep`` and else 0, for each sample anew.

    ``site`` tells the draws of a program apart; ``step`` those of the steps of a training run
    (None: the step at which it is evaluated).
    """

    name = "bernoulli"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return TensorType(attrs["dims"], batched=True)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.constant(node)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Mask

        require_width(node)
        return Mask(node.attrs["keep"])

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        step = context.step if node.attrs["step"] is None else node.attrs["step"]
        random = context.generator("bernoulli", node.attrs["site"], step)
        draws = random.random((context.batch or 1, *context.shape(node.type)[1:]))
        keep: float = node.attrs["keep"].value
        return np.less(draws, keep).astype(np.float64)

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import data

        return data(node, operands, context)


BERNOULLI = Bernoulli()


def require_width(node: Node) -> None:
    """Refuse masks that all units share: given them, the kernel stays random.

    Raises:
        MissingRule: the masks have no width.
    """
    if not node.type.sort:
        raise MissingRule(
            node, "limit", "masks on values without a width, whose kernel stays random"
        )


def bernoulli(keep: Constant, dims: tuple[Dim, ...], site: int, step: int | None = None) -> Node:
    """Return independent entries that are 1 with probability ``keep``."""
    return make(BERNOULLI, keep=keep, dims=dims, site=site, step=step)
