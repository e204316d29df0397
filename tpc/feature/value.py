"""A value of the limit: what a scalar or vector becomes, and at which power of the width.

A value stands for ``n^power * Z``. A vector's Z is held as samples (or coefficients, see
:mod:`tpc.feature.space`) along its width axis; finite axes and the batch stay what they are. What
is of lower order is dropped, but never forgotten: ``rest`` bounds its power, so that a number which
could depend on it is refused instead of being wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tpc.scaling.characters import TRIVIAL, Coset, odd_span, product

if TYPE_CHECKING:
    from tpc.ops.base import Array

#: A power of the width; None stands for minus infinity: an exact zero.
Exponent = Fraction | None
HALF = Fraction(1, 2)
_NONE = Fraction(0)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """``n^power * array + O(n^rest)``: a scalar or a vector in the limit.

    ``array`` has the axes (batch?, dims...) of its node. ``power`` is None where the limit is zero
    at every scale that was kept. ``signs`` are the characters that Z may have: flipping the signs
    of initial weights is a symmetry, so expectations of products without a common one vanish.
    """

    array: Array
    power: Exponent = Fraction(0)
    rest: Exponent = None
    signs: Coset = TRIVIAL

    @property
    def is_zero(self) -> bool:
        """Whether nothing of the value was kept."""
        return self.power is None

    def scaled(self, factor: float, power: Fraction | int = 0) -> Value:
        """Return ``factor * n^power`` times the value."""
        if factor == 0.0:
            return zero(self.array)
        array = self.array if factor == 1.0 else factor * self.array
        return Value(array, plus(self.power, power), plus(self.rest, power), self.signs)

    def mapped(self, linear: Callable[[Array], Array]) -> Value:
        """Return the value with a linear map of its finite axes applied."""
        return replace(self, array=linear(self.array))


def zero(like: Array, rest: Exponent = None) -> Value:
    """Return the zero of the shape of an array, up to terms of size n^rest."""
    return Value(np.zeros(like.shape, like.dtype), None, rest)


def plus(*powers: Exponent | int) -> Exponent:
    """Return the power of a product (None is absorbing: a factor is zero)."""
    found: Fraction | int = _NONE
    for power in powers:
        if power is None:
            return None
        if power.numerator:  # most are zero, and sums of fractions take long
            found = power if found is _NONE else _sum(found, power)
    return found if isinstance(found, Fraction) else Fraction(found)


@lru_cache(maxsize=1 << 12)
def _sum(x: Fraction | int, y: Fraction | int) -> Fraction:
    return Fraction(x) + y


def largest(*powers: Exponent) -> Exponent:
    """Return the power of a sum."""
    found: Exponent = None
    for power in powers:
        if power is not None and power is not found and (found is None or power > found):
            found = power
    return found


def rest_of_product(x: Value, y: Value) -> Exponent:
    """Return the power of what is dropped in a product."""
    return largest(plus(x.power, y.rest), plus(x.rest, y.power), plus(x.rest, y.rest))


def combine(x: Value, y: Value, function: Callable[[Array, Array], Array]) -> Value:
    """Return a bilinear function that sums over no width axis."""
    array, power = function(x.array, y.array), plus(x.power, y.power)
    rest = rest_of_product(x, y)
    return (
        zero(array, rest) if power is None else Value(array, power, rest, product(x.signs, y.signs))
    )


def join(values: list[Value], function: Callable[..., Array]) -> Value:
    """Return a linear function of several values: only those of the largest power are kept."""
    power = largest(*(value.power for value in values))
    same = [value.power is power or value.power == power for value in values]
    kept = [x if at else zero(x.array) for x, at in zip(values, same, strict=True)]
    array = function(*(value.array for value in kept))
    lower = [x.power for x, at in zip(values, same, strict=True) if not at]
    rest = largest(*lower, *(value.rest for value in values))
    if power is None:
        return zero(array, rest)
    return Value(array, power, rest, odd_span(*(v.signs for v in kept if not v.is_zero)))


def total(values: list[Value]) -> Value:
    """Return the sum of values of one shape."""
    if len(values) == 1:
        return values[0]
    return join(values, lambda *arrays: sum(arrays[1:], arrays[0]))


def total_into(x: Value, fresh: Value) -> Value:
    """Return the sum of two values of one shape; the array of ``fresh`` may be written into."""
    if x.power is None or x.power != fresh.power or fresh.array.dtype != x.array.dtype:
        return total([x, fresh])
    rest = largest(x.rest, fresh.rest)
    array = fresh.array
    array += x.array
    return Value(array, x.power, rest, odd_span(x.signs, fresh.signs))
