"""Prediction in the kernel limits: Gaussian process posteriors and gradient descent.

Notation: ``K`` (N, N) between the training samples, ``K_test`` (M, N) from test to training ones,
targets (N, k). All functions take arrays and return arrays; factorisations are symmetric and take
what rounding leaves of a semidefinite kernel as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]
_NEGLIGIBLE = 1e-13  # eigenvalues below this times the largest one are rounding


@dataclass(frozen=True)
class Posterior:
    """Mean (M, k) and covariance (M, M) of the outputs at the test samples."""

    mean: Array
    covariance: Array

    @property
    def deviation(self) -> Array:
        """The standard deviations (M,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))


def posterior(
    K: ArrayLike, K_test: ArrayLike, K_test_test: ArrayLike, targets: ArrayLike, noise: float = 0.0
) -> Posterior:
    """Return the Gaussian process posterior, the Bayesian prediction of the NNGP.

    ``mean = K_test (K + noise I)^-1 y`` and ``cov = K_tt - K_test (K + noise I)^-1 K_test^T``.
    ``noise`` is the variance of the targets' noise (a ridge). K_test_test: (M, M).

    Raises:
        TpcError: shapes that do not fit, or NaNs.
    """
    kernel, test, y = _checked(K, K_test, targets)
    solved = ridge_solve(kernel, np.concatenate([y, test.T], axis=1), noise)
    mean = test @ solved[:, : y.shape[1]]
    covariance = np.asarray(K_test_test, dtype=np.float64) - test @ solved[:, y.shape[1] :]
    return Posterior(mean, (covariance + covariance.T) / 2)


def ridge_solve(K: ArrayLike, right: ArrayLike, ridge: float = 0.0) -> Array:
    """Return ``(K + ridge I)^-1 right`` for a positive semidefinite K.

    Cholesky where that succeeds; otherwise by eigenvectors, negligible ones left out.
    """
    from scipy import linalg

    kernel = np.array(K, dtype=np.float64)
    kernel[np.diag_indices_from(kernel)] += ridge
    try:
        factor = linalg.cho_factor(kernel, lower=True, check_finite=False)
        solved = np.asarray(linalg.cho_solve(factor, np.asarray(right), check_finite=False))
        if np.all(np.isfinite(solved)):
            return solved
    except linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(kernel)
    inverse = _inverse(values)
    return np.asarray((vectors * inverse) @ (vectors.T @ np.asarray(right)))


def _inverse(values: Array) -> Array:
    kept = values > _NEGLIGIBLE * max(values[-1], 0.0)
    return np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)


@dataclass(frozen=True)
class Tangent:
    """Training in the kernel regime on squared error: ``df = -rate K (f - y) dt``.

    Made by :func:`tangent`. ``values`` (N,) and ``vectors`` (N, N) are K's spectrum. The loss is
    ``1/2 sum (f - y)^2`` times ``weight`` (1 for the summed squared error, ``2 / (N k)`` for a mean
    squared error over N samples and k outputs), so that one step is
    ``f <- f - rate * weight * K (f - y)``.
    """

    values: Array
    vectors: Array
    test: Array
    targets: Array
    weight: float = 1.0

    @property
    def largest_rate(self) -> float:
        """The largest learning rate at which gradient descent does not diverge."""
        return float(2.0 / (self.weight * self.values[-1]))

    def steps(
        self, rate: float, steps: Sequence[int] | Array, start: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array]:
        """Return outputs (T, N, k) and (T, M, k) after the given numbers of gradient steps.

        ``start`` are the outputs before training at both sets of samples: zero if None.

        Raises:
            TpcError: the rate is so large that training diverges.
        """
        if rate > self.largest_rate * (1 + 1e-9):
            raise TpcError(
                Diagnostic(
                    "E0965",
                    f"gradient descent diverges at the learning rate {rate:g}",
                    help=f"take at most {self.largest_rate:g}",
                )
            )
        shrink = 1.0 - rate * self.weight * np.maximum(self.values, 0.0)
        left = shrink ** np.asarray(steps, dtype=np.float64)[:, None]
        return self._outputs(left, start)

    def flow(
        self,
        times: Sequence[float] | Array,
        rate: float = 1.0,
        start: tuple[Array, Array] | None = None,
    ) -> tuple[Array, Array]:
        """Return outputs of gradient flow at times (in units of 1 / rate; infinity is allowed)."""
        product = np.asarray(times, dtype=np.float64)[:, None] * np.maximum(self.values, 0.0)
        kept = self.values > _NEGLIGIBLE * max(self.values[-1], 0.0)
        exponent = np.where(kept, np.nan_to_num(product, nan=0.0, posinf=np.inf), 0.0)
        return self._outputs(np.exp(-rate * self.weight * exponent), start)

    def _outputs(self, left: Array, start: tuple[Array, Array] | None) -> tuple[Array, Array]:
        """Return outputs where the fraction ``left`` (T, N) of every mode's error remains."""
        first = np.zeros_like(self.targets) if start is None else np.asarray(start[0])
        error = self.vectors.T @ (self.targets - first)
        learnt = (1.0 - left)[:, :, None] * error
        train = first + self.vectors @ learnt
        change = self.test @ (self.vectors @ (_inverse(self.values)[:, None] * learnt))
        return train, change if start is None else np.asarray(start[1]) + change


def tangent(K: ArrayLike, K_test: ArrayLike, targets: ArrayLike, weight: float = 1.0) -> Tangent:
    """Return the training dynamics under a tangent kernel (see :class:`Tangent`).

    Raises:
        TpcError: shapes that do not fit, or NaNs.
    """
    kernel, test, y = _checked(K, K_test, targets)
    values, vectors = np.linalg.eigh(kernel)
    return Tangent(values, vectors, test, y, weight)


@dataclass(frozen=True)
class Ridge:
    """A ridge, the leave-one-out error at it, and the log marginal likelihood per output."""

    ridge: float
    leave_one_out: float
    log_likelihood: float


def choose_ridge(
    K: ArrayLike,
    targets: ArrayLike,
    ridges: Sequence[float] | None = None,
    by: str = "leave_one_out",
) -> Ridge:
    """Return the best of several ridges, by leave-one-out error or by marginal likelihood.

    One factorisation serves all: with ``A = (K + r I)^-1`` the error left out is ``(A y)_i / A_ii``
    and the likelihood ``-1/2 (y^T A y / k - log det A + N log 2 pi)``. By default 25 ridges
    between 1e-8 and 10 times the mean of K's diagonal are tried.
    """
    kernel, _, y = _checked(K, np.asarray(K)[:1], targets)
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    size = float(np.trace(kernel)) / len(kernel)
    tried = np.logspace(-8, 1, 25) * size if ridges is None else np.asarray(ridges)
    found = [_scored(values, vectors, y, float(r)) for r in tried]
    if by == "leave_one_out":
        return min(found, key=lambda r: r.leave_one_out)
    return max(found, key=lambda r: r.log_likelihood)


def _scored(values: Array, vectors: Array, y: Array, ridge: float) -> Ridge:
    inverse = 1.0 / (values + ridge)
    rotated = vectors.T @ y
    residual = vectors @ (inverse[:, None] * rotated)
    own = (vectors**2) @ inverse
    fit = float((inverse[:, None] * rotated**2).sum()) / y.shape[1]
    likelihood = -0.5 * (fit - np.log(inverse).sum() + len(values) * np.log(2 * np.pi))
    return Ridge(ridge, float(((residual / own[:, None]) ** 2).mean()), float(likelihood))


def _checked(K: ArrayLike, K_test: ArrayLike, targets: ArrayLike) -> tuple[Array, Array, Array]:
    kernel, test, y = (np.asarray(a, dtype=np.float64) for a in (K, K_test, targets))
    y = y[:, None] if y.ndim == 1 else y
    count = len(kernel)
    if kernel.shape != (count, count) or test.shape[1:] != (count,) or y.shape[:1] != (count,):
        raise TpcError(
            Diagnostic(
                "E0966",
                f"a kernel {kernel.shape}, test rows {test.shape} and targets {y.shape} do not fit",
                help="kernels are (N, N) and (M, N), targets (N, k)",
            )
        )
    for name, array in (("kernel", kernel), ("test rows", test), ("targets", y)):
        if not np.all(np.isfinite(array)):
            raise TpcError(Diagnostic("E0966", f"the {name} contain NaN or infinity"))
    return kernel, test, y
