"""Elementary functions without branches and without calls, for loops that LLVM vectorises.

The same text runs on NumPy arrays and, compiled by Numba, on floats. Polynomials interpolate at
Chebyshev points; their coefficients were computed with 60 digits. Errors are measured in
tests/codegen against mpmath.
"""

from __future__ import annotations

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
# acos(x) = sqrt(1 - x^2) Q(x) on [0, 1], relative error 4e-17 before rounding
ARCCOSINE = (
    1.5707963267948966,
    -0.9999999999999529,
    0.7853981633905049,
    -0.6666666662580302,
    0.5890486097502492,
    -0.5333330866712398,
    0.4908706599358994,
    -0.45711347661332785,
    0.42931439926027737,
    -0.40530872335107504,
    0.38234691783455743,
    -0.3558499403714,
    0.3192390557082715,
    -0.26679126490806065,
    0.19925906312148273,
    -0.12717668042394004,
    0.06615518234572865,
    -0.026562559138252253,
    0.007650668040509224,
    -0.0013978215054094784,
    0.00012117305831116537,
)
# expm1(r) = r Q(r) for |r| <= log(2)/2, relative error 3e-19 before rounding
EXPONENTIAL = (
    1.0,
    0.5,
    0.1666666666666668,
    0.04166666666666668,
    0.008333333333319589,
    0.0013888888888879073,
    0.00019841269890076403,
    2.4801587336442236e-05,
    2.755724088722987e-06,
    2.75572632790885e-07,
    2.5110049204818658e-08,
    2.0918137737642736e-09,
)
HALF_PI = 1.5707963267948966
PI = 3.141592653589793
INVERSE_PI = 0.3183098861837907
LOG2_HIGH = 0.6931471803691238  # 33 bits: its products with whole numbers of 11 bits are exact
LOG2_LOW = 1.9082149292705877e-10
INVERSE_LOG2 = 1.4426950408889634
ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to whole numbers in the lowest bits
LEAST = -708.0  # from here on exp is a normal number
LARGEST = 709.4  # up to here its power of two is


def select(condition: Any, yes: Value, no: Value) -> Any:
    """Return ``yes`` where the condition holds, else ``no`` (both are computed)."""
    return np.where(condition, yes, no)


def arcsine_ratio(t: Value) -> Any:
    """Return ``asin(r) / r`` for ``t = r^2`` up to 1/4, to 3e-16."""
    c = ARCSINE
    high = (c[8] + t * c[9]) + (t * t) * ((c[10] + t * c[11]) + (t * t) * c[12])
    middle = (c[4] + t * c[5]) + (t * t) * (c[6] + t * c[7])
    low = (c[0] + t * c[1]) + (t * t) * (c[2] + t * c[3])
    q = t * t
    return low + (q * q) * (middle + (q * q) * high)


def arcsine(x: Value) -> Any:
    """Return ``asin(x)`` for |x| <= 1 to 4e-16 relative error, by one polynomial and one root."""
    size = np.abs(x)
    large = size > 0.5
    t = select(large, 0.5 * (1.0 - size), size * size)
    ratio = arcsine_ratio(t)
    angle = select(large, HALF_PI - 2.0 * np.sqrt(t) * ratio, size * ratio)
    return np.copysign(angle, x)


def arccosine_ratio(x: Value) -> Any:
    """Return ``acos(x) / sqrt(1 - x^2)`` for x from 0 to 1 (where it is 1), to 8e-16."""
    c = ARCCOSINE
    y = x * x
    z = y * y
    first = c[0] + z * (c[4] + z * (c[8] + z * (c[12] + z * (c[16] + z * c[20]))))
    second = c[1] + z * (c[5] + z * (c[9] + z * (c[13] + z * c[17])))
    third = c[2] + z * (c[6] + z * (c[10] + z * (c[14] + z * c[18])))
    fourth = c[3] + z * (c[7] + z * (c[11] + z * (c[15] + z * c[19])))
    return (first + x * second) + y * (third + x * fourth)


def exponential_parts(x: Value) -> tuple[Any, Any]:
    """Return p = 2^n and q with ``exp(x) = p + p q`` and |q| < 1/2, for x in [-708, 709.4]."""
    t = x * INVERSE_LOG2 + ROUND
    n = t - ROUND
    r = (x - n * LOG2_HIGH) - n * LOG2_LOW
    c = EXPONENTIAL
    s = r * r
    low = (c[0] + r * c[1]) + s * (c[2] + r * c[3])
    middle = (c[4] + r * c[5]) + s * (c[6] + r * c[7])
    high = (c[8] + r * c[9]) + s * (c[10] + r * c[11])
    bits = (np.float64(t).view(np.int64) + 1023) << 52
    return np.int64(bits).view(np.float64), r * (low + (s * s) * (middle + (s * s) * high))


def exponential(x: Value) -> Any:
    """Return ``exp(x)`` to 3e-16 relative error; below 3e-308 zero, above 1e308 infinity."""
    power, rest = exponential_parts(select(x < LEAST, LEAST, select(x > LARGEST, LARGEST, x)))
    value = select(x < LEAST, 0.0, power + power * rest)
    return select(x > LARGEST, np.inf, value)


def decay(x: Value) -> tuple[Any, Any]:
    """Return ``exp(-x)`` and ``1 - exp(-x)`` for x >= 0, both to 1e-15 relative error."""
    power, rest = exponential_parts(select(x > -LEAST, LEAST, -x))
    product = power * rest
    return power + product, (1.0 - power) - product
