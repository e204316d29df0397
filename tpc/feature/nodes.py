"""A space whose expectations are those of a Gauss-Hermite product rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.space import Known, Space

if TYPE_CHECKING:
    from tpc.ops.base import Array


class Nodes(Space):
    """Values of Z at the points of a product rule, with their masses.

    ``counts`` has the number of points for each Gaussian, in the order in which they are asked for:
    expectations of polynomials up to degree ``2 count - 1`` in each of them are exact.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        self.size = int(np.prod(self.counts, dtype=np.int64))
        self.weight, self.cut = 1.0, 1e-11
        self._next = 0
        masses = np.ones(1)
        for count in self.counts:
            masses = np.multiply.outer(masses, _rule(count)[1]).ravel()
        self.masses: Array = masses

    def inner(self, x: Array, y: Array) -> Array:
        """Return the matrix of expectations of products of rows."""
        result: Array = (x * self.masses) @ y.T
        return result

    def fresh(self, count: int, extent: int, known: Known | None = None) -> Array:
        """Return the coordinates of the next Gaussians."""
        rows = []
        for position in range(self._next, self._next + count):
            inner = int(np.prod(self.counts[position + 1 :], dtype=np.int64))
            points = np.repeat(_rule(self.counts[position])[0], inner)
            rows.append(np.tile(points, self.size // len(points)))
        self._next += count
        return np.stack(rows)

    def borrow(self, extent: int, known: Known, stream: tuple[int, ...]) -> Array:
        """Refuse: products with initial matrices have Gaussians of their own, without end."""
        raise NotImplementedError

    def constant(self, shape: tuple[int, ...], axis: int, level: float) -> Array:
        """Return equal values."""
        return np.full(shape, level)

    def mean(self, x: Array, axis: int) -> Array:
        """Return the expectation."""
        result: Array = np.moveaxis(x, axis, -1) @ self.masses
        return result


def _rule(count: int) -> tuple[Array, Array]:
    """Return points and masses of the rule for one standard Gaussian."""
    points, masses = np.polynomial.hermite_e.hermegauss(count)
    return points, masses / masses.sum()
