"""Expectations without a closed form: Hermite series with a measured tail, else quadrature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tpc.limit.quadrature import pair_expectation
from tpc.limit.ridges import ridge_expectations
from tpc.runtime.duals import SNAP
from tpc.runtime.hermite import (
    MAX_TERMS,
    SPAN,
    WIDE_SPAN,
    hermite_series,
    relative_tails,
    series_sum,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.ops.activations import Activation

    Array = NDArray[np.float64]
    Side = tuple[Array, Array, Array, Array]

NEAR = 0.98  # series of functions with kinks are not tried beyond this correlation
_FLOOR = 4e-15  # what rounding alone leaves in a sum of many terms


def series_expectation(
    phi: Activation,
    q11: Array,
    q12: Array,
    q22: Array,
    tolerance: float,
    psi: Activation | None = None,
) -> tuple[Array, float]:
    """Return ``E[phi(u) psi(v)]`` and the largest relative error; psi is phi where none is given.

    Errors are relative to ``sqrt(E phi(u)^2 E psi(v)^2)``.

    The number of terms doubles until the tail bound meets the tolerance; pairs for which
    ``MAX_TERMS`` do not suffice are integrated directly.
    """
    shape = q12.shape
    both = (phi, phi if psi is None else psi)
    a, k, b = q11.ravel(), q12.ravel(), q22.ravel()
    scale = np.sqrt(a) * np.sqrt(b)
    rho = np.divide(k, scale, out=np.zeros_like(k), where=scale > 0)
    rho = np.where(np.abs(rho) > SNAP, np.sign(rho), rho)
    value, bound, size = np.empty_like(k), np.full(k.shape, np.inf), np.ones_like(k)
    hopeless = (np.abs(rho) > NEAR) & bool(phi.kinks() and both[1].kinks())
    for each, q in zip(both, (a, b), strict=True):
        variances, place = np.unique(q[hopeless], return_inverse=True)
        moments = _moments(each, variances)[place]
        size[hopeless] *= np.maximum(np.sqrt(moments), 1e-150)
    todo = np.flatnonzero(~hopeless)
    count = 32
    while todo.size and count <= MAX_TERMS:
        left, right = _sides(both, a[todo], b[todo], count)
        r = rho[todo]
        value[todo] = series_sum(left[0], right[0], r)
        rest = np.minimum(np.abs(r) ** count, 1.0) * left[2] * right[2]
        bound[todo] = rest + left[3] + right[3] + _FLOOR
        size[todo] = np.sqrt(left[1]) * np.sqrt(right[1]) + 1e-300
        todo = todo[~(bound[todo] <= tolerance)]
        count *= 2
    todo = np.concatenate([todo, np.flatnonzero(hopeless)])
    if todo.size:
        found, place = np.unique(np.stack([a, b, rho])[:, todo], axis=1, return_inverse=True)
        sizes = np.zeros(found.shape[1])
        np.maximum.at(sizes, place.ravel(), size[todo])
        values, errors = _integrated(both, found, sizes, tolerance)
        value[todo], bound[todo] = values[place.ravel()], errors[place.ravel()]
    return value.reshape(shape), float(bound.max(initial=0.0))


def _sides(
    both: tuple[Activation, Activation], a: Array, b: Array, count: int
) -> tuple[Side, Side]:
    """Return coefficients, second moments, tails and errors of both functions, for every pair."""
    if both[0] != both[1]:
        return _side(both[0], a, count), _side(both[1], b, count)
    terms, moments, tails, errors = _side(both[0], np.concatenate([a, b]), count)
    n = a.size
    return (
        (terms[:n], moments[:n], tails[:n], errors[:n]),
        (terms[n:], moments[n:], tails[n:], errors[n:]),
    )


def _side(phi: Activation, variances: Array, count: int) -> Side:
    distinct, place = np.unique(variances, return_inverse=True)
    found = hermite_series(phi.numpy, distinct, count, phi.kinks(), _wide(phi))
    # what the subtraction from the second moment cannot resolve counts as tail
    terms, moments, errors = found
    tails = relative_tails(terms, moments, np.maximum(errors, _FLOOR))
    return terms[place], moments[place], tails[place], errors[place]


def _moments(phi: Activation, variances: Array) -> Array:
    """Return ``E phi(u)^2`` (N,) at variances."""
    if not variances.size:
        return variances
    return hermite_series(phi.numpy, variances, 1, phi.kinks(), _wide(phi))[1]


def _wide(phi: Activation) -> bool:
    return phi.growth.kind != "polynomial"


def _integrated(
    both: tuple[Activation, Activation], where: Array, sizes: Array, tolerance: float
) -> tuple[Array, Array]:
    """Return expectations and their relative errors; ``where`` are variances and correlations."""
    phi, psi = both
    wide = _wide(phi) or _wide(psi)
    kinks = (phi.kinks(), psi.kinks())
    one, two, rho = np.sqrt(where[0]), np.sqrt(where[1]), where[2]
    value, error = np.zeros_like(rho), np.full_like(rho, np.inf)
    if not wide:
        value, error = ridge_expectations(phi.numpy, psi.numpy, (one, two), rho, kinks)
    for i in np.flatnonzero(~(error <= 0.5 * tolerance * sizes)):
        value[i], error[i] = pair_expectation(
            phi.numpy,
            psi.numpy,
            (float(one[i]), float(two[i])),
            float(rho[i]),
            kinks,
            WIDE_SPAN if wide else SPAN,
            0.1 * tolerance * sizes[i],
        )
    return value, error / sizes + _FLOOR
