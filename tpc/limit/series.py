"""Expectations without a closed form: Hermite series with a measured tail, else quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tpc.limit.quadrature import pair_expectation
from tpc.runtime.hermite import MAX_TERMS, SPAN, WIDE_SPAN, hermite_series, series_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.ops.activations import Activation

    Array = NDArray[np.float64]

_FLOOR = 4e-15  # what rounding alone leaves in a sum of many terms


def series_expectation(
    phi: Activation, q11: Array, q12: Array, q22: Array, tolerance: float
) -> tuple[Array, float]:
    """Return ``E[phi(u) phi(v)]`` and the largest relative error.

    Errors are relative to ``sqrt(E phi(u)^2 E phi(v)^2)``.

    The number of terms doubles until the tail bound meets the tolerance; pairs for which
    ``MAX_TERMS`` do not suffice are integrated directly.
    """
    shape = q12.shape
    a, k, b = q11.ravel(), q12.ravel(), q22.ravel()
    variances, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    left, right = place[: a.size], place[a.size :]
    scale = np.sqrt(a) * np.sqrt(b)
    rho = np.clip(np.divide(k, scale, out=np.zeros_like(k), where=scale > 0), -1.0, 1.0)
    kinks, wide = phi.kinks(), phi.growth.kind != "polynomial"
    value, bound = np.empty_like(k), np.full(k.shape, np.inf)
    todo = np.arange(k.size)
    count = 32
    while todo.size and count <= MAX_TERMS:
        terms, moments, errors = hermite_series(phi.numpy, variances, count, kinks, wide)
        size = np.sqrt(moments) + 1e-300
        # what the subtraction cannot resolve counts as tail
        left_over = 1.0 - ((terms / size[:, None]) ** 2).sum(axis=1)
        tail = np.sqrt(np.maximum(left_over, 0.0) + np.maximum(errors, _FLOOR))
        i, j, r = left[todo], right[todo], rho[todo]
        value[todo] = series_sum(terms[i], terms[j], r)
        rest = np.minimum(np.abs(r) ** count, 1.0) * tail[i] * tail[j]
        bound[todo] = rest + errors[i] + errors[j] + _FLOOR
        todo = todo[~(bound[todo] <= tolerance)]
        count *= 2
    if todo.size:
        _integrate(
            phi.numpy, (a, b, rho), todo, (kinks, wide), tolerance, value, bound, moments[left]
        )
    return value.reshape(shape), float(bound.max(initial=0.0))


def _integrate(
    phi: Callable[[Array], Array],
    where: tuple[Array, Array, Array],
    todo: NDArray[np.intp],
    shape: tuple[tuple[float, ...], bool],
    tolerance: float,
    value: Array,
    bound: Array,
    moments: Array,
) -> None:
    a, b, rho = where
    kinks, wide = shape
    span = WIDE_SPAN if wide else SPAN
    seen: dict[tuple[float, float, float], tuple[float, float]] = {}
    for i in todo:
        key = (float(a[i]), float(b[i]), float(rho[i]))
        if key not in seen:
            deviations = (float(np.sqrt(a[i])), float(np.sqrt(b[i])))
            size = float(moments[i]) + 1e-300
            found, error = pair_expectation(
                phi, phi, deviations, key[2], (kinks, kinks), span, 0.1 * tolerance * size
            )
            seen[key] = (found, error / size)
        value[i], bound[i] = seen[key][0], seen[key][1] + _FLOOR
