"""Hermite series of activations: ``E[phi(u) phi(v)] = sum_k a_k(q11) a_k(q22) rho^k``.

``a_k(q) = E[phi(sqrt(q) x) h_k(x)]`` with x standard normal and h_k the orthonormal Hermite
polynomials. The coefficients belong to one input; a pair costs one Horner polynomial in its
correlation. By Cauchy-Schwarz, K terms leave at most ``|rho|^K sqrt(tail(q11) tail(q22))`` with
``tail(q) = E phi^2 - sum_{k<K} a_k^2``. Needs NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NODES = 16  # Gauss-Legendre nodes per panel
SPAN = 13.5  # standard deviations; exp(-SPAN^2 / 4) is 2e-20
WIDE_SPAN = 36.0  # for activations that grow exponentially
MAX_LEVEL = 7
MAX_TERMS = 512
RULE = np.polynomial.legendre.leggauss(NODES)
BASES: dict[tuple[Any, ...], Array] = {}  # those used last: activations and layers share them


def panel_nodes(edges: Array) -> tuple[Array, Array]:
    """Return nodes and weights of the composite Gauss-Legendre rule on panels with these edges."""
    x, w = RULE
    centre, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    nodes = (centre[:, None] + half[:, None] * x).ravel()
    return nodes, (half[:, None] * w).ravel()


def panel_edges(kinks: Sequence[float], span: float, level: int) -> Array:
    """Return panel edges on [-span, span]: uniform, cut at the kinks, graded towards them and 0."""
    uniform = np.linspace(-span, span, int(np.ceil(span)) * 2 ** (level + 1) + 1)
    steps = 2.0 ** -np.arange(0, 6 + 3 * level)
    graded = [c + sign * steps for c in (0.0, *kinks) for sign in (-1.0, 1.0)]
    edges = np.concatenate([uniform, np.asarray([0.0, *kinks]), *graded])
    edges = np.unique(np.clip(edges, -span, span))
    keep = np.concatenate([[True], np.diff(edges) > 1e-14])
    return np.asarray(edges[keep])


def hermite_basis(nodes: Array, count: int) -> Array:
    """Return ``h_k(x) exp(-x^2/4) / (2 pi)^(1/4)`` for k < count, shape (count, nodes): bounded."""
    basis = np.empty((count, nodes.size))
    basis[0] = np.exp(-0.25 * nodes * nodes) / (2.0 * np.pi) ** 0.25
    if count > 1:
        basis[1] = nodes * basis[0]
    for k in range(1, count - 1):
        basis[k + 1] = (nodes * basis[k] - np.sqrt(k) * basis[k - 1]) / np.sqrt(k + 1.0)
    return basis


def series_at_level(
    phi: Callable[[Array], Any],
    deviations: Array,
    count: int,
    kinks: Sequence[float],
    span: float,
    level: int,
) -> tuple[Array, Array]:
    """Return coefficients (N, count) and second moments (N,) with one rule for all deviations.

    ``kinks`` are given in units of the standard deviation: they are those of every input.
    """
    nodes, weights = panel_nodes(panel_edges(kinks, span, level))
    key = (nodes.size, count, span, *kinks)
    if key not in BASES:
        if len(BASES) > 8:
            BASES.clear()
        BASES[key] = hermite_basis(nodes, count)
    basis = BASES[key]
    values = np.asarray(phi(deviations[:, None] * nodes))
    root = basis[0]
    coefficients = (values * (root * weights)) @ basis.T
    moments = (values * root) ** 2 @ weights
    return coefficients, moments


def hermite_series(
    phi: Callable[[Array], Any],
    variances: Array,
    count: int,
    kinks: Sequence[float] = (),
    exponential: bool = False,
    tolerance: float = 1e-13,
) -> tuple[Array, Array, Array]:
    """Return coefficients (N, count), second moments (N,) and their relative errors (N,).

    Panels are halved until neither changes by more than ``tolerance * sqrt(E phi^2)``; the error
    is the last change. Kinks are the activation's own (in z): where there are others than 0 every
    variance has panels of its own.
    """
    deviations = np.sqrt(np.asarray(variances, dtype=np.float64))
    span = WIDE_SPAN if exponential else SPAN
    if any(z != 0.0 for z in kinks) and deviations.size > 1:
        parts = [
            hermite_series(phi, np.asarray([s * s]), count, kinks, exponential, tolerance)
            for s in deviations
        ]
        joined = [np.concatenate([part[i] for part in parts]) for i in range(3)]
        return joined[0], joined[1], joined[2]
    scaled = [z / deviations[0] for z in kinks if z != 0.0 and abs(z) < span * deviations[0]]
    cut = [0.0, *scaled] if 0.0 in kinks else scaled
    before = series_at_level(phi, deviations, count, cut, span, 0)
    for level in range(1, MAX_LEVEL + 1):
        after = series_at_level(phi, deviations, count, cut, span, level)
        moments = after[1] + 1e-300
        change = np.abs(after[0] - before[0]).max(axis=1) / np.sqrt(moments)
        error = np.maximum(change, np.abs(after[1] - before[1]) / moments)
        if not np.all(np.isfinite(error)) or error.max() <= tolerance:
            break
        before = after
    return after[0], after[1], error


def series_sum(left: Array, right: Array, rho: Array) -> Array:
    """Return ``sum_k left[..., k] right[..., k] rho^k`` by Horner's rule."""
    total = np.zeros(np.broadcast(left[..., 0], right[..., 0], rho).shape)
    for k in range(left.shape[-1] - 1, -1, -1):
        total = total * rho + left[..., k] * right[..., k]
    return total


def adaptive_series(
    phi: Callable[[Array], Any],
    variances: Array,
    kinks: Sequence[float],
    exponential: bool,
    tolerance: float,
) -> tuple[Array, Array, Array]:
    """Return coefficients (N, K), second moments (N,) and roots of relative tails (N,).

    K doubles until the tails leave at most ``tolerance`` at full correlation, or ``MAX_TERMS``.
    The tail includes what quadrature, interpolation and rounding leave uncertain. Coefficients of
    many variances are interpolated between Chebyshev points where that is exact to 1e-13.
    """
    variances = np.asarray(variances, dtype=np.float64)
    distinct, place = np.unique(variances, return_inverse=True)
    for points in (12, 24, 48):
        if distinct[0] <= 0.0 or distinct.size < 4 * points:
            break
        found = interpolated_series(phi, distinct, points, kinks, exponential, tolerance)
        if found is not None:
            return found[0][place], found[1][place], found[2][place]
    terms, moments, errors = enough_terms(phi, distinct, kinks, exponential, tolerance)
    return terms[place], moments[place], relative_tails(terms, moments, errors)[place]


def averages(
    phi: Callable[[Array], Any], variances: Array, kinks: Sequence[float], exponential: bool
) -> Array:
    """Return ``E phi(u)`` (N,) for Gaussians with these variances, by one integral for each."""
    distinct, place = np.unique(np.asarray(variances, dtype=np.float64), return_inverse=True)
    parts = np.array_split(distinct, distinct.size // 4096 + 1)
    found = [hermite_series(phi, part, 1, kinks, exponential)[0][:, 0] for part in parts]
    return np.asarray(np.concatenate(found)[place])


def relative_tails(terms: Array, moments: Array, errors: Array) -> Array:
    """Return the roots (N,) of what series leave of second moments, relative to these."""
    size = np.sqrt(moments) + 1e-300
    left_over = 1.0 - ((terms / size[:, None]) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(left_over, 0.0) + np.maximum(errors, 4e-15)))


def enough_terms(
    phi: Callable[[Array], Any],
    variances: Array,
    kinks: Sequence[float],
    exponential: bool,
    tolerance: float,
) -> tuple[Array, Array, Array]:
    """Return :func:`hermite_series` with so many terms that tails meet the tolerance."""
    count = 32
    while True:
        found = hermite_series(phi, variances, count, kinks, exponential)
        if count >= MAX_TERMS or relative_tails(*found).max() ** 2 <= tolerance:
            return found
        count *= 2


def interpolated_series(
    phi: Callable[[Array], Any],
    variances: Array,
    points: int,
    kinks: Sequence[float],
    exponential: bool,
    tolerance: float,
) -> tuple[Array, Array, Array] | None:
    """Return coefficients, second moments and tails interpolated in the logarithm of the variance.

    None where the interpolation misses what quadrature gives, between the points and at some of
    the variances, by more than 1e-13 of the root of the second moment.
    """
    where = np.log(variances)
    middle, reach = (where[0] + where[-1]) / 2.0, (where[-1] - where[0]) / 2.0 + 1e-12
    unit = np.cos(np.pi * np.arange(points) / (points - 1))
    terms, moments, errors = enough_terms(
        phi, np.exp(middle + reach * unit), kinks, exponential, tolerance
    )
    table = np.concatenate([terms, moments[:, None]], axis=1)
    between = np.cos(np.pi * (np.arange(4) + 0.5) / (points - 1))
    probes = np.concatenate([between, -between[:2], (where[:: where.size // 5] - middle) / reach])
    truth = hermite_series(phi, np.exp(middle + reach * probes), terms.shape[1], kinks, exponential)
    guess = barycentric(unit, probes) @ table
    size = np.sqrt(truth[1]) + 1e-300
    misses = np.abs(guess[:, :-1] - truth[0]).max(axis=1) / size
    miss = max(misses.max(), np.abs(guess[:, -1] / (truth[1] + 1e-300) - 1.0).max())
    if not miss <= 1e-13:
        return None
    found = barycentric(unit, (where - middle) / reach) @ table
    moments = found[:, -1]
    left = np.broadcast_to(errors.max() + miss, moments.shape)
    return found[:, :-1], moments, relative_tails(found[:, :-1], moments, left)


def barycentric(nodes: Array, x: Array) -> Array:
    """Return the matrix (X, nodes) that interpolates from Chebyshev points of the second kind."""
    weights = (-1.0) ** np.arange(nodes.size)
    weights[[0, -1]] *= 0.5
    gap = x[:, None] - nodes
    hit = np.abs(gap) < 1e-15
    matrix = weights / np.where(hit, 1.0, gap)
    matrix = matrix / matrix.sum(axis=1, keepdims=True)
    return np.where(hit.any(axis=1, keepdims=True), hit, matrix)


def correlation(k: Any, q1: Any, q2: Any) -> Any:
    """Return ``k / sqrt(q1 q2)`` between -1 and 1, zero where a variance is zero."""
    scale = np.sqrt(q1 * q2)
    rho = k / np.maximum(scale, 1e-300)
    return np.minimum(np.maximum(rho, -1.0), 1.0)


def series_row(
    count: int,
    a: Array,
    b: Array,
    offset: int,
    tail: float,
    tails: Array,
    rho: Array,
    first: int,
    step: int,
    tolerance: float,
    out: Array,
) -> None:
    """Write ``sum_k a[k] b[k, offset + j] rho[j]^k`` to ``out[j]`` for j < count.

    k runs over ``first, first + step, ...``; terms that full coefficients would leave below a
    thousandth of the tolerance are left out. NaN where the tails exceed the tolerance. Blocks of j,
    and Horner's rule four terms at a time in each: loops over j that are vectorised.
    """
    x = np.empty(64)
    size = min(a.size, b.shape[0])
    for low in range(0, count, 64):
        width = min(64, count - low)
        place = offset + low
        total, c = out[low : low + width], rho[low : low + width]
        largest, worst = 0.0, 0.0
        for j in range(width):
            total[j] = 0.0
            x[j] = c[j] if step == 1 else c[j] * c[j]
            largest = max(largest, abs(c[j]))
            worst = max(worst, tails[low + j])
        needed = float(size)
        if largest < 0.99:
            needed = math.log(1e-3 * tolerance) / math.log(max(largest, 1e-300)) + 1.0
        k = min(size, max(int(needed), 1)) - 1
        k -= (k - first) % step
        while k >= 3 * step:
            a0, a1, a2, a3 = a[k], a[k - step], a[k - 2 * step], a[k - 3 * step]
            b0, b1 = b[k][place : place + width], b[k - step][place : place + width]
            b2 = b[k - 2 * step][place : place + width]
            b3 = b[k - 3 * step][place : place + width]
            for j in range(width):
                pair = (total[j] * x[j] + a0 * b0[j]) * x[j] + a1 * b1[j]
                total[j] = (pair * x[j] + a2 * b2[j]) * x[j] + a3 * b3[j]
            k -= 4 * step
        while k >= 0:
            b0 = b[k][place : place + width]
            for j in range(width):
                total[j] = total[j] * x[j] + a[k] * b0[j]
            k -= step
        for j in range(width):
            total[j] *= c[j] if first == 1 else 1.0
        if tail * worst > tolerance:
            for j in range(width):
                rest = tail * tails[low + j]
                if rest > tolerance and rest * abs(c[j]) ** size > tolerance:
                    total[j] = np.nan


def pair_series(
    a: Array, b: Array, tail1: float, tail2: float, rho: float, tolerance: float
) -> float:
    """Return ``sum_k a_k b_k rho^k`` for one pair, NaN where its tail exceeds the tolerance."""
    count = min(a.size, b.size)
    tail = tail1 * tail2
    if tail > tolerance and tail * abs(rho) ** count > tolerance:
        return np.nan
    total = 0.0
    for k in range(count - 1, -1, -1):
        total = total * rho + a[k] * b[k]
    return total


def paired_sum(left: Array, right: Array, rho: Any) -> Array:
    """Return ``sum_k left[:, k] right[:, k] rho^k`` for series of any two lengths."""
    count = min(left.shape[1], right.shape[1])
    return series_sum(left[:, :count], right[:, :count], np.asarray(rho))
