"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.ops.base import Argument, OpTypeError, keyword, require_real, surface, value
from tpc.ops.bernoulli import bernoulli
from tpc.ops.multiply import multiply
from tpc.ops.scale import scale

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("h"), keyword("rate", "number"), Argument("site", "site", required=False, default=0))
def dropout(h: Node, rate: Constant, site: int = 0) -> Node:
    """Set entries to zero with probability `rate` and divide the others by `1 - rate`.

    Every call, every step and every sample draws masks of its own; the value keeps its mean. The
    program means what it says wherever it is evaluated: nothing is switched off for predictions.
    """
    require_real((h.type,), "dropout")
    if not 0 <= rate.value < 1:
        raise OpTypeError(
            f"a dropout rate of {rate}", help="rates are probabilities: 0 <= rate < 1"
        )
    if rate.is_zero:
        return h
    keep = Constant.of(1) - rate
    return scale(multiply(h, bernoulli(keep, h.type.dims, site)), Constant.of(1) / keep)
