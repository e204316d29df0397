"""The choice of a ridge: by leaving samples out, or by marginal likelihood."""

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
LEAVE_ONE_OUT, LIKELIHOOD = ("leave_one_out", "loo"), ("likelihood", "mll")


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
    *,
    block: int = 1,
) -> Ridge:
    """Return the best ridge, ``by`` leave-one-out error ("loo") or marginal likelihood ("mll").

    One eigendecomposition serves all: with ``A = (K + r I)^-1`` the error left out is
    ``(A y)_i / A_ii`` and the likelihood ``-1/2 (y^T A y / k - log det A + N log 2 pi)``
    (Rasmussen & Williams 2006, section 5.4). Samples of several rows of K are left out as a whole:
    ``block`` rows each. Without ``ridges``, 25 between 1e-8 and 10 times the mean of K's diagonal
    are tried, and the best one is then refined between its neighbours.

    Raises:
        TpcError: shapes that do not fit, NaNs, or no such criterion.
    """
    if by not in LEAVE_ONE_OUT + LIKELIHOOD:
        raise TpcError(Diagnostic("E0966", f"a ridge is chosen by loo or mll, not by {by!r}"))
    kernel, y = np.asarray(K, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    if kernel.shape != (len(y), len(y)) or not np.isfinite(kernel).all() or len(y) % block:
        raise TpcError(
            Diagnostic("E0966", f"a kernel {kernel.shape} and targets {y.shape} do not fit")
        )
    values, vectors = np.linalg.eigh(kernel)
    fit = _Fit(np.maximum(values, 0.0), vectors, y, block)
    sign = -1 if by in LIKELIHOOD else 1

    def cost(ridge: Ridge) -> float:
        return -ridge.log_likelihood if sign < 0 else ridge.leave_one_out

    if ridges is not None:
        return min((fit.at(float(r)) for r in ridges), key=cost)
    size = float(np.trace(kernel)) / len(kernel)
    tried = [fit.at(float(r)) for r in np.logspace(-8, 1, 25) * size]
    best = int(np.argmin([cost(each) for each in tried]))
    ends = tried[max(best - 1, 0)].ridge, tried[min(best + 1, 24)].ridge
    return min(tried[best], fit.refined(*ends, cost), key=cost)


@dataclass(frozen=True)
class _Fit:
    """The spectrum of a kernel with targets: everything that scores of ridges need."""

    values: Array
    vectors: Array
    y: Array
    block: int

    def at(self, ridge: float) -> Ridge:
        inverse = 1.0 / (self.values + ridge)
        rotated = self.vectors.T @ self.y
        residual = self.vectors @ (inverse[:, None] * rotated)
        fit = float((inverse[:, None] * rotated**2).sum()) / self.y.shape[1]
        likelihood = -0.5 * (fit - np.log(inverse).sum() + len(self.values) * np.log(2 * np.pi))
        return Ridge(ridge, self._left_out(inverse, residual), float(likelihood))

    def _left_out(self, inverse: Array, residual: Array) -> float:
        """Return the mean squared error of predictions for samples that were left out."""
        if self.block == 1:
            own = (self.vectors**2) @ inverse
            return float(((residual / own[:, None]) ** 2).mean())
        rows = self.vectors.reshape(-1, self.block, len(self.values))
        own = np.einsum("ipv,v,iqv->ipq", rows, inverse, rows, optimize=True)
        errors = np.linalg.solve(own, residual.reshape(len(own), self.block, -1))
        return float((errors**2).mean())

    def refined(self, low: float, high: float, cost: object) -> Ridge:
        """Minimise the cost over ridges between two, in the logarithm."""
        from scipy.optimize import minimize_scalar

        assert callable(cost)
        found = minimize_scalar(
            lambda x: cost(self.at(float(np.exp(x)))),
            bounds=(np.log(low), np.log(high)),
            method="bounded",
            options={"xatol": 1e-3},
        )
        return self.at(float(np.exp(found.x)))
