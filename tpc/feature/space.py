"""What stands for the coordinates of a width axis: samples, or coefficients over Gaussians.

The two spaces differ in what the entries along a width axis are, and in nothing else:

* :class:`Particles`: M independent copies of all Z's; expectations are averages. Any function
  applies coordinate by coordinate. Fresh Gaussians are samples whose first and second moments are
  exact: centred, of unit variance, orthogonal to whatever they are independent of.
* :class:`Gaussians`: a vector is its list of coefficients over an orthonormal family of Gaussians
  (the first one is the constant 1); expectations of products are inner products, without any
  error. Only linear functions apply, so this is for linear networks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.feature.draws import Draws

if TYPE_CHECKING:
    from tpc.ops.base import Array


#: Particles for each remembered product with a matrix: fewer would crowd the space of samples.
CROWD = 6


class Space(ABC):
    """A model of width axes: an axis of ``count * n`` positions has ``count * size`` entries.

    ``weight`` turns sums over entries into expectations per n positions; where entries weigh
    differently ``masses`` (size,) are their weights. ``cut`` is the relative size below which a
    vector counts as linearly dependent on others; ``dtype`` is the type of entries.
    """

    size: int
    weight: float
    cut: float
    masses: Array | None = None
    dtype: np.dtype[Any] = np.dtype(float)

    def inner(self, x: Array, y: Array) -> Array:
        """Return the matrix of ``(1/n) sum_a x_ia y_ja`` of rows x (I, entries), y (J, entries)."""
        result: Array = (x @ y.T) * self.weight
        return result

    @abstractmethod
    def fresh(self, count: int, extent: int, known: Known | None = None) -> Array:
        """Return new standard Gaussians (count, extent), independent of the ``known`` vectors."""

    @abstractmethod
    def borrow(self, extent: int, known: Known, stream: tuple[int, ...]) -> Array:
        """Return one new standard Gaussian (1, extent), to be forgotten at :meth:`give_back`.

        Equal ``stream`` numbers give equal random numbers.
        """

    def give_back(self) -> None:  # noqa: B027 - most spaces keep nothing
        """Forget what was borrowed."""

    @abstractmethod
    def constant(self, shape: tuple[int, ...], axis: int, level: float) -> Array:
        """Return a vector of equal coordinates; ``axis`` is its width axis."""

    @abstractmethod
    def mean(self, x: Array, axis: int) -> Array:
        """Return ``(1/n) sum_a x_a`` over a width axis."""

    def lifted(self, x: Array, axis: int) -> Array:
        """Return a scalar's array, with an axis of length one at ``axis``, as a vector's array."""
        return x


class Known:
    """Vectors that fresh Gaussians must be orthogonal to.

    They are two families, each orthogonal in itself: ``images`` of inner product ``unit`` with
    themselves, ``arguments`` of inner product one; ``cross`` (images, arguments) has the others.
    """

    def __init__(self, images: Array, unit: float, arguments: Array, cross: Array) -> None:
        self._images, self._unit, self._arguments, self._cross = images, unit, arguments, cross

    @cached_property
    def _inverse(self) -> Array:
        """Inverse of the arguments' Gram matrix, the images projected out."""
        gram = np.eye(len(self._arguments)) - self._cross.T @ self._cross / self._unit
        try:
            if np.diagonal(np.linalg.cholesky(gram)).min(initial=1.0) > 1e-4:
                return np.asarray(np.linalg.inv(gram), dtype=float)
        except np.linalg.LinAlgError:
            pass
        return np.asarray(np.linalg.pinv(gram, rcond=1e-8, hermitian=True), dtype=float)

    @property
    def count(self) -> int:
        """How many vectors are known."""
        return len(self._images) + len(self._arguments)

    def remove(self, x: Array, weight: float) -> Array:
        """Return rows ``x`` minus their projection on the known vectors."""
        if not len(self._images) and not len(self._arguments):
            return x
        a = (x @ self._images.T) * (weight / self._unit)
        b = (x @ self._arguments.T) * weight
        b = (b - a @ self._cross) @ self._inverse
        a = a - b @ self._cross.T / self._unit
        result: Array = x - a @ self._images - b @ self._arguments
        return result


class Particles(Space):
    """M samples of every Z (see the module)."""

    def __init__(
        self, size: int, draws: Draws, cut: float = 1e-4, dtype: np.dtype[Any] = Space.dtype
    ) -> None:
        self.size, self.weight, self.cut = size, 1.0 / size, cut
        self.draws, self.dtype = draws, dtype

    def fresh(self, count: int, extent: int, known: Known | None = None) -> Array:
        """Return moment-matched samples."""
        return self._matched(self.draws.normal(count, extent), known)

    def borrow(self, extent: int, known: Known, stream: tuple[int, ...]) -> Array:
        """Return the stream's samples, moment-matched."""
        return self._matched(self.draws.stream(extent, stream), known)

    def _matched(self, x: Array, known: Known | None) -> Array:
        x -= x.mean(axis=1, keepdims=True)
        if known is not None:
            if (needed := CROWD * (known.count + len(x))) > x.shape[1]:
                raise TooFew(needed)
            x = known.remove(x, self.weight)
        found = whitened(x) if 4 * len(x) < x.shape[1] else x
        return found.astype(self.dtype, copy=False)

    def constant(self, shape: tuple[int, ...], axis: int, level: float) -> Array:
        """Return equal samples."""
        return np.full(shape, level, dtype=self.dtype)

    def mean(self, x: Array, axis: int) -> Array:
        """Return the average over samples, times the count of the axis."""
        result: Array = x.sum(axis=axis) * self.weight
        return result


class Gaussians(Space):
    """Coefficients over at most ``size`` Gaussians (see the module).

    Raises:
        Full: more are needed.
    """

    def __init__(self, size: int, cut: float = 1e-11) -> None:
        self.size, self.weight, self.cut = size, 1.0, cut
        self.used, self._borrowed = 1, 0

    def fresh(self, count: int, extent: int, known: Known | None = None) -> Array:
        """Return the next unit vectors."""
        x = self._units(self.used, count, extent)
        self.used += count
        return x

    def borrow(self, extent: int, known: Known, stream: tuple[int, ...]) -> Array:
        """Return a unit vector after those in use."""
        x = self._units(self.used + self._borrowed, 1, extent)
        self._borrowed += 1
        return x

    def give_back(self) -> None:
        """Make room again."""
        self._borrowed = 0

    def _units(self, start: int, count: int, extent: int) -> Array:
        if start + count > self.size:
            raise Full(start + count)
        x = np.zeros((count, extent))
        x[np.arange(count), start + np.arange(count)] = 1.0
        return x

    def constant(self, shape: tuple[int, ...], axis: int, level: float) -> Array:
        """Return multiples of the first Gaussian, the constant."""
        x = np.zeros(shape)
        np.moveaxis(x, axis, 0)[0] = level
        return x

    def mean(self, x: Array, axis: int) -> Array:
        """Return the coefficient of the constant."""
        result: Array = np.take(x, 0, axis=axis)
        return result

    def lifted(self, x: Array, axis: int) -> Array:
        """Return the scalar as coefficients of the constant."""
        pad = [(0, 0)] * x.ndim
        pad[axis] = (0, self.size - 1)
        return np.pad(x, pad)


class TooFew(Exception):  # noqa: N818 - a request for more particles, answered by giving them
    """Products with a matrix take up so many dimensions that ``needed`` particles are the least."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"at least {needed} particles are needed")
        self.needed = needed


class Full(Exception):  # noqa: N818 - a request for more room, answered by giving it
    """A space of Gaussians has no room left; ``needed`` is how many there would have to be."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"{needed} Gaussians are needed")
        self.needed = needed


def whitened(x: Array) -> Array:
    """Return rows with exact unit second moments, each as close to its own as can be."""
    gram = x @ x.T / x.shape[1]
    values, vectors = np.linalg.eigh(gram)
    root: Array = (vectors / np.sqrt(values)) @ vectors.T
    return root @ x
