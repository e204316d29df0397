"""Prediction in the kernel limits: Gaussian process posteriors and gradient descent.

Notation: ``K`` (N, N) between the training samples, ``K_test`` (M, N) from test to training ones,
targets (N, k). All functions take arrays and return arrays; factorisations are symmetric and take
what rounding leaves of a semidefinite kernel as zero. Where K is a memory map it stays one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit.ridge import Ridge, choose_ridge
from tpc.limit.solving import Method, inverse, product, ridge_solve, solve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "Posterior",
    "Ridge",
    "Tangent",
    "choose_ridge",
    "ensemble",
    "posterior",
    "ridge_solve",
    "tangent",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """Mean (M, k) and covariance (M, M) of the outputs at the test samples.

    The k outputs are independent given the mean, each with this covariance. ``note`` says how the
    linear systems were solved. Of a Gaussian process, ``scale`` is the factor of kernel and noise
    that makes the targets most likely, ``y^T (K + noise I)^-1 y / (N k)``: with it the mean stays,
    and the covariance is to be multiplied by it.
    """

    mean: Array
    covariance: Array
    note: str = ""
    scale: float = 1.0

    @property
    def deviation(self) -> Array:
        """The standard deviations (M,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))


def posterior(
    K: ArrayLike,
    K_test: ArrayLike,
    K_test_test: ArrayLike,
    targets: ArrayLike,
    noise: float = 0.0,
    *,
    method: Method = "auto",
) -> Posterior:
    """Return the Gaussian process posterior, the Bayesian prediction of the NNGP.

    ``mean = K_test (K + noise I)^-1 y`` and ``cov = K_tt - K_test (K + noise I)^-1 K_test^T``.
    ``noise`` is the variance of the targets' noise (a ridge). K_test_test: (M, M). ``method`` is
    that of :func:`tpc.limit.solving.solve`.

    Raises:
        TpcError: shapes that do not fit, or NaNs.
    """
    kernel, test, y = checked(K, K_test, targets)
    found = solve(kernel, np.concatenate([y, test.T], axis=1), noise, method=method)
    mean = test @ found.x[:, : y.shape[1]]
    covariance = np.asarray(K_test_test, dtype=np.float64) - test @ found.x[:, y.shape[1] :]
    scale = float((y * found.x[:, : y.shape[1]]).mean())
    return Posterior(mean, (covariance + covariance.T) / 2, found.note, scale)


def ensemble(
    K: ArrayLike,
    K_test: ArrayLike,
    targets: ArrayLike,
    prior: tuple[ArrayLike, ArrayLike, ArrayLike],
    ridge: float = 0.0,
    *,
    method: Method = "auto",
) -> Posterior:
    """Return mean and covariance over initialisations of networks trained to the end.

    K is the tangent kernel; ``prior`` the NNGP between training samples, from test to training
    ones, and between test ones: the covariance of f before training. With ``A = K_test K^-1`` the
    trained f is ``f_0(test) + A (y - f_0)`` (Lee et al. 2019, eqs. 14-16): its covariance is
    ``S_tt - A S_test^T - S_test A^T + A S A^T``. ``ridge`` adds to K (see :class:`Tangent`).

    Raises:
        TpcError: shapes that do not fit, or NaNs.
    """
    kernel, test, y = checked(K, K_test, targets)
    found = solve(kernel, test.T, ridge, method=method)
    return _spread(found.x.T, y, prior, found.note)


def _spread(
    operator: Array, y: Array, prior: tuple[ArrayLike, ArrayLike, ArrayLike], note: str
) -> Posterior:
    """Return mean and covariance of ``f_0(test) + A (y - f_0)`` for the operator A (M, N)."""
    own, cross, far = prior
    shared = operator @ np.asarray(cross, dtype=np.float64).T
    square = operator @ product(np.asanyarray(own), operator.T)
    covariance = np.asarray(far, dtype=np.float64) - shared - shared.T + square
    return Posterior(operator @ y, (covariance + covariance.T) / 2, note)


@dataclass(frozen=True)
class Tangent:
    """Training in the kernel regime on squared error: ``df = -rate K (f - y) dt``.

    Made by :func:`tangent`. ``values`` (N,) and ``vectors`` (N, N) are K's spectrum. The loss is
    ``1/2 sum (f - y)^2`` times ``weight`` (1 for the summed squared error, ``2 / (N k)`` for a mean
    squared error over N samples and k outputs), so that one step is
    ``f <- f - rate * weight * K (f - y)``. A ``ridge`` adds ``weight * ridge / 2`` times the
    squared distance of the weights from where they start: the error is then contracted by
    K + ridge I, and training ends at kernel ridge regression.
    """

    values: Array
    vectors: Array
    test: Array
    targets: Array
    weight: float = 1.0
    ridge: float = 0.0

    @property
    def largest_rate(self) -> float:
        """The largest learning rate at which gradient descent does not diverge."""
        return float(2.0 / (self.weight * (self.values[-1] + self.ridge)))

    def steps(
        self, rate: float, steps: Sequence[int] | Array, start: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array]:
        """Return outputs (T, N, k) and (T, M, k) after the given numbers of gradient steps.

        ``start`` are the outputs before training at both sets of samples: zero if None.

        Raises:
            TpcError: the rate is so large that training diverges.
        """
        return self._outputs(self._after_steps(rate, steps), start)

    def flow(
        self,
        times: Sequence[float] | Array,
        rate: float = 1.0,
        start: tuple[Array, Array] | None = None,
    ) -> tuple[Array, Array]:
        """Return outputs of gradient flow at times (in units of 1 / rate; infinity is allowed)."""
        return self._outputs(self._after_times(rate, times), start)

    def ensemble(
        self,
        prior: tuple[ArrayLike, ArrayLike, ArrayLike],
        *,
        time: float = math.inf,
        rate: float = 1.0,
        steps: int | None = None,
    ) -> Posterior:
        """Return mean and covariance over initialisations of f after training.

        After ``time`` of gradient flow, or after ``steps`` steps at the ``rate``. ``prior`` is that
        of :func:`ensemble`.
        """
        gain = (
            self._after_times(rate, [time]) if steps is None else self._after_steps(rate, [steps])
        )
        operator = ((self.test @ self.vectors) * gain[0]) @ self.vectors.T
        return _spread(operator, self.targets, prior, "solved by eigenvectors")

    def _after_steps(self, rate: float, steps: Sequence[int] | Array) -> Array:
        if rate > self.largest_rate * (1 + 1e-9):
            raise TpcError(
                Diagnostic(
                    "E0965",
                    f"gradient descent diverges at the learning rate {rate:g}",
                    help=f"take at most {self.largest_rate:g}",
                )
            )
        shrink = 1.0 - rate * self.weight * self._damped
        return (1.0 - shrink ** np.asarray(steps, dtype=np.float64)[:, None]) * self._inverse

    def _after_times(self, rate: float, times: Sequence[float] | Array) -> Array:
        """Return the gains (T, N): the coefficient of every mode over the error it began with."""
        elapsed = np.asarray(times, dtype=np.float64)[:, None]
        kept = np.where(self._inverse > 0, self._damped, 1.0)
        return -np.expm1(-rate * self.weight * elapsed * kept) * self._inverse

    @property
    def _damped(self) -> Array:
        """The rates at which modes are learnt, at learning rate one."""
        return np.maximum(self.values, 0.0) + self.ridge

    @property
    def _inverse(self) -> Array:
        return inverse(self._damped)

    def _outputs(self, gain: Array, start: tuple[Array, Array] | None) -> tuple[Array, Array]:
        """Return the outputs that gains (T, N) lead to."""
        first = np.zeros_like(self.targets) if start is None else np.asarray(start[0])
        learnt = gain[:, :, None] * (self.vectors.T @ (self.targets - first))
        train = first + self.vectors @ (np.maximum(self.values, 0.0)[:, None] * learnt)
        change = self.test @ (self.vectors @ learnt)
        return train, change if start is None else np.asarray(start[1]) + change


def tangent(
    K: ArrayLike, K_test: ArrayLike, targets: ArrayLike, weight: float = 1.0, ridge: float = 0.0
) -> Tangent:
    """Return the training dynamics under a tangent kernel (see :class:`Tangent`).

    Raises:
        TpcError: shapes that do not fit, or NaNs.
    """
    kernel, test, y = checked(K, K_test, targets)
    values, vectors = np.linalg.eigh(np.asarray(kernel, dtype=np.float64))
    return Tangent(values, vectors, test, y, weight, ridge)


def checked(
    K: ArrayLike, K_test: ArrayLike, targets: ArrayLike
) -> tuple[NDArray[Any], Array, Array]:
    """Return kernel, test rows and targets (N, k); the kernel as it is, the others in float64.

    Raises:
        TpcError: shapes that do not fit, or NaNs.
    """
    kernel = np.asanyarray(K)
    test, y = (np.asarray(a, dtype=np.float64) for a in (K_test, targets))
    y = y[:, None] if y.ndim == 1 else y
    count = len(kernel) if kernel.ndim else 0
    if kernel.shape != (count, count) or test.shape[1:] != (count,) or y.shape[:1] != (count,):
        raise TpcError(
            Diagnostic(
                "E0966",
                f"a kernel {kernel.shape}, test rows {test.shape} and targets {y.shape} do not fit",
                help="kernels are (N, N) and (M, N), targets (N, k)",
            )
        )
    for name, array in (("kernel", kernel), ("test rows", test), ("targets", y)):
        if not all(np.isfinite(array[i : i + 1024]).all() for i in range(0, len(array), 1024)):
            raise TpcError(Diagnostic("E0966", f"the {name} contain NaN or infinity"))
    return kernel, test, y
