"""Real roots of polynomials with exact coefficients, multiple ones too."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.exact import Constant

Powers = list[Fraction]
"""Coefficients, highest first."""


def real_roots(coefficients: tuple[Constant, ...]) -> tuple[float, ...]:
    """Return the real roots of a polynomial, given by its coefficients, lowest first.

    A root of multiplicity m comes out with an error of only the m-th root of the rounding error,
    and apart into m; so p is divided by what it has in common with its derivative, where its
    coefficients are rational.
    """
    import numpy as np

    known = [c.as_fraction() for c in reversed(coefficients)]
    exact = [c for c in known if c is not None]
    if len(exact) == len(known) > 3:
        common = _common(exact, _derivative(exact))
        values = [float(c) for c in _divided(exact, common)[0]]
    else:
        values = [c.value for c in reversed(coefficients)]
    roots = np.roots(values)
    return tuple(float(r.real) for r in roots if abs(r.imag) <= 1e-6 * (1 + abs(r)))


def _derivative(p: Powers) -> Powers:
    degree = len(p) - 1
    return [c * (degree - i) for i, c in enumerate(p[:-1])]


def _divided(p: Powers, q: Powers) -> tuple[Powers, Powers]:
    """Return quotient and remainder; the remainder has no leading zeros."""
    rest, quotient = list(p), []
    while len(rest) >= len(q):
        factor = rest[0] / q[0]
        quotient.append(factor)
        padded = q + [Fraction(0)] * (len(rest) - len(q))
        rest = [a - factor * b for a, b in zip(rest, padded, strict=True)][1:]
    while rest and not rest[0]:
        rest = rest[1:]
    return quotient, rest


def _common(p: Powers, q: Powers) -> Powers:
    """Return the greatest common divisor, with leading coefficient one."""
    while q:
        p, q = q, _divided(p, q)[1]
    return [c / p[0] for c in p]
