"""The logarithm of a softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.add import add
from tpc.ops.axes import restore
from tpc.ops.base import option, surface, value
from tpc.ops.logsumexp import logsumexp
from tpc.ops.scale import scale
from tpc.ops.softmax import the_axis

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("x"), option("axis", "axis"), name="log_softmax")
def log_softmax_function(x: Node, axis: int | None = None) -> Node:
    """`x - logsumexp(x)` over one finite axis: logarithms of probabilities."""
    return log_softmax(x, the_axis(x, axis, "log_softmax"))


def log_softmax(x: Node, axis: int) -> Node:
    """Return ``x - log sum exp(x)`` over 0-based ``axis``."""
    return add(x, scale(restore(logsumexp(x, axis), (axis,), x.type), -1))
