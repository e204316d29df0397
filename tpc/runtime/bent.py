"""Closed forms for functions that are polynomials between kinks at any places.

Such a function is ``p(z) + sum of c (d z - t)_+^m``: p is the polynomial around zero, every term is
what a kink at ``d t`` adds beyond it, t >= 0 and d = 1 or -1. Its expectations follow from those of
``(x - s)_+^m (y - t)_+^n`` for standard normal x and y with correlation rho. Integration by parts
leads to the probability of ``x > s, y > t``, which Owen's function T gives (Owen 1956, Tables for
computing bivariate normal probabilities): its integral is taken with a fixed rule, to 1e-16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.runtime.elementary import exponential, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Value = float | NDArray[np.float64]
else:
    Value = Any

# Q(y) / density(y) = P(t) / (1 + y), t = (y - 4) / (y + 4), for y >= 0: highest power first;
# Chebyshev interpolation with 50 digits, relative error 7e-16 after rounding
MILLS = (
    -3.986306042239452e-09,
    3.9442426289329316e-09,
    4.433762985649264e-08,
    -2.0416884478429953e-08,
    -2.777501005754317e-07,
    -3.819456387591102e-08,
    1.3825460500000433e-06,
    1.0510235287484156e-06,
    -6.548558179103516e-06,
    -8.624671593728752e-06,
    3.41569782984747e-05,
    5.3274076661035984e-05,
    -0.00022021512394531682,
    -0.00023670351432175782,
    0.001741848705711217,
    -0.0007159506400916629,
    -0.012539103614686712,
    0.04495912905478871,
    -0.08070800967927583,
    0.07169048120230266,
    0.0350918802347507,
    -0.24239967052181807,
    1.1832619145678034,
)
# squares of Gauss-Legendre nodes on [0, 1], and weights over 2 pi
OWEN = (
    (8.50025523458158e-05, 0.003754093988968122),
    (0.0022983751314813138, 0.008509961171535326),
    (0.013236194835733074, 0.012738628634781013),
    (0.04257661771354559, 0.016167550119118173),
    (0.09990925341472198, 0.01858074568257206),
    (0.19130414739611565, 0.019826491948972975),
    (0.31653755590758453, 0.019826491948972975),
    (0.46774075241290214, 0.01858074568257206),
    (0.629894572000163, 0.016167550119118173),
    (0.7831388690300378, 0.012738628634781013),
    (0.9064156315019563, 0.008509961171535326),
    (0.9816456367990649, 0.003754093988968122),
)
DENSITY = 0.3989422804014327  # of the standard normal at zero
FARTHEST = 1e3  # standard deviations: nothing is left beyond
NEAREST = 1e-150  # stands for a threshold of zero: then no ratio is 0 / 0
SHARPEST = 1e-30  # the least standard deviation of v given u: below, inputs count as collinear
GAP = 2e-15  # what rounding leaves of 1 - rho^2
WORST = 5e4  # squares of terms, over that of their sum, for which 1e-11 are not met


def density(y: Value) -> Any:
    """Return the standard normal density."""
    return DENSITY * exponential(-0.5 * y * y)


def upper_tail(y: Value) -> Any:
    """Return the probability that a standard normal exceeds y."""
    size = np.abs(y)
    t = (size - 4.0) / (size + 4.0)
    ratio = 0.0 * t
    for a in MILLS:
        ratio = ratio * t + a
    far = ratio / (1.0 + size) * density(size)
    return select(y < 0.0, 1.0 - far, far)


def wedge(s: Value, beyond: Value, a: Value, above: Value) -> Any:
    """Return Owen's ``T(s, a / s)`` for s > 0; ``beyond = Q(s)``, ``above = Q(|a|)``."""
    leg = np.abs(a)
    steep = leg > s
    high = select(steep, leg, s)
    ratio = select(steep, s, leg) / high
    square, cut = 0.5 * high * high, ratio * ratio
    total = 0.0 * ratio
    for x, w in OWEN:
        reach = 1.0 + cut * x
        total = total + w * exponential(-square * reach) / reach
    total = total * ratio
    flat = 0.5 * (beyond + above) - beyond * above - total
    return np.copysign(select(steep, flat, total), a)


def powers_above(
    rho: Value,
    rest: Value,
    s: Value,
    t: Value,
    one: tuple[Any, Any, Any],
    two: tuple[Any, Any, Any],
) -> Any:
    """Return ``E f(x) g(y)``, ``f(x) = one[0] + one[1] (x - s) + one[2] (x - s)^2`` for x > s.

    g is the same of y, t and ``two``; ``rest = 1 - rho^2``.
    """
    root = np.sqrt(rest)
    steep = 1.0 / select(root < SHARPEST, SHARPEST, root)
    gap = rest / (1.0 + np.abs(rho))
    a = select(rho > 0.0, (t - s) + s * gap, t - rho * s)  # t - rho s, without cancellation
    b = select(rho > 0.0, (s - t) + t * gap, s - rho * t)
    tail_s, tail_t = upper_tail(s), upper_tail(t)
    tail_a, tail_b = upper_tail(np.abs(a) * steep), upper_tail(np.abs(b) * steep)
    corner = wedge(s, tail_s, a * steep, tail_a) + wedge(t, tail_t, b * steep, tail_b)
    chance = 0.5 * (tail_s + tail_t) - corner
    # density of x at s times the probability of y > t there, and the other way round
    x = density(s) * select(a < 0.0, 1.0 - tail_a, tail_a)
    y = density(t) * select(b < 0.0, 1.0 - tail_b, tail_b)
    both = root * density(s) * density(a * steep)
    m01, m10 = y - t * chance + rho * x, x - s * chance + rho * y
    m11 = (s * t + rho) * chance - s * y - t * x + both
    m02 = chance - t * m01 + rho * (both - a * x)
    m20 = chance - s * m10 + rho * (both - b * y)
    m12 = (rest + a * a) * x - a * both - s * m02 + 2.0 * rho * m01
    m21 = (rest + b * b) * y - b * both - t * m20 + 2.0 * rho * m10
    m22 = m02 - s * m12 + 2.0 * rho * m11
    low = one[0] * (two[0] * chance + two[1] * m01 + two[2] * m02)
    middle = one[1] * (two[0] * m10 + two[1] * m11 + two[2] * m12)
    return low + middle + one[2] * (two[0] * m20 + two[1] * m21 + two[2] * m22)


def threshold(t: float, inverse: Value) -> Any:
    """Return a threshold in standard deviations; ``inverse`` is one over that."""
    s = t * inverse
    return select(s > FARTHEST, FARTHEST, select(s < NEAREST, NEAREST, s))


def bent_side(
    q: Value, base: Sequence[float], terms: Sequence[Sequence[float]]
) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any]:
    """Return the deviation, its inverse and Hermite coefficients of p and of the terms.

    NaN where terms cancel so much that rounding would leave more than 1e-11 of the second moment.
    A term is ``(d, t, c0, c1, c2)``; ``base`` are the coefficients of p.
    """
    norm = np.sqrt(q)
    inverse = 1.0 / select(norm > NEAREST, norm, NEAREST)
    p0, p1, p2 = base[0] + base[2] * q, base[1] * norm, 2.0**0.5 * base[2] * q
    h0, h1, h2 = 0.0 * q, 0.0 * q, 0.0 * q
    noise = np.abs(p0) + np.abs(p1) + np.abs(p2)
    for d, t, c0, c1, c2 in terms:
        s, b1, b2 = threshold(t, inverse), c1 * norm, c2 * q
        tail, level = upper_tail(s), density(s)
        ramp = level - s * tail
        h0 = h0 + c0 * tail + b1 * ramp + b2 * (tail - s * ramp)
        h1 = h1 + d * (c0 * level + b1 * tail + 2.0 * b2 * ramp)
        h2 = h2 + 0.5**0.5 * (c0 * s * level + b1 * level + 2.0 * b2 * tail)
        size = np.abs(c0) + (1.0 + s) * (np.abs(b1) + (1.0 + s) * np.abs(b2))
        noise = noise + select(s > 9.0, 0.0, size)
    side = (norm, inverse, p0, p1, p2, h0, h1, h2)
    moment = bent_pair(q, *side, *side, terms)
    norm = select(noise * noise > WORST * np.abs(moment), np.nan, norm)
    return norm, inverse, p0, p1, p2, h0, h1, h2


def bent_pair(
    k: Value,
    norm1: Value,
    inverse1: Value,
    p0: Value,
    p1: Value,
    p2: Value,
    h0: Value,
    h1: Value,
    h2: Value,
    norm2: Value,
    inverse2: Value,
    r0: Value,
    r1: Value,
    r2: Value,
    g0: Value,
    g1: Value,
    g2: Value,
    terms: Sequence[Sequence[float]],
) -> Any:
    """Return ``E[phi(u) phi(v)]`` of a function with kinks at any places (see above)."""
    rho = k * inverse1 * inverse2
    gap = (1.0 - rho) * (1.0 + rho)
    rest = select(gap < GAP, 0.0, gap)
    rho = select(gap < GAP, np.copysign(1.0, rho), rho)
    total = p0 * r0 + p0 * g0 + h0 * r0
    total = total + rho * (p1 * r1 + p1 * g1 + h1 * r1)
    total = total + rho * rho * (p2 * r2 + p2 * g2 + h2 * r2)
    square1, square2 = norm1 * norm1, norm2 * norm2
    for d, s, c0, c1, c2 in terms:
        for e, t, b0, b1, b2 in terms:
            one, two = (c0, c1 * norm1, c2 * square1), (b0, b1 * norm2, b2 * square2)
            places = threshold(s, inverse1), threshold(t, inverse2)
            total = total + powers_above(d * e * rho, rest, *places, one, two)
    return total
