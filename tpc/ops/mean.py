"""Means over axes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.ops.axes import check_axes
from tpc.ops.base import option, surface, value
from tpc.ops.scale import scale
from tpc.ops.sum import total

if TYPE_CHECKING:
    from tpc.ir.node import Node


def average(x: Node, axes: tuple[int, ...]) -> Node:
    """Return the mean of ``x`` over 0-based ``axes``.

    Raises:
        OpTypeError: an axis does not exist or is named twice.
    """
    check_axes(x.type, axes, "mean")
    count, power = Fraction(1), 0
    for axis in axes:
        dim = x.type.dims[axis]
        count *= dim.count
        power -= int(dim.width)
    return scale(total(x, axes), Constant.of(1 / count), power)


@surface(value("x"), option("axis", "axes"))
def mean(x: Node, axis: tuple[int, ...] | None) -> Node:
    """Average over one or several axes; over all of them without ``axis``.

    Over a width axis this is a moment of the master theorem: it tends to an expectation.
    """
    return average(x, tuple(range(x.type.rank)) if axis is None else axis)
