"""Normalisation over samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.axes import check_finite, restore
from tpc.ops.base import OpTypeError, option, surface, value
from tpc.ops.batch import batch_mean
from tpc.ops.layer_norm import ZERO, standardise
from tpc.ops.mean import average

if TYPE_CHECKING:
    from tpc.exact import Constant
    from tpc.ir.node import Node


@surface(value("h"), option("axis", "axes"), option("eps", "number", ZERO))
def batch_norm(h: Node, axis: tuple[int, ...] | None = None, eps: Constant = ZERO) -> Node:
    """Subtract the mean and divide by the standard deviation over the batch.

    With `axis` the batch is a declared finite axis (or several: `axis = (1, 2, 3)` also averages
    over pixels); without it, the samples of the data. The variance is the population's, `eps` 0
    where it is not given; no parameters, no running averages.
    """
    if axis is None:
        if not h.type.batched:
            raise OpTypeError(
                "`batch_norm` over the samples of the data, but this is the same for all of them",
                operand=0,
                help="name the axis that is the batch: batch_norm(h, axis = 1)",
            )
        return standardise(h, batch_mean, eps)
    axes = tuple(sorted(axis))
    check_finite(h.type, axes, "batch_norm")
    return standardise(h, lambda value: restore(average(value, axes), axes, h.type), eps)
