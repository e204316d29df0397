"""The factor that clips gradients by their norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import SCALAR, TensorType
from tpc.ops.base import EvalContext, Op, OpTypeError
from tpc.ops.scale import numeric

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class ClipFactor(Op):
    """``min(1, bound / sqrt(s))`` of a scalar s, the squared norm of all gradients together."""

    name = "clip_factor"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        if operands != (SCALAR,):
            raise OpTypeError("a clip factor needs one squared norm, a scalar", operand=0)
        return SCALAR

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        bound = numeric(node.attrs["bound"], context.width)
        norm = np.sqrt(arrays[0])
        return np.where(norm > bound, bound / np.where(norm > bound, norm, 1.0), 1.0)


CLIP_FACTOR = ClipFactor()


def clip_factor(square: Node, bound: Coefficient) -> Node:
    """Return the factor for gradients whose squared norms add up to ``square``."""
    return make(CLIP_FACTOR, square, bound=bound)
