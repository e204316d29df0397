"""The width scaling of a weight's gradient step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import Op

if TYPE_CHECKING:
    from tpc.ir.node import Node


class Rate(Op):
    """``mult^2 n^(-2a - c) * g``: a gradient with respect to the effective weight W becomes its step.

    The trainable w of ``W = mult n^-a w`` moves by ``n^-c dL/dw``, so W itself moves by
    ``mult^2 n^(-2a-c) dL/dW``. The numbers are the module's (attribute ``param`` names the weight).
    ``grad(loss, W)`` inside a program is this op on the plain gradient: inner steps have the width
    scaling of the weight that they move.
    """

    name = "rate"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (rate(cotangent, node.attrs["param"]),)


RATE = Rate()


def rate(gradient: Node, param: str) -> Node:
    """Return the gradient with its weight's width scaling."""
    return make(RATE, gradient, param=param)
