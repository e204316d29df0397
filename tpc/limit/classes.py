"""Probabilities of classes, where an answer is the largest of several Gaussian outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]
_NODES = 128
_BLOCK = 2**22


def probabilities(mean: ArrayLike, deviation: ArrayLike) -> Array:
    """Return the probability that each of k outputs is the largest, (M, k).

    The outputs are independent Gaussians of ``mean`` (M, k) with one ``deviation`` (M,) a sample:
    ``P(c) = E_z prod_{j != c} Phi(z + (m_c - m_j) / s)``, by Gauss-Hermite quadrature. Where s is
    zero the largest mean wins; ties share.
    """
    from scipy.special import log_ndtr

    m, s = np.asarray(mean, dtype=float), np.asarray(deviation, dtype=float)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    best = (m == m.max(axis=1, keepdims=True)).astype(float)
    result: Array = best / best.sum(axis=1, keepdims=True)
    rows = np.flatnonzero(s > 0)
    size = max(1, _BLOCK // (_NODES * m.shape[1] ** 2))
    for part in np.array_split(rows, max(1, -(-len(rows) // size))):
        if not len(part):
            continue
        gaps = (m[part, :, None] - m[part, None, :]) / s[part, None, None]
        logs = log_ndtr(nodes[:, None, None, None] + gaps)  # (nodes, samples, c, j)
        others = logs.sum(axis=-1) - log_ndtr(nodes)[:, None, None]
        found = np.einsum("z,zsc->sc", weights, np.exp(others))
        result[part] = found / found.sum(axis=1, keepdims=True)
    return result


def sampled_probabilities(
    mean: ArrayLike, covariance: ArrayLike, draws: int = 4096, seed: int = 0
) -> Array:
    """Return the same for correlated outputs, by draws: ``covariance`` is (M, k, k)."""
    m, cov = np.asarray(mean, dtype=float), np.asarray(covariance, dtype=float)
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    random = np.random.default_rng(seed).standard_normal((m.shape[1], draws))
    counts = np.zeros_like(m)
    for row, (centre, factor) in enumerate(zip(m, root, strict=True)):
        winners = (centre[:, None] + factor @ random).argmax(axis=0)
        counts[row] = np.bincount(winners, minlength=m.shape[1])
    return counts / draws


def log_loss(chances: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean of ``-log p`` of the right class; ``labels`` (M,) count from zero."""
    p = np.asarray(chances, dtype=float)
    right = p[np.arange(len(p)), np.asarray(labels)]
    return float(-np.log(np.maximum(right, 1e-300)).mean())


def calibration_error(chances: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """Return how far the confidence in answers is from their accuracy, on average over samples.

    The expected calibration error (Naeini, Cooper & Hauskrecht 2015) over equal bins of confidence.
    """
    p, truth = np.asarray(chances, dtype=float), np.asarray(labels)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs((confidence - right)[place == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(p))
