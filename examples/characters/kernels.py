"""Prediction with a kernel: by solving, and by gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Kernel:
    """A kernel between the training points, and from the test points to them."""

    train: Array
    test: Array

    def solve(self, targets: Array) -> tuple[Array, Array]:
        """Return the interpolant of the targets at the training and at the test points.

        For the NNGP kernel this is the posterior mean without noise, for the NTK where gradient
        descent from a small initial output ends.
        """
        coefficients = np.linalg.solve(self.train, targets)
        return self.train @ coefficients, self.test @ coefficients

    def descend(self, targets: Array, rate: float, steps: Iterable[int]) -> tuple[Array, Array]:
        """Return what ``f <- f - rate (2 / (N k)) K (f - y)`` from zero gives after some steps.

        That is gradient descent on the mean squared error of N points and k outputs in the kernel
        limit. In the eigenvectors of K every coordinate goes its own way, so any step has a closed
        form: ``(1 - (1 - rate (2 / (N k)) lambda)^t)`` of the target is learnt after t steps.
        Shapes: (steps, N, k) and (steps, N', k).
        """
        values, vectors = np.linalg.eigh(self.train)
        values = np.maximum(values, 1e-14 * values[-1])
        shrink = 1 - rate * 2 / targets.size * values
        rotated = vectors.T @ targets
        learnt = (1 - shrink ** np.array(list(steps))[:, None])[:, :, None] * rotated
        return vectors @ learnt, self.test @ (vectors @ (learnt / values[:, None]))
