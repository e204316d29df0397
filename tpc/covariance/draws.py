"""Standard normal numbers for sampled recursions, and roots of covariances.

A draw is a column. Columns m and m + M/2 belong together: of numbers that values are made of they
are opposite, of those that tangents are made of they are equal, so that what is odd in the values
averages to zero. Rows are orthogonal and of unit variance within the sample: averages of
polynomials of degree two are exact. The first numbers are scrambled Sobol points, which help where
there are few of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpc.covariance.tails import NotFiniteError

Array = NDArray[np.float64]
SEED = 20190321
MOST_SOBOL = 48
"""Rows from which on low discrepancy is no better than chance."""
_ROUNDING = 1e-13


class Normals:
    """The random numbers of one replicate: ``count`` draws, a power of two."""

    def __init__(self, count: int, replicate: int) -> None:
        self.count = count
        self._random = np.random.default_rng([SEED, count, replicate])
        self._used = False

    def opposite(self, rows: int) -> Array:
        """Return numbers (rows, count) whose halves are opposite."""
        half = self._half(rows)
        return np.concatenate([half, -half], axis=1)

    def equal(self, rows: int) -> Array:
        """Return numbers (rows, count) whose halves are equal."""
        half = self._half(rows)
        return np.concatenate([half, half], axis=1)

    def _half(self, rows: int) -> Array:
        size = self.count // 2
        if rows == 0:
            return np.zeros((0, size))
        if rows > MOST_SOBOL:
            found = self._random.standard_normal((rows, size))
        else:
            found = self._sobol(rows, size)
            if self._used:  # pair the points of this call with those of others by chance
                found = found[:, self._random.permutation(size)]
            self._used = True
        return orthonormal(found) if 4 * rows <= size else found

    def _sobol(self, rows: int, size: int) -> Array:
        from scipy.special import ndtri
        from scipy.stats.qmc import Sobol

        uniform = Sobol(rows, scramble=True, rng=self._random).random(size)
        found: Array = ndtri(np.clip(uniform.T, 1e-15, 1.0 - 1e-15))
        return np.ascontiguousarray(found)


def orthonormal(rows: Array) -> Array:
    """Return the rows made orthogonal, of unit mean square."""
    from scipy.linalg import solve_triangular

    gram = rows @ rows.T / rows.shape[1]
    lower = np.linalg.cholesky(gram)
    found: Array = solve_triangular(lower, rows, lower=True, overwrite_b=True)
    return found


def root(covariance: Array) -> Array:
    """Return F (P, r) with ``F F^T = covariance``, semidefinite up to rounding.

    Raises:
        NotFiniteError: the covariance is not.
    """
    if not np.isfinite(covariance).all():
        raise NotFiniteError
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _ROUNDING * max(float(values[-1]), 0.0) * len(values)
    order = np.flatnonzero(kept)[::-1]
    return np.asarray(vectors[:, order] * np.sqrt(values[order]))
