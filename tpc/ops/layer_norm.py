"""Normalisation by the mean and the standard deviation of an axis."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.ops.add import add
from tpc.ops.axes import restore
from tpc.ops.base import OpTypeError, option, surface, value
from tpc.ops.fill import constant
from tpc.ops.mean import average
from tpc.ops.multiply import multiply
from tpc.ops.power import power
from tpc.ops.scale import scale

if TYPE_CHECKING:
    from tpc.ir.node import Node

ZERO = Constant.of(0)


@surface(value("x"), option("axis", "axes"), option("eps", "number", ZERO))
def layer_norm(x: Node, axis: tuple[int, ...] | None = None, eps: Constant = ZERO) -> Node:
    """Subtract the mean and divide by the standard deviation over an axis (the last by default).

    `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps)`, with the population variance and `eps` 0
    where it is not given. It has no parameters: multiply by a gain and add a bias where wanted.
    """
    axes = normalised_axes(x, axis, "layer_norm")
    return standardise(x, lambda value: restore(average(value, axes), axes, x.type), eps)


def normalised_axes(x: Node, axis: tuple[int, ...] | None, name: str) -> tuple[int, ...]:
    """Return the axes to normalise over: those named, or the last one.

    Raises:
        OpTypeError: the value is a scalar.
    """
    if not x.type.rank:
        raise OpTypeError(f"`{name}` of a scalar: there is nothing to average over", operand=0)
    return (x.type.rank - 1,) if axis is None else tuple(sorted(axis))


def standardise(x: Node, mean: Callable[[Node], Node], eps: Constant) -> Node:
    """Return ``(x - m) / sqrt(mean((x - m)^2) + eps)`` with ``m = mean(x)``.

    ``mean`` averages and repeats the result so that it combines with x again.
    """
    return divide_by_rms(add(x, scale(mean(x), -1)), mean, eps)


def divide_by_rms(x: Node, mean: Callable[[Node], Node], eps: Constant) -> Node:
    """Return ``x / sqrt(mean(x^2) + eps)``."""
    square = mean(power(x, Fraction(2)))
    if not eps.is_zero:
        square = add(square, constant(eps))
    return multiply(x, power(square, Fraction(-1, 2)))
