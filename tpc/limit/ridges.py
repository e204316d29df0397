"""Quadrature of ``E[phi(u) psi(v)]`` for many pairs at once, cut at all kinks.

For nearly equal inputs the mass lies on a ridge, u and v change together, and kinks of v cross it
within a few widths. With ``u = s1 x, v = s2 (rho x + r y)``, r the root of ``1 - rho^2``, the outer
integral over x is cut at the kinks of phi, and where kinks of psi cross the ridge into panels of
the size of r; the inner one is cut at psi's kinks there, and a Gauss-Hermite rule elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

MAX_KINKS = 12
"""Of either function, within reach: for more, single pairs are integrated."""
LEAST = 0.8
"""The least correlation that counts as a ridge."""
CHUNK = 64
"""Pairs that are integrated at a time."""
SPAN, ACROSS = 12.0, 9.5
"""Standard deviations along and across the ridge: 1e-32 and 1e-21 of the mass are beyond."""
_ZONE = np.array([-9.0, -6.0, -3.5, -1.5, 0.0, 1.5, 3.5, 6.0, 9.0])
_LEVELS = ((20, 12, 32, 20), (26, 14, 40, 24))
"""Outer panels, their nodes, nodes between kinks, nodes of the Gauss-Hermite rule."""


def ridge_expectations(
    phi: Function,
    psi: Function,
    deviations: tuple[Array, Array],
    rho: Array,
    kinks: tuple[Sequence[float], Sequence[float]],
) -> tuple[Array, Array]:
    """Return expectations (P,) and error estimates (P,): the change under a finer rule.

    The estimate is infinite where there is no ridge: at correlations below ``LEAST``.
    """
    reach = [SPAN * s.max(initial=0.0) for s in deviations]
    first, second = ([z for z in each if abs(z) < r] for each, r in zip(kinks, reach, strict=True))
    value, error = np.zeros_like(rho), np.full_like(rho, np.inf)
    if max(len(first), len(second)) > MAX_KINKS:
        return value, error
    near = np.flatnonzero(np.abs(rho) >= LEAST)
    for start in range(0, near.size, CHUNK):
        part = near[start : start + CHUNK]
        at = (deviations[0][part], deviations[1][part], rho[part])
        coarse, fine = (_rule(phi, psi, at, (first, second), level) for level in _LEVELS)
        value[part], error[part] = fine, np.abs(fine - coarse)
    return value, error


def _rule(
    phi: Function,
    psi: Function,
    at: tuple[Array, Array, Array],
    kinks: tuple[Sequence[float], Sequence[float]],
    level: tuple[int, int, int, int],
) -> Array:
    s1, s2, rho = at
    rest = np.sqrt((1.0 - rho) * (1.0 + rho))
    panels, order, between, smooth = level
    first, second = (
        np.asarray(z)[None, :] / np.maximum(s, 1e-300)[:, None]
        for z, s in zip(kinks, (s1, s2), strict=True)
    )
    x, weight = _outer(first, second / rho[:, None], (rest / np.abs(rho))[:, None], panels, order)
    values = weight * _bell(x) * phi(s1[:, None] * x)
    pair = np.broadcast_to(np.arange(rho.size)[:, None], x.shape)
    places = (second[:, None, :] - (rho[:, None] * x)[:, :, None]) / np.maximum(rest, 1e-300)[
        :, None, None
    ]
    crossed = (np.abs(places) < -_ZONE[0]).any(axis=2)
    inner = np.empty_like(x)
    for mask, rule in ((crossed, _cut), (~crossed, _plain)):
        i = pair[mask]
        centre, width = s2[i] * rho[i] * x[mask], s2[i] * rest[i]
        inner[mask] = rule(psi, centre, width, places[mask], between if rule is _cut else smooth)
    return np.asarray((values * inner).sum(axis=1))


def _outer(
    first: Array, second: Array, width: Array, panels: int, order: int
) -> tuple[Array, Array]:
    """Return nodes and weights (P, nodes): panels cut at kinks, fine where v's cross the ridge."""
    count = len(first)
    uniform = np.broadcast_to(np.linspace(-SPAN, SPAN, panels + 1), (count, panels + 1))
    zones = (second[:, :, None] + width[:, :, None] * _ZONE).reshape(
        count, second.shape[1] * _ZONE.size
    )
    cuts = np.clip(np.concatenate([first, zones], axis=1), -SPAN, SPAN)
    return _panels(np.sort(np.concatenate([uniform, cuts], axis=1), axis=1), order)


def _panels(edges: Array, order: int) -> tuple[Array, Array]:
    node, weight = np.polynomial.legendre.leggauss(order)
    centre, half = (edges[:, 1:] + edges[:, :-1]) / 2, (edges[:, 1:] - edges[:, :-1]) / 2
    shape = (len(edges), (edges.shape[1] - 1) * order)
    nodes = (centre[:, :, None] + half[:, :, None] * node).reshape(shape)
    return nodes, (half[:, :, None] * weight).reshape(shape)


def _cut(psi: Function, centre: Array, width: Array, places: Array, order: int) -> Array:
    """Return ``E psi(centre + width y)``, the integral cut at the kinks ``places`` (n, kinks)."""
    ends = np.broadcast_to([-ACROSS, ACROSS], (len(places), 2))
    edges = np.sort(np.concatenate([ends, np.clip(places, -ACROSS, ACROSS)], axis=1), axis=1)
    y, weight = _panels(edges, order)
    values = psi(centre[:, None] + width[:, None] * y)
    return np.asarray((values * weight * _bell(y)).sum(axis=1))


def _plain(psi: Function, centre: Array, width: Array, places: Array, order: int) -> Array:
    """Return the same by the Gauss-Hermite rule, where no kink is near."""
    y, weight = np.polynomial.hermite_e.hermegauss(order)
    return np.asarray(psi(centre[:, None] + width[:, None] * y) @ (weight / np.sqrt(2 * np.pi)))


def _bell(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))
