"""The logarithm of a sum of exponentials over a finite axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.axes import check_finite, restore
from tpc.ops.base import EvalContext, Op, option, require_real, surface, value
from tpc.ops.multiply import multiply
from tpc.ops.softmax import softmax, the_axis

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class LogSumExp(Op):
    """``log sum_i exp(x_i)`` along finite ``axis``, which disappears; its derivative is softmax."""

    name = "logsumexp"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "logsumexp")
        axis = attrs["axis"]
        check_finite(x, (axis,), "logsumexp")
        return TensorType((*x.dims[:axis], *x.dims[axis + 1 :]), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x, axis = node.operands[0], node.attrs["axis"]
        return (multiply(restore(cotangent, (axis,), x.type), softmax(x, axis)),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.softmax(node, sizes[0])

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        axis = node.attrs["axis"] + int(node.type.batched)
        top = arrays[0].max(axis=axis, keepdims=True)
        sums = np.exp(arrays[0] - top).sum(axis=axis)
        result: Array = np.log(sums) + top.squeeze(axis)
        return result

    def flops(self, node: Node, context: EvalContext) -> int:
        """Four operations for each entry of the operand."""
        count = 4
        for extent in context.shape(node.operands[0].type):
            count *= extent
        return count

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import mixed

        return mixed(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import settled_entry

        return settled_entry(node, walk)


LOGSUMEXP = LogSumExp()


@surface(value("x"), option("axis", "axis"), name="logsumexp")
def logsumexp_function(x: Node, axis: int | None = None) -> Node:
    """`log(sum(exp(x)))` over one finite axis, without overflow."""
    return logsumexp(x, the_axis(x, axis, "logsumexp"))


def logsumexp(x: Node, axis: int) -> Node:
    """Return the logarithm of the sum of exponentials over 0-based ``axis``.

    Raises:
        OpTypeError: the axis does not exist or is a width.
    """
    return make(LOGSUMEXP, x, axis=axis)
