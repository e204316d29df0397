"""The direction in which a nonlinear optimizer moves a weight, given all gradients so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, Op, OpTypeError, require_real
from tpc.ops.scale import numeric

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Update(Op):
    """``direction(g_1, ..., g_t; w)`` of the optimizer named by attribute ``optimizer``.

    The first operand is the trainable w before step t, the others are its gradients at the steps
    1 .. t (already clipped, and with coupled weight decay). Attribute ``options`` holds pairs of a
    name and a :class:`tpc.exact.Coefficient`.
    """

    name = "update"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "update")
        weight = operands[0]
        for position, operand in enumerate(operands):
            if operand != weight or operand.batched:
                raise OpTypeError(f"update of {weight} with {operand}", operand=position)
        return weight

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        from tpc.optimizers import optimizers

        optimizer = optimizers()[node.attrs["optimizer"]]
        options = {name: numeric(value, context.width) for name, value in node.attrs["options"]}
        weight, *gradients = arrays
        state, result = optimizer.start(weight.shape), weight
        for step, gradient in enumerate(gradients, start=1):
            result, state = optimizer.direction(gradient, weight, state, step, options)
        return result

    def flops(self, node: Node, context: EvalContext) -> int:
        """Ten operations for each entry and gradient: an estimate."""
        return 10 * (len(node.operands) - 1) * super().flops(node, context)


UPDATE = Update()


def update(
    optimizer: str, gradients: Sequence[Node], weight: Node, options: Mapping[str, Coefficient]
) -> Node:
    """Return the direction of an optimizer (see :class:`Update`)."""
    return make(
        UPDATE, weight, *gradients, optimizer=optimizer, options=tuple(sorted(options.items()))
    )
