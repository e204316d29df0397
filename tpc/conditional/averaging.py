"""Kernels averaged over the joint law of the random scalars, with measured errors.

The normals behind a draw are those of a lattice with random shifts where they are few, else
pseudo-random; either way there are replicates, whose spread is the error of the average.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tpc.conditional.joint import Drawn, Joint
from tpc.conditional.quotients import STEPS, quotients
from tpc.diagnostics import Diagnostic, TpcError
from tpc.runtime import lattice

if TYPE_CHECKING:
    from tpc.conditional.recursion import Array, Places, Recursion

SIZES = (61, 251, 1021, 4093, 16381)
"""Draws of one replicate, all prime."""
FEW = 64
"""Normals of a draw up to which lattices are taken."""
PAIRS = 16_384
"""Pairs of points that are evaluated at a time."""
TRIED = 8
"""Draws by which the step of differences is chosen."""
Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class Mean:
    """Averages over draws and their standard errors: ``pairs`` (P, size, size), ``own`` (M, ..)."""

    pairs: Array
    pairs_error: Array
    own: Array
    own_error: Array
    draws: int

    def worst(self, rows: Places, columns: Places) -> float:
        """Return the largest error relative to the diagonal entries of its row and column."""
        scale = np.sqrt(np.abs(np.diagonal(self.own, axis1=1, axis2=2)))
        found = []
        for error, left, right in (
            (self.pairs_error, scale[rows], scale[columns]),
            (self.own_error, scale, scale),
        ):
            size = left[:, :, None] * right[:, None, :]
            bad = error > 0
            found.append(float((error[bad] / np.maximum(size[bad], 1e-300)).max(initial=0.0)))
        return max(found)


@dataclass(frozen=True)
class Conditional:
    """The kernel of the program behind the cut, and of its steps where it is a tangent kernel.

    Where scalars ``move``, the kernel is ``tangent`` (None: nothing else moves) plus the covariance
    of the derivative along their steps; else it is ``covariance``.
    """

    covariance: Recursion
    tangent: Recursion | None
    move: bool
    masked: bool
    """Whether random masks are drawn anew for every sample, so that its own kernel is another."""

    @property
    def size(self) -> int:
        """The kept entries of one output."""
        return self.covariance.size

    def pairs(self, drawn: Drawn, rows: Places, columns: Places, epsilon: float) -> Array:
        """Return the kernel (P, size, size) given the scalars, along one step of theirs."""
        if not self.move:
            return self.covariance.pairs(drawn.points, rows, columns)
        found = quotients(self.covariance, drawn.points, drawn.steps, epsilon, rows, columns).slope
        if self.tangent is None:
            return found
        return found + self.tangent.pairs(drawn.points, rows, columns)


class Averaging:
    """The average over draws for M samples, at chosen pairs of them."""

    def __init__(
        self, joint: Joint, kernel: Conditional, rows: Places, columns: Places, bound: float
    ) -> None:
        self.joint = joint
        self.kernel = kernel
        self.rows, self.columns = rows, columns
        self.bound = bound
        self.epsilon = 0.0
        count = len(rows) + joint.count
        self.batch = max(1, min(PAIRS // count, 4_000_000 // joint.footprint))

    def mean(self, progress: Progress = None) -> Mean:
        """Return the average; draws are added until the errors meet the bound.

        Raises:
            TpcError: they do not.
        """
        if self.kernel.move:
            self._choose_step()
        quick = self.joint.dimension <= FEW
        for size in SIZES:
            found = self._average(size, progress)
            worst = found.worst(self.rows, self.columns)
            if worst <= self.bound:
                return found
            gain = (size / SIZES[-1]) ** (1.0 if quick else 0.5)
            if worst * gain > 1.5 * self.bound:
                break
        raise TpcError(
            Diagnostic(
                "E0962",
                f"the average over random scalars has a relative standard error of {worst:.1e} "
                f"after {found.draws} draws, not {self.bound:.1e}",
                help=f"ask for less: evaluate(..., sampling={_rounded(worst * gain):g})",
            )
        )

    def batches(self, size: int) -> Iterator[tuple[int, Drawn]]:
        """Yield draws, a batch at a time, with the number of their replicate."""
        dimension = max(1, self.joint.dimension)
        for replicate in range(lattice.REPLICATES):
            if dimension <= FEW:
                normals = lattice.lattice(dimension, size)[replicate].T
            else:
                rng = np.random.default_rng([lattice.SEED, replicate])
                normals = rng.standard_normal((dimension, size)).T
            for start in range(0, size, self.batch):
                part = normals[start : start + self.batch, : self.joint.dimension]
                yield replicate, self.joint.draw(part, self.epsilon)

    def given(self, drawn: Drawn) -> tuple[Array, Array]:
        """Return the kernels of a batch: (B, P, size, size), and on the diagonal (B, M, ..)."""
        count, size = self.joint.count, self.kernel.size
        base = count * np.arange(drawn.draws)[:, None]
        places = np.arange(0 if self.kernel.masked else count)
        rows, columns = (np.concatenate([side, places]) for side in (self.rows, self.columns))
        found = self.kernel.pairs(
            drawn, (base + rows).ravel(), (base + columns).ravel(), self.epsilon
        ).reshape(drawn.draws, len(rows), size, size)
        if self.kernel.masked:
            own = self.kernel.covariance.own(drawn.points)
            return found, own.reshape(drawn.draws, count, size, size)
        return found[:, : len(self.rows)], found[:, len(self.rows) :]

    def _average(self, size: int, progress: Progress) -> Mean:
        shape = (lattice.REPLICATES, len(self.rows), self.kernel.size, self.kernel.size)
        pairs = np.zeros(shape)
        own = np.zeros((shape[0], self.joint.count, *shape[2:]))
        done = 0
        for replicate, drawn in self.batches(size):
            one, two = self.given(drawn)
            pairs[replicate] += one.sum(axis=0) / size
            own[replicate] += two.sum(axis=0) / size
            done += drawn.draws
            if progress is not None:
                progress(done, lattice.REPLICATES * size)
        return Mean(*_spread(pairs), *_spread(own), done)

    def _choose_step(self) -> None:
        """Choose the step of differences: the one at which the next changes least.

        Raises:
            TpcError: they change by more than the errors that are asked for.
        """
        normals = np.random.default_rng(lattice.SEED).standard_normal((TRIED, self.joint.dimension))
        tables = []
        for step in STEPS:
            self.epsilon = step * self.joint.unit
            pairs, own = self.given(self.joint.draw(normals, self.epsilon))
            tables.append((pairs, own))
        scale = max(float(np.abs(tables[0][1]).max()), 1e-300)
        changes = [
            max(float(np.abs(p - q).max(initial=0.0)) for p, q in zip(one, two, strict=True))
            for one, two in itertools.pairwise(tables)
        ]
        best = int(np.argmin(changes))
        self.epsilon = STEPS[best + 1] * self.joint.unit
        if changes[best] > self.bound * scale:
            raise TpcError(
                Diagnostic(
                    "E0962",
                    "derivatives by the random scalars, as differences, have a relative error of "
                    f"{changes[best] / scale:.1e}",
                    help=f"ask for less: evaluate(..., sampling={_rounded(changes[best] / scale)})",
                )
            )


def _spread(values: Array) -> tuple[Array, Array]:
    """Return mean and standard error over replicates."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def _rounded(error: float) -> float:
    return float(f"{2 * error:.0e}")
