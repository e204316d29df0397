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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Value = float | NDArray[np.float64]
else:
    Value = Any

# asin(r) = r Q(r^2) on [0, 1/2]; Chebyshev interpolation, relative error 2e-16 after rounding
ARCSINE = (
    1.0,
    0.16666666666664942,
    0.07500000000385201,
    0.044642856805998936,
    0.03038195969768514,
    0.022371749733164054,
    0.01735977964134998,
    0.01388484282640208,
    0.012170138592391726,
    0.0065293020047365695,
    0.019513468251252167,
    -0.016187392271599134,
    0.03187962140081284,
)
HALF_PI = 1.5707963267948966
INVERSE_PI = 0.3183098861837907
SNAP = 1.0 - 1e-15  # cosines beyond this are those of collinear inputs, up to rounding


def select(condition: Any, yes: Value, no: Value) -> Any:
    """Return ``yes`` where the condition holds, else ``no`` (both are computed)."""
    return np.where(condition, yes, no)


def arcsine(x: Value) -> Any:
    """Return ``asin(x)`` for |x| <= 1 to 4e-16 relative error, by one polynomial and one root."""
    size = np.abs(x)
    large = size > 0.5
    t = select(large, 0.5 * (1.0 - size), size * size)
    c = ARCSINE
    high = (c[8] + t * c[9]) + (t * t) * ((c[10] + t * c[11]) + (t * t) * c[12])
    middle = (c[4] + t * c[5]) + (t * t) * (c[6] + t * c[7])
    low = (c[0] + t * c[1]) + (t * t) * (c[2] + t * c[3])
    q = t * t
    ratio = low + (q * q) * (middle + (q * q) * high)
    angle = select(large, HALF_PI - 2.0 * np.sqrt(t) * ratio, size * ratio)
    return np.copysign(angle, x)


def cosine(k: Value, inverse1: Value, inverse2: Value) -> Any:
    """Return the correlation, exactly 1 or -1 for inputs that are collinear up to rounding."""
    c = k * inverse1 * inverse2
    return select(np.abs(c) > SNAP, np.copysign(1.0, c), c)


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
    c = cosine(k, inverse1, inverse2)
    arc = np.sqrt((1.0 - c) * (1.0 + c)) + c * arcsine(c)
    return linear * k + (modulus * 2.0 * INVERSE_PI) * (norm1 * norm2) * arc


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
    return mean + (jump * 2.0 * INVERSE_PI) * arcsine(cosine(k, inverse1, inverse2))


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
    turn = horner(angle, c) * (HALF_PI + arcsine(c))
    return size * norm1 * norm2 * (turn + horner(sine, c) * np.sqrt((1.0 - c) * (1.0 + c)))


def probit_angle(
    k: Value, s1: Value, weight1: Value, root1: Value, s2: Value, weight2: Value, root2: Value
) -> tuple[Any, Any]:
    """Return ``asin(k / sqrt((1 + s1) (1 + s2)))`` and ``(1 + s1) (1 + s2) - k^2``.

    Both keep their relative accuracy for huge variances, where the sine is close to one: the
    gap ``1 - sine`` is taken from the determinant, which does not cancel.
    """
    determinant = 1.0 + s1 + s2 + np.maximum(s1 * s2 - k * k, 0.0)
    sine = np.abs(k) * root1 * root2
    gap = determinant * weight1 * weight2 / (1.0 + sine)
    large = sine > 0.5
    inner = arcsine(select(large, np.sqrt(0.5 * gap), np.minimum(sine, 0.5)))
    return np.copysign(select(large, HALF_PI - 2.0 * inner, inner), k), determinant


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
    k: Value, s1: Value, weight1: Value, root1: Value, s2: Value, weight2: Value, root2: Value
) -> Any:
    """Return ``E[u P(u) v P(v)]``, P the normal distribution function."""
    angle, determinant = probit_angle(k, s1, weight1, root1, s2, weight2, root2)
    density = 0.5 * INVERSE_PI / np.sqrt(determinant)
    orthant = 0.25 + 0.5 * INVERSE_PI * angle
    return k * orthant + density * (s1 * s2 + k * k * (weight1 + weight2 - 1.0))


def gelu_slope_pair(
    k: Value, s1: Value, weight1: Value, root1: Value, s2: Value, weight2: Value, root2: Value
) -> Any:
    """Return ``E[(P(u) + u P'(u)) (P(v) + v P'(v))]``."""
    angle, determinant = probit_angle(k, s1, weight1, root1, s2, weight2, root2)
    density = 0.5 * INVERSE_PI / np.sqrt(determinant)
    orthant = 0.25 + 0.5 * INVERSE_PI * angle
    return orthant + density * k * (weight1 + weight2 + 1.0 / determinant)


def sinusoid_pair(k: Value, q1: Value, q2: Value, size: float, squared: float, turn: float) -> Any:
    """Return ``size E[sin(b u + c) sin(b v + c)]`` with ``squared = b^2``, ``turn = cos(2 c)``."""
    reach = squared * np.abs(k)
    gap = -np.expm1(-2.0 * reach)  # 1 - exp(-2 reach) keeps small covariances exact
    odd = np.copysign(0.5 * gap, k)
    even = 1.0 - 0.5 * gap
    level = np.exp(reach - 0.5 * squared * (q1 + q2))
    return 0.5 * size * level * ((1.0 - turn) * even + (1.0 + turn) * odd)


def bell_pair(k: Value, q1: Value, q2: Value, size: float, slope: float, curvature: float) -> Any:
    """Return ``size E[g(u) g(v)]``, ``g(z) = exp(slope z + curvature z^2)``, curvature <= 0."""
    determinant = np.maximum(q1 * q2 - k * k, 0.0)
    spread = 1.0 - 2.0 * curvature * (q1 + q2) + 4.0 * curvature * curvature * determinant
    exponent = q1 + q2 + 2.0 * k - 4.0 * curvature * determinant
    return size * np.exp(0.5 * slope * slope * exponent / spread) / np.sqrt(spread)


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
    determinant = np.maximum(q1 * q2 - k * k, 0.0)
    spread = 1.0 - 2.0 * curvature * (q1 + q2) + 4.0 * curvature * curvature * determinant
    return size * k / (spread * np.sqrt(spread))
