"""Integers as indicator vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType, finite
from tpc.ops.base import EvalContext, Op, OpTypeError, surface, value

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.activations import Activation
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class OneHot(Op):
    """``result[i.., v] = 1 if ids[i..] = v else 0`` for integers ``1..below``."""

    name = "one_hot"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (ids,) = operands
        if ids.below is None:
            raise OpTypeError(
                f"`one_hot` takes integers, but this is real: {ids}",
                operand=0,
                help="declare the input with its range: target y : [] in 10",
            )
        return TensorType((*ids.dims, finite(ids.below)), ids.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (None,)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.constant(node)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        """Return whether an integer is the last index: a function of it that is 1 there only."""
        from tpc.limit.forms import Function

        return Function(indicator(index[-1]), (node.operands[0], index[:-1]))

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        below = node.operands[0].type.below
        return np.equal(arrays[0][..., None], np.arange(1, (below or 0) + 1)).astype(float)

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import data

        return data(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import entry

        return entry(node, walk)


ONE_HOT = OneHot()


def indicator(token: int) -> Activation:
    """Return a function that is 1 at one integer, ``token + 1``, and 0 at all others."""
    from tpc.ops.activations import formula as fm
    from tpc.ops.activations.abs import Abs
    from tpc.ops.activations.written import from_formula

    distance = fm.apply(Abs(), fm.subtract(fm.Z, fm.number(token + 1)))
    tent = fm.maximum(fm.number(0), fm.subtract(fm.number(1), distance))
    return from_formula(tent, f"is_{token + 1}")


@surface(value("ids"), name="one_hot")
def one_hot_function(ids: Node) -> Node:
    """Turn integers `1..v` into indicator vectors along a new last axis of size v."""
    return one_hot(ids)


def one_hot(ids: Node) -> Node:
    """Return the indicator vectors of integers."""
    return make(ONE_HOT, ids)
