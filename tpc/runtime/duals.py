"""Closed forms of ``E[phi(u) phi(v)]`` for jointly Gaussian u, v of mean zero.

Each form has a *side* function, which prepares what belongs to one variance (once per input), and a
*pair* function, which takes the covariance and both sides (once per pair of inputs). They are plain
Python over ``numpy``, without branches: NumPy runs them on arrays, Numba compiles the same text for
loops that LLVM vectorises, and generated modules contain the text of those that they use. Inputs:
variances q >= 0 and covariances k with ``k^2 <= q11 q22`` up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.runtime.bent import bent_pair as bent_pair
from tpc.runtime.bent import bent_side as bent_side
from tpc.runtime.elementary import (
    HALF_PI,
    INVERSE_PI,
    PI,
    arccosine_ratio,
    arcsine_ratio,
    decay,
    exponential,
    select,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Value = float | NDArray[np.float64]
else:
    Value = Any

ROUNDING = 2e-15
SNAP = 1.0 - 1e-15  # cosines beyond this are those of collinear inputs, up to rounding


def cosine(k: Value, inverse1: Value, inverse2: Value) -> Any:
    """Return the correlation, exactly 1 or -1 for inputs that are collinear up to rounding."""
    c = k * inverse1 * inverse2
    return select(np.abs(c) > SNAP, np.copysign(1.0, c), c)


def determinant_of(k: Value, q1: Value, q2: Value) -> Any:
    """Return ``q1 q2 - k^2``, zero for inputs that are collinear up to rounding."""
    whole = q1 * q2
    rest = whole - k * k
    return select(rest < ROUNDING * whole, 0.0, rest)


def norm_side(q: Value) -> tuple[Any, Any]:
    """Return the standard deviation and its inverse (0 for a variance of zero)."""
    norm = np.sqrt(q)
    return norm, select(norm > 0.0, 1.0 / select(norm > 0.0, norm, 1.0), 0.0)


def variance_side(q: Value) -> tuple[Any]:
    """Return the variance itself."""
    return (q,)


def rectified_side(q: Value, power: float) -> tuple[Any, Any]:
    """Return ``q^(power/2)`` and the inverse standard deviation (0 for a variance of zero)."""
    norm, inverse = norm_side(q)
    return norm**power, inverse


def probit_side(q: Value, twice: float) -> tuple[Any, Any, Any]:
    """Return ``s = twice * q``, ``1 / (1 + s)`` and its root, for functions of ``erf``."""
    s = twice * q
    weight = 1.0 / (1.0 + s)
    return s, weight, np.sqrt(weight)


def arc(c: Value) -> tuple[Any, Any, Any]:
    """Return ``|c|``, ``acos |c|`` and its sine for a cosine c, all exact where ``|c| = 1``.

    Pair functions of one cosine share this work where they stand in one loop: compilers find
    common subexpressions.
    """
    size = np.abs(c)
    sine = np.sqrt((1.0 - size) * (1.0 + size))
    return size, sine * arccosine_ratio(size), sine


def leaky_pair(
    k: Value,
    norm1: Value,
    inverse1: Value,
    norm2: Value,
    inverse2: Value,
    linear: float,
    modulus: float,
) -> Any:
    """Return ``linear * E[u v] + modulus * E|u v|``: relu, leaky relu, abs."""
    size, angle, sine = arc(cosine(k, inverse1, inverse2))
    collinear = linear * k + modulus * np.abs(k)
    return collinear + (modulus * 2.0 * INVERSE_PI) * (norm1 * norm2) * (sine - size * angle)


def threshold_pair(
    k: Value,
    norm1: Value,
    inverse1: Value,
    norm2: Value,
    inverse2: Value,
    mean: float,
    jump: float,
) -> Any:
    """Return ``mean + jump * E[sign(u) sign(v)]``: step and sign (arc-cosine, order 0)."""
    c = cosine(k, inverse1, inverse2)
    _, angle, _ = arc(c)
    return mean + (jump * 2.0 * INVERSE_PI) * np.copysign(HALF_PI - angle, c)


def horner(coefficients: Sequence[float], x: Value) -> Any:
    """Return the polynomial with these coefficients, highest first."""
    total = 0.0 * x
    for a in coefficients:
        total = total * x + a
    return total


def rectified_pair(
    k: Value,
    norm1: Value,
    inverse1: Value,
    norm2: Value,
    inverse2: Value,
    size: float,
    angle: Sequence[float],
    sine: Sequence[float],
) -> Any:
    """Return ``size norm1 norm2 (A(c) (pi - t) + B(c) sin t)``: rectified powers."""
    c = cosine(k, inverse1, inverse2)
    _, acute, root = arc(c)
    turn = horner(angle, c) * select(c < 0.0, acute, PI - acute)
    return size * norm1 * norm2 * (turn + horner(sine, c) * root)


def probit_angle(
    k: Value, s1: Value, weight1: Value, root1: Value, s2: Value, weight2: Value, root2: Value
) -> tuple[Any, Any]:
    """Return ``asin(k / sqrt((1 + s1) (1 + s2)))`` and ``(1 + s1) (1 + s2) - k^2``.

    Both keep their relative accuracy for huge variances, where the sine is close to one: the
    gap ``1 - sine`` is taken from the determinant, which does not cancel.
    """
    determinant = 1.0 + s1 + s2 + determinant_of(k, s1, s2)
    sine = np.abs(k) * root1 * root2
    large = sine > 0.5
    square = select(large, 0.5 * determinant * weight1 * weight2 / (1.0 + sine), sine * sine)
    angle = select(large, np.sqrt(square), sine) * arcsine_ratio(square)
    return np.copysign(select(large, HALF_PI - 2.0 * angle, angle), k), determinant


def two_sided_pair(
    k: Value,
    norm1: Value,
    inverse1: Value,
    norm2: Value,
    inverse2: Value,
    same: float,
    other: float,
    angle: Sequence[float],
    sine: Sequence[float],
) -> Any:
    """Return ``E[phi(u) phi(v)]`` for multiples of ``z^p`` above and of ``(-z)^p`` below zero."""
    c = cosine(k, inverse1, inverse2)
    _, acute, root = arc(c)
    wide = PI - acute
    turn = horner(angle, c) * select(c < 0.0, acute, wide) + horner(sine, c) * root
    back = horner(angle, -c) * select(c < 0.0, wide, acute) + horner(sine, -c) * root
    return norm1 * norm2 * (same * turn + other * back)


def erf_pair(
    k: Value,
    s1: Value,
    weight1: Value,
    root1: Value,
    s2: Value,
    weight2: Value,
    root2: Value,
    size: float,
    twice: float,
) -> Any:
    """Return ``size E[erf(b u) erf(b v)]``, ``twice = 2 b^2`` (arcsine kernel, Williams 1996)."""
    angle, _ = probit_angle(twice * k, s1, weight1, root1, s2, weight2, root2)
    return (size * 2.0 * INVERSE_PI) * angle


def gelu_pair(
    k: Value,
    s1: Value,
    weight1: Value,
    root1: Value,
    s2: Value,
    weight2: Value,
    root2: Value,
    size: float = 1.0,
    square: float = 1.0,
) -> Any:
    """Return ``size E[b u P(b u) b v P(b v)]``, P the normal distribution, ``b^2 = square``."""
    k = square * k
    angle, determinant = probit_angle(k, s1, weight1, root1, s2, weight2, root2)
    inverse = 1.0 / np.sqrt(determinant)
    orthant = 0.25 + 0.5 * INVERSE_PI * angle
    density = 0.5 * INVERSE_PI * inverse
    rest = determinant_of(k, s1, s2) + k * k * (weight1 + weight2)
    return size * (k * orthant + density * rest)


def gelu_slope_pair(
    k: Value,
    s1: Value,
    weight1: Value,
    root1: Value,
    s2: Value,
    weight2: Value,
    root2: Value,
    size: float = 1.0,
    square: float = 1.0,
) -> Any:
    """Return ``size E[g(b u) g(b v)]`` for the derivative ``g(z) = P(z) + z P'(z)`` of gelu."""
    k = square * k
    angle, determinant = probit_angle(k, s1, weight1, root1, s2, weight2, root2)
    inverse = 1.0 / np.sqrt(determinant)
    orthant = 0.25 + 0.5 * INVERSE_PI * angle
    density = 0.5 * INVERSE_PI * inverse
    return size * (orthant + density * k * (weight1 + weight2 + inverse * inverse))


def sinusoid_pair(k: Value, q1: Value, q2: Value, size: float, squared: float, turn: float) -> Any:
    """Return ``size E[sin(b u + c) sin(b v + c)]`` with ``squared = b^2``, ``turn = cos(2 c)``."""
    reach = squared * np.abs(k)
    _, gap = decay(2.0 * reach)  # 1 - exp(-2 reach) keeps small covariances exact
    odd = np.copysign(0.5 * gap, k)
    even = 1.0 - 0.5 * gap
    whole = 0.5 * squared * (q1 + q2)
    apart = whole - reach  # (b u - b v)^2 / 2 on average: zero for equal inputs up to rounding
    level = exponential(select(apart < ROUNDING * whole, 0.0, -apart))
    return 0.5 * size * level * ((1.0 - turn) * even + (1.0 + turn) * odd)


def bell_pair(k: Value, q1: Value, q2: Value, size: float, slope: float, curvature: float) -> Any:
    """Return ``size E[g(u) g(v)]``, ``g(z) = exp(slope z + curvature z^2)``, curvature <= 0."""
    determinant = determinant_of(k, q1, q2)
    spread = 1.0 - 2.0 * curvature * (q1 + q2) + 4.0 * curvature * curvature * determinant
    if slope == 0.0:  # decided before any loop: parameters are constants
        return size / np.sqrt(spread)
    exponent = q1 + q2 + 2.0 * k - 4.0 * curvature * determinant
    return size * exponential(0.5 * slope * slope * exponent / spread) / np.sqrt(spread)


def polynomial_pair(k: Value, q1: Value, q2: Value, rows: Sequence[Sequence[float]]) -> Any:
    """Return ``sum_k b_k(q1) b_k(q2) k^k``, row k the coefficients of the polynomial b_k."""
    total = 0.0 * (k + q1 + q2)
    power = 1.0 + 0.0 * k
    for row in rows:
        total = total + power * horner(row, q1) * horner(row, q2)
        power = power * k
    return total


def bell_slope_pair(k: Value, q1: Value, q2: Value, size: float, curvature: float) -> Any:
    """Return ``size E[u g(u) v g(v)]``, ``g(z) = exp(curvature z^2)``, curvature <= 0."""
    determinant = determinant_of(k, q1, q2)
    spread = 1.0 - 2.0 * curvature * (q1 + q2) + 4.0 * curvature * curvature * determinant
    return size * k / (spread * np.sqrt(spread))
