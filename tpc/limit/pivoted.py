"""A preconditioner for kernels: a pivoted Cholesky factor of low rank, plus a multiple of I."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Preconditioner:
    """``P = L L^T + shift I`` with L (N, rank), applied as its inverse.

    With ``[L; sqrt(shift) I] = Q R`` and Q1 the first N rows of Q, the inverse is
    ``(I - Q1 Q1^T) / shift``, which is stable where the normal equations are not.
    """

    basis: Array
    shift: float

    @property
    def rank(self) -> int:
        """The number of columns of L."""
        return int(self.basis.shape[1])

    def __call__(self, vectors: Array) -> Array:
        """Return P^-1 times vectors (N, c), times the shift: a scale changes nothing."""
        return vectors - self.basis @ (self.basis.T @ vectors)


def preconditioner(
    kernel: NDArray[Any], ridge: float, most: int, rank: int | None = None
) -> Preconditioner:
    """Return a preconditioner for ``kernel + ridge I``, whose factor has at most ``most`` columns.

    Unless ``rank`` says how many, columns are added until what is left of the trace is below the
    ridge, or up to ``4 sqrt(N)``: making it then costs no more than a few products with the kernel.
    """
    count = len(kernel)
    limit = min(most, int(np.ceil(4 * count**0.5))) if rank is None else rank
    factor, left = pivoted_cholesky(kernel, limit, 0.0 if rank is not None else ridge * count)
    trace = float((factor**2).sum()) + left
    shift = ridge + left / count + _ROUNDING * trace / count
    if not factor.shape[1] or shift <= 0:
        return Preconditioner(np.zeros((count, 0)), 1.0)
    stacked = np.concatenate([factor, np.sqrt(shift) * np.eye(factor.shape[1])])
    return Preconditioner(np.linalg.qr(stacked)[0][:count], shift)


def pivoted_cholesky(kernel: NDArray[Any], rank: int, stop: float = 0.0) -> tuple[Array, float]:
    """Return L (N, r) with ``K ~ L L^T``, r <= rank, and the trace of ``K - L L^T``.

    Reads the diagonal and one row of the kernel for each column; the next pivot is the largest
    entry that is left of the diagonal. Ends early where what is left of the trace is at most
    ``stop``, or rounding.
    """
    count = len(kernel)
    left = np.array(np.diagonal(kernel), dtype=np.float64)
    whole = float(left.sum())
    rows = np.zeros((rank, count))
    found = 0
    while found < rank and left.sum() > max(stop, _ROUNDING * whole):
        pivot = int(np.argmax(left))
        row = np.asarray(kernel[pivot], dtype=np.float64) - rows[:found, pivot] @ rows[:found]
        rows[found] = row / np.sqrt(left[pivot])
        left = np.maximum(left - rows[found] ** 2, 0.0)
        left[pivot] = 0.0
        found += 1
    return np.ascontiguousarray(rows[:found].T), float(left.sum())
