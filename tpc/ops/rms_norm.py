"""Normalisation by the root mean square of an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.axes import restore
from tpc.ops.base import option, surface, value
from tpc.ops.layer_norm import ZERO, divide_by_rms, normalised_axes
from tpc.ops.mean import average

if TYPE_CHECKING:
    from tpc.exact import Constant
    from tpc.ir.node import Node


@surface(value("x"), option("axis", "axes"), option("eps", "number", ZERO))
def rms_norm(x: Node, axis: tuple[int, ...] | None = None, eps: Constant = ZERO) -> Node:
    """Divide by the root mean square over an axis (the last by default).

    `x / sqrt(mean(x^2) + eps)`, with `eps` 0 where it is not given; no parameters.
    """
    axes = normalised_axes(x, axis, "rms_norm")
    return divide_by_rms(x, lambda value: restore(average(value, axes), axes, x.type), eps)
