"""Standard Gaussian samples: the first ones quasi-random, the others stratified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tpc.ops.base import Array

#: Most dimensions of a scrambled Sobol sequence: later ones are no better than random.
SOBOL = 64


class Draws:
    """Rows of standard Gaussian samples, a function of ``seed`` and of the order of requests.

    The first ``quasi`` rows of each length come from one scrambled Sobol sequence (Owen 1998),
    mapped by the inverse normal distribution function: functions of them integrate with an error
    far below ``1/sqrt(M)``. Rows after those are Latin hypercube samples: each row's distribution
    is exact, different rows are matched at random.
    """

    def __init__(self, seed: int, quasi: int = 0) -> None:
        self.seed, self.quasi = seed, min(quasi, SOBOL)
        self._random = np.random.default_rng([seed, 0])
        self._left: dict[int, Array] = {}
        self._strata: dict[int, Array] = {}

    def stream(self, extent: int, key: tuple[int, ...]) -> Array:
        """Return samples (1, extent) that are a function of the seed and of ``key`` alone."""
        return np.random.default_rng([self.seed, 1, *key]).standard_normal((1, extent))

    def normal(self, count: int, extent: int) -> Array:
        """Return the next samples (count, extent)."""
        left = self._sobol(extent)
        first = left[:count].copy()
        self._left[extent] = left[count:]
        rest = count - len(first)
        return np.concatenate([first, self._hypercube(rest, extent)]) if rest else first

    def _sobol(self, extent: int) -> Array:
        if extent not in self._left:
            self._left[extent] = self._sequence(extent) if self.quasi else np.empty((0, extent))
        return self._left[extent]

    def _sequence(self, extent: int) -> Array:
        from scipy.special import ndtri
        from scipy.stats.qmc import Sobol

        engine = Sobol(self.quasi, seed=np.random.default_rng([self.seed, extent]))
        points = engine.random_base2((extent - 1).bit_length())[:extent]
        result: Array = ndtri(np.clip(points.T, 1e-12, 1.0 - 1e-12))
        return result

    def _hypercube(self, count: int, extent: int) -> Array:
        from scipy.special import ndtri

        if extent not in self._strata:
            self._strata[extent] = ndtri((np.arange(extent) + 0.5) / extent)
        rows = np.broadcast_to(self._strata[extent], (count, extent))
        return self._random.permuted(rows, axis=1)
