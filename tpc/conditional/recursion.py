"""Kernels at chosen pairs of many points: by expressions, or over arrays of positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tpc.limit import expressions as ex
from tpc.limit.integrate import Rule
from tpc.limit.interpret import single_values, values_of
from tpc.limit.positions import PositionLimit, accurate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.limit.kernels import Kernels
    from tpc.limit.limit import Limit

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]

Points = Mapping[str, Any]
"""Values (S, axes) of inputs, and of the scalars that stand in for inputs, at S points."""
NUMBERS = 4_000_000
"""Numbers that the values of a recursion may hold at a time (32 MB)."""
LATTICE = 1021


class Recursion(Protocol):
    """A kernel that is evaluated at pairs of points: ``size`` entries per point."""

    size: int

    def pairs(self, points: Points, rows: Places, columns: Places) -> Array:
        """Return the kernel (P, size, size) between points, also where both are the same."""
        ...

    def own(self, points: Points) -> Array:
        """Return the kernel (S, size, size) of every point with itself."""
        ...


def recursion(limit: Limit, tolerance: float) -> Recursion:
    """Return the recursion of a limit."""
    if isinstance(limit, PositionLimit):
        return ByPositions(limit, tolerance)
    return ByEntries(limit.kernels, tolerance)


class ByEntries:
    """A recursion of expressions, interpreted on arrays of pairs."""

    def __init__(self, kernels: Kernels, tolerance: float) -> None:
        self.kernels = kernels
        self.tolerance = tolerance
        self.size = int(np.prod(kernels.kept, initial=1))
        self._order = list(ex.walk(kernels.entries))
        self._own = list(ex.walk(kernels.diagonal))
        self._length = max(1, NUMBERS // max(1, len(self._order)))

    def _rule(self) -> Rule:
        return Rule(self.tolerance, LATTICE)

    def pairs(self, points: Points, rows: Places, columns: Places) -> Array:
        """Return the kernel (P, size, size) between points, also where both are the same."""
        rule = self._rule()
        with accurate():
            own = single_values(self._order, points, rule)
            parts = [
                self._pairs(points, own, rows[k : k + self._length], columns[k : k + self._length])
                for k in range(0, len(rows), self._length)
            ]
        return np.concatenate(parts) if parts else np.empty((0, self.size, self.size))

    def _pairs(self, points: Points, own: Any, rows: Places, columns: Places) -> Array:
        sides = [
            (
                {name: values[place] for name, values in points.items()},
                {e: _at(values, place) for e, values in own.items()},
            )
            for place in (rows, columns)
        ]
        (left, one), (right, two) = sides
        values = values_of(self._order, (left, right), (one, two), self._rule())
        return self._table([values[e] for e in self.kernels.entries], len(rows))

    def own(self, points: Points) -> Array:
        """Return the kernel (S, size, size) of every point with itself."""
        count = len(next(iter(points.values())))
        with accurate():
            values = values_of(self._own, (points, points), (), self._rule())
        return self._table([values[e] for e in self.kernels.diagonal], count)

    def _table(self, values: list[Array], count: int) -> Array:
        means = [v.mean(axis=0) if v.ndim > 1 else v for v in values]  # replicates of lattices
        table = np.stack([np.broadcast_to(v, (count,)) for v in means], axis=-1)
        return table.reshape(count, self.size, self.size)


class ByPositions:
    """A recursion over arrays of positions."""

    def __init__(self, limit: PositionLimit, tolerance: float) -> None:
        self.limit = limit
        self.tolerance = tolerance
        self.size = int(np.prod(limit.positions.kept, initial=1))

    def pairs(self, points: Points, rows: Places, columns: Places) -> Array:
        """Return the kernel (P, size, size) between points, also where both are the same."""
        from tpc.covariance import Run

        found = np.empty((len(rows), self.size, self.size))
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        places = {pair: k for k, pair in enumerate(pairs)}

        def put(one: Places, two: Places, values: Any) -> None:
            at = [places[pair] for pair in zip(one.tolist(), two.tolist(), strict=True)]
            found[at] = values[0].reshape(len(one), self.size, self.size)

        with accurate():
            data = {name: points[name] for name in self.limit.positions.inputs}
            Run(self.limit.positions, data, None, self.tolerance).pairs(rows, columns, put)
        return found

    def own(self, points: Points) -> Array:
        """Return the kernel (S, size, size) of every point with itself."""
        places = np.arange(len(next(iter(points.values()))))
        return self.pairs(points, places, places)


def _at(values: Array, place: Places) -> Array:
    return values if values.ndim == 0 or values.shape[-1] == 1 else values[..., place]
