"""Two-dimensional quadrature of ``E[phi(u) psi(v)]``, for the pairs that no series serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tpc.runtime.hermite import SPAN, panel_nodes

Array = NDArray[np.float64]
_TRANSITION = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])


def pair_expectation(
    phi: Callable[[Array], Array],
    psi: Callable[[Array], Array],
    deviations: tuple[float, float],
    rho: float,
    kinks: tuple[Sequence[float], Sequence[float]],
    span: float = SPAN,
    tolerance: float = 1e-12,
) -> tuple[float, float]:
    """Return ``E[phi(s1 x) psi(s2 (rho x + sqrt(1 - rho^2) y))]`` and an error estimate.

    Panels are cut at the kinks of both functions; where |rho| is near one, the inner integral
    changes quickly near the images of psi's kinks, and the outer panels are graded around them.
    The estimate is the change under halving all panels.
    """
    before = _rule(phi, psi, deviations, rho, kinks, span, 1)
    error = np.inf
    for level in (2, 4, 8):
        after = _rule(phi, psi, deviations, rho, kinks, span, level)
        error = abs(after - before)
        before = after
        if error <= tolerance:
            break
    return before, float(error)


def _rule(
    phi: Callable[[Array], Array],
    psi: Callable[[Array], Array],
    deviations: tuple[float, float],
    rho: float,
    kinks: tuple[Sequence[float], Sequence[float]],
    span: float,
    pieces: int,
) -> float:
    s1, s2 = deviations
    rest = float(np.sqrt(max((1.0 - rho) * (1.0 + rho), 0.0)))
    first = [z / s1 for z in kinks[0]] if s1 > 0 else []
    second = [z / s2 for z in kinks[1]] if s2 > 0 else []
    x, wx = panel_nodes(_outer_edges(first, second, deviations, rho, rest, span, pieces))
    outer = wx * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) * phi(s1 * x)
    if rest == 0.0:
        return float(outer @ psi(s2 * rho * x))
    return float(outer @ _inner(psi, s2, rho, rest, second, x, span, pieces))


def _graded(deviation: float) -> Array:
    """Return offsets of panels that shrink to the size on which a steep function changes.

    A function of ``deviation * x`` changes within ``1 / deviation`` of its centre.
    """
    count = int(np.clip(np.ceil(np.log2(max(deviation, 1e-300))) + 3, 0, 64))
    steps = 2.0 ** -np.arange(count)
    return np.concatenate([-steps, [0.0], steps[::-1]])


def _outer_edges(
    first: Sequence[float],
    second: Sequence[float],
    deviations: tuple[float, float],
    rho: float,
    rest: float,
    span: float,
    pieces: int,
) -> Array:
    edges = [np.linspace(-span, span, 28 * pieces + 1)]
    edges += [c + _graded(deviations[0]) for c in {0.0, *first}]
    if abs(rho) > 1e-3:
        edges += [c / rho + _graded(deviations[1] * abs(rho)) for c in {0.0, *second}]
    for c in {0.0, *second}:
        if abs(rho) > 1e-3:
            reach = _TRANSITION * (rest / abs(rho))
            edges.append(np.concatenate([[c / rho], c / rho - reach, c / rho + reach]))
    joined = np.unique(np.clip(np.concatenate(edges), -span, span))
    return np.asarray(joined[np.concatenate([[True], np.diff(joined) > 1e-15])])


def _inner(
    psi: Callable[[Array], Array],
    s2: float,
    rho: float,
    rest: float,
    second: Sequence[float],
    x: Array,
    span: float,
    pieces: int,
) -> Array:
    """Return ``E_y psi(s2 (rho x + rest y))`` for every x, panels cut at psi's kinks."""
    near = _graded(s2 * rest)
    centres = [((c - rho * x) / rest)[:, None] + near for c in {0.0, *second}]
    cuts = np.clip(np.concatenate(centres, axis=1), -span, span)
    uniform = np.broadcast_to(np.linspace(-span, span, 20 * pieces + 1), (x.size, 20 * pieces + 1))
    edges = np.sort(np.concatenate([uniform, cuts], axis=1), axis=1)
    unit, weight = np.polynomial.legendre.leggauss(12)
    centre, half = (edges[:, 1:] + edges[:, :-1]) / 2, (edges[:, 1:] - edges[:, :-1]) / 2
    y = centre[:, :, None] + half[:, :, None] * unit
    density = np.exp(-0.5 * y * y) / np.sqrt(2 * np.pi)
    values = psi(s2 * (rho * x[:, None, None] + rest * y))
    return np.asarray(np.einsum("xpi,xpi,xp,i->x", values, density, half, weight, optimize=True))
