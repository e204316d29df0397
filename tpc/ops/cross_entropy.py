"""The cross-entropy of logits and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import OpTypeError, require_real, surface, value
from tpc.ops.log_softmax import log_softmax
from tpc.ops.mean import average
from tpc.ops.multiply import multiply
from tpc.ops.one_hot import one_hot
from tpc.ops.scale import scale
from tpc.ops.sum import total

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("f"), value("y"))
def cross_entropy(f: Node, y: Node) -> Node:
    """`- sum_c y_c log softmax(f)_c`, averaged over all axes but the last (and over the batch).

    `f` are logits, their last axis the classes. `y` are probabilities (one-hot, say) of the same
    axes, or integers `1..classes` without the last axis, as in PyTorch.
    """
    require_real((f.type,), "cross_entropy")
    if not f.type.rank:
        raise OpTypeError(
            "`cross_entropy` of a scalar: the last axis of the logits are the classes",
            operand=0,
            help="logistic(f, y) is the loss of a single logit",
        )
    logs = log_softmax(f, f.type.rank - 1)
    picked = total(multiply(_probabilities(f, y), logs), (f.type.rank - 1,))
    return scale(average(picked, tuple(range(picked.type.rank))), -1)


def _probabilities(f: Node, y: Node) -> Node:
    if y.type.below is None:
        if y.type.dims == f.type.dims:
            return y
        help_ = "probabilities have the axes of the logits; classes are integers: target y : [] in "
        raise OpTypeError(
            f"`cross_entropy` of logits {f.type} and targets {y.type}",
            operand=1,
            help=help_ + str(f.type.dims[-1]),
        )
    if y.type.dims != f.type.dims[:-1] or y.type.below != f.type.dims[-1].count:
        raise OpTypeError(
            f"`cross_entropy` of logits {f.type} and classes {y.type}",
            operand=1,
            help="classes have the axes of the logits without the last, and run to its size",
        )
    return one_hot(y)
