"""Rules for averages over Gaussians: grids for few dimensions, random lattices for many.

A grid is the trapezoidal rule, whose error for functions that are analytic in a strip falls like
``exp(-2 pi width / step)``. A lattice is a rank-one rule with a generating vector found component
by component (Nuyens and Cools 2006), shifted at random, folded (baker's transformation) and mapped
to normal numbers; the spread over independent shifts measures its error. Needs NumPy and SciPy.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIZES = (1021, 4093, 16381, 65521)
"""Points of a lattice, all prime."""
REPLICATES = 8
REACH = 9.0  # standard deviations that a grid covers; exp(-REACH^2 / 2) is 3e-18
SEED = 20200603


@lru_cache(maxsize=64)
def grid(dimension: int, step: float, reach: float = REACH) -> tuple[Array, Array]:
    """Return nodes (1, dimension, M) and weights (M,) of the trapezoidal rule on a ball."""
    line = np.arange(-np.floor(reach / step), np.floor(reach / step) + 1) * step
    mesh = np.stack([axis.ravel() for axis in np.meshgrid(*[line] * dimension, indexing="ij")])
    radius = (mesh * mesh).sum(axis=0)
    mesh = mesh[:, radius <= reach * reach]
    weights = np.exp(-0.5 * (mesh * mesh).sum(axis=0))
    return np.ascontiguousarray(mesh)[None], weights / weights.sum()


@lru_cache(maxsize=32)
def generating_vector(size: int, dimension: int) -> tuple[int, ...]:
    """Return a good lattice's generating vector for a prime number of points, product weights."""
    powers = np.empty(size - 1, dtype=np.int64)
    root, powers[0] = _primitive_root(size), 1
    for i in range(1, size - 1):
        powers[i] = powers[i - 1] * root % size
    x = powers / size
    kernel = x * x - x + 1.0 / 6.0
    transformed = np.fft.rfft(kernel)
    worst = np.ones(size - 1)
    found = []
    for j in range(dimension):
        error = np.fft.irfft(np.conj(np.fft.rfft(worst)) * transformed, size - 1)
        best = int(np.argmin(error)) if j else 0
        found.append(int(powers[best]))
        worst *= 1.0 + np.roll(kernel, -best)
    return tuple(found)


def _primitive_root(prime: int) -> int:
    factors, rest, p = [], prime - 1, 2
    while rest > 1:
        if rest % p == 0:
            factors.append(p)
            rest //= p
        else:
            p += 1
    return next(
        g for g in range(2, prime) if all(pow(g, (prime - 1) // f, prime) != 1 for f in factors)
    )


def lattice(dimension: int, size: int, replicates: int = REPLICATES) -> Array:
    """Return normal nodes (replicates, dimension, size), the same in every process.

    Those of few dimensions are the first ones of many: a rule is computed once for all of them.
    """
    return np.ascontiguousarray(_nodes(-(-dimension // 8) * 8, size, replicates)[:, :dimension])


@lru_cache(maxsize=4)
def _nodes(dimension: int, size: int, replicates: int) -> Array:
    from scipy.special import ndtri

    vector = np.asarray(generating_vector(size, dimension), dtype=np.int64)
    points = (np.arange(size, dtype=np.int64)[None, :] * vector[:, None] % size) / size
    shifts = np.random.default_rng(SEED).random((replicates, 64, 1))
    if dimension > 64:
        shifts = np.random.default_rng(SEED).random((replicates, dimension, 1))
    uniform = (points[None] + shifts[:, :dimension]) % 1.0
    folded = 1.0 - np.abs(2.0 * uniform - 1.0)
    nodes: Array = ndtri(np.clip(folded, 1e-15, 1.0 - 1e-15))
    return nodes
