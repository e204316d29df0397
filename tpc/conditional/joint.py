"""Draws of the random scalars of all samples together, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.conditional.quotients import quotients
from tpc.conditional.recursion import ByEntries
from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit.integrate import root

if TYPE_CHECKING:
    from tpc.conditional.law import Level
    from tpc.conditional.recursion import Array, Points, Recursion

MOST = 2000
"""Random scalars of one level and all samples at most: their covariance is factored."""


@dataclass(frozen=True)
class Drawn:
    """B draws for M samples as B * M points: values of inputs and scalars, and the scalars' steps.

    ``steps`` are empty for the NNGP.
    """

    points: dict[str, Any]
    steps: dict[str, Any]
    draws: int


class Joint:
    """The joint law of all random scalars of M samples."""

    def __init__(self, levels: tuple[Level, ...], data: Points, tolerance: float) -> None:
        self.levels = levels
        self.data = data
        self.count = len(next(iter(data.values())))
        self.values = [ByEntries(level.values, tolerance) for level in levels]
        self.tangents = [
            None if level.tangent is None else ByEntries(level.tangent, tolerance)
            for level in levels
        ]
        self._require_few()
        self._first = _thin(root(self._matrix(self.values[0], data, 1))[0])
        self._moves: Array | None = None
        self.unit = 1.0
        """A step of the scalars is of about their own size when it is multiplied by this."""
        if self.tangents[0] is not None:
            self._moves = _thin(root(self._matrix(self.tangents[0], data, 1))[0])
            self.unit = self._unit()

    def _require_few(self) -> None:
        size = self.count * max(level.size for level in self.levels)
        if size > MOST:
            raise TpcError(
                Diagnostic(
                    "E0983",
                    f"{size} numbers stay random ({self.count} samples), jointly: more than {MOST}",
                    help="take fewer samples at a time, or make the finite axes smaller",
                )
            )

    def _unit(self) -> float:
        """Return the size of scalars over that of their steps, the smallest over the values."""
        found = []
        at = 0
        rows = [np.square(a).sum(axis=1) for a in (self._first, self._moves) if a is not None]
        sizes = [r.reshape(self.count, -1) for r in rows]
        for scalars in self.levels[0].scalars:
            width = int(np.prod(scalars.shape, initial=1))
            own, moved = (float(np.sqrt(s[:, at : at + width].mean())) for s in sizes)
            at += width
            if moved > 0:
                found.append((own or 1.0) / moved)
        return min(found, default=1.0)

    @property
    def dimension(self) -> int:
        """The number of independent normals that one draw takes."""
        deeper = sum(level.size for level in self.levels[1:]) * self.count
        first = int(self._first.shape[1])
        if self._moves is None:
            return first + deeper
        return first + int(self._moves.shape[1]) + 2 * deeper

    @property
    def footprint(self) -> int:
        """The numbers that one draw holds in covariances, at most."""
        twice = 1 if self._moves is None else 2
        deeper = [self.count * level.size * twice for level in self.levels[1:]]
        return max([n * n for n in deeper], default=1)

    def draw(self, normals: Array, epsilon: float) -> Drawn:
        """Return the draws that independent normals (B, dimension) make.

        ``epsilon`` is the step of differences, in units of the scalars' steps.
        """
        draws = len(normals)
        points = {
            name: np.tile(values, (draws, *(1,) * (values.ndim - 1)))
            for name, values in self.data.items()
        }
        used = self._first.shape[1]
        steps: dict[str, Any] = {}
        _put(points, self.levels[0], normals[:, :used] @ self._first.T, self.count)
        if self._moves is not None:
            width = self._moves.shape[1]
            moves = normals[:, used : used + width] @ self._moves.T
            _put(steps, self.levels[0], moves, self.count)
            used += width
        for k in range(1, len(self.levels)):
            used = self._deeper(k, points, steps, normals, used, epsilon)
        return Drawn(points, steps, draws)

    def _deeper(
        self,
        k: int,
        points: dict[str, Any],
        steps: dict[str, Any],
        normals: Array,
        used: int,
        epsilon: float,
    ) -> int:
        level, draws = self.levels[k], len(normals)
        own, tangent = self.values[k], self.tangents[k]
        if tangent is None:
            covariance = self._matrix(own, points, draws)
        else:
            covariance = self._with_steps(own, points, steps, draws, epsilon)
            half = covariance.shape[1] // 2
            covariance[:, half:, half:] += self._matrix(tangent, points, draws)
        size = int(covariance.shape[1])
        part = normals[:, used : used + size]
        found = np.einsum("bij,bj->bi", root(covariance), part)
        if tangent is not None:
            found, moves = np.split(found, 2, axis=1)
            _put(steps, level, moves, self.count)
        _put(points, level, found, self.count)
        return used + size

    def _matrix(self, kernel: ByEntries, points: Points, draws: int) -> Array:
        """Return the covariances (B, M size, M size) within every draw."""
        count, size = self.count, kernel.size
        upper = np.triu_indices(count, 1)
        base = count * np.arange(draws)[:, None]
        table = kernel.pairs(points, *((base + side).ravel() for side in upper))
        table = table.reshape(draws, -1, size, size)
        found = np.empty((draws, count, size, count, size))
        found[:, upper[0], :, upper[1]] = table.swapaxes(0, 1)
        found[:, upper[1], :, upper[0]] = table.swapaxes(0, 1).swapaxes(2, 3)
        place = np.arange(count)
        own = kernel.own(points).reshape(draws, count, size, size)
        found[:, place, :, place] = own.swapaxes(0, 1)
        return found.reshape(draws, count * size, count * size)

    def _with_steps(
        self, kernel: Recursion, points: Points, steps: dict[str, Any], draws: int, epsilon: float
    ) -> Array:
        """Return the covariances of values and of their derivatives along the steps so far."""
        count, size = self.count, kernel.size
        i, j = (side.ravel() for side in np.indices((count, count)))
        base = count * np.arange(draws)[:, None]
        places = [(base + side).ravel() for side in (i, j)]
        q = quotients(kernel, points, steps, epsilon, places[0], places[1])
        blocks = [
            part.reshape(draws, count, count, size, size)
            .transpose(0, 1, 3, 2, 4)
            .reshape(draws, count * size, count * size)
            for part in (q.value, q.mixed, q.turned, q.slope)
        ]
        top = np.concatenate(blocks[:2], axis=2)
        found = np.concatenate([top, np.concatenate(blocks[2:], axis=2)], axis=1)
        symmetric: Array = (found + found.swapaxes(1, 2)) / 2
        return symmetric


def _thin(factor: Array) -> Array:
    """Drop the columns of directions without variance."""
    return np.ascontiguousarray(factor[:, np.any(factor != 0, axis=0)])


def _put(table: dict[str, Any], level: Level, values: Array, count: int) -> None:
    """Split draws (B, M size) of a level into its scalars, a row per point."""
    rows = values.reshape(len(values) * count, level.size)
    at = 0
    for scalars in level.scalars:
        width = int(np.prod(scalars.shape, initial=1))
        table[scalars.name] = rows[:, at : at + width].reshape(len(rows), *scalars.shape)
        at += width
