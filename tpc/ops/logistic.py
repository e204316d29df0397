"""The logistic loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.activations.softplus import Softplus
from tpc.ops.add import add
from tpc.ops.apply import apply
from tpc.ops.base import OpTypeError, require_real, surface, value
from tpc.ops.mean import average
from tpc.ops.multiply import multiply
from tpc.ops.scale import scale

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("f"), value("y"))
def logistic(f: Node, y: Node) -> Node:
    """`- y log p - (1 - y) log(1 - p)` with `p = sigmoid(f)`, averaged over all entries.

    Targets are 0 or 1 (probabilities are allowed). This is PyTorch's
    `binary_cross_entropy_with_logits`, computed as `softplus(f) - y f`.
    """
    require_real((f.type, y.type), "logistic")
    if f.type.dims != y.type.dims:
        raise OpTypeError(
            f"`logistic` compares values of equal axes, not {f.type} and {y.type}",
            operand=1,
            help="give the target the axes of the logits",
        )
    loss = add(apply(Softplus(), f), scale(multiply(y, f), -1))
    return average(loss, tuple(range(loss.type.rank)))
