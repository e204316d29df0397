"""Linear systems ``(K + ridge I) X = B`` with kernels, in memory or read from a file in tiles.

A Cholesky factorisation where it fits into memory; otherwise conjugate gradients (Hestenes &
Stiefel 1952) with a pivoted Cholesky preconditioner (Harbrecht, Peters & Schneider 2012). Kernels
may be memory maps of float32 or float64: all arithmetic is in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.memory import available
from tpc.limit.pivoted import Preconditioner, preconditioner

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]
Method = Literal["auto", "cholesky", "cg"]
METHODS = ("auto", "cholesky", "cg")
NEGLIGIBLE = 1e-13
"""Eigenvalues below this times the largest one are rounding, and left out of inverses."""
TOLERANCE = 1e-8
"""The relative residual at which conjugate gradients stop, unless told otherwise."""
TILE = 2**26
"""Bytes of a kernel that are read at a time."""
_FLOOR, _SHARE = 1e-14, 0.8
_ITERATIONS = 2000


@dataclass(frozen=True)
class Solution:
    """What solves a system, and how it was found.

    ``x`` has the shape of the right-hand side. ``method`` is "cholesky", "eigenvectors" (a singular
    kernel: its pseudo-inverse) or "cg"; for cg, ``residual`` is the largest relative residual
    ``|B - A X| / |B|`` of a column, evaluated afresh at the end; ``iterations`` and ``rank`` (of
    the preconditioner) are zero for the others. Of a singular system cg finds a solution, not the
    smallest one: predictions from it are the same.
    """

    x: Array
    method: str
    residual: float = 0.0
    iterations: int = 0
    rank: int = 0

    @property
    def note(self) -> str:
        """How the system was solved, as one sentence."""
        if self.method != "cg":
            return f"solved by {self.method}"
        return (
            f"solved by conjugate gradients: {self.iterations} iterations, preconditioner of rank "
            f"{self.rank}, relative residual {self.residual:.1e}"
        )


def solve(
    K: ArrayLike,
    right: ArrayLike,
    ridge: float = 0.0,
    *,
    method: Method = "auto",
    tolerance: float = TOLERANCE,
    rank: int | None = None,
    memory: int | None = None,
) -> Solution:
    """Solve ``(K + ridge I) x = right`` for a positive semidefinite K of shape (N, N).

    Right-hand sides (N,) or (N, c). ``memory`` (bytes; by default what is free) decides between the
    methods where ``method`` is "auto" and bounds what conjugate gradients hold besides their
    vectors. ``tolerance`` and ``rank`` (of the preconditioner; by default chosen) are theirs.

    Raises:
        TpcError: the method is unknown, or conjugate gradients do not reach the tolerance.
    """
    if method not in METHODS:
        raise TpcError(Diagnostic("E0966", f"there is no solver {method!r}: {', '.join(METHODS)}"))
    b = np.asarray(right, dtype=np.float64)
    room = available() if memory is None else memory
    if method == "cholesky" or (method == "auto" and factor_fits(len(b), room)):
        return _factorised(np.array(K, dtype=np.float64), b, ridge)
    matrix = K if isinstance(K, np.ndarray) else np.asarray(K)
    return _iterated(matrix, b, ridge, tolerance, rank, room)


def factor_fits(count: int, memory: int) -> bool:
    """Whether a kernel of ``count`` points and its factor, in float64, fit into so many bytes."""
    return 8 * count**2 <= _SHARE * memory


def ridge_solve(K: ArrayLike, right: ArrayLike, ridge: float = 0.0) -> Array:
    """Return ``(K + ridge I)^-1 right`` for a positive semidefinite K, in memory.

    Cholesky where K is well conditioned; otherwise eigenvectors, negligible ones left out.
    """
    return solve(K, right, ridge, method="cholesky").x


def inverse(values: Array) -> Array:
    """Return the inverses of eigenvalues, ascending; zero for those that are rounding."""
    kept = values > NEGLIGIBLE * max(values[-1], 0.0)
    return np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)


def _factorised(kernel: Array, right: Array, ridge: float) -> Solution:
    """Solve in memory; ``kernel`` is overwritten."""
    from scipy import linalg

    diagonal = np.diag_indices_from(kernel)
    own = kernel[diagonal]
    kernel[diagonal] += ridge
    norm = float(np.abs(kernel).sum(axis=0).max()) if len(kernel) else 0.0
    try:  # LAPACK writes the factor over the lower triangle: the upper one still holds the kernel
        factor, info = linalg.lapack.dpotrf(kernel.T, lower=0, clean=0, overwrite_a=1)
        condition = 0.0 if info else linalg.lapack.dpocon(factor, norm, uplo="U")[0]
        if condition > NEGLIGIBLE:
            x = linalg.cho_solve((factor, False), right, check_finite=False)
            return Solution(np.asarray(x), "cholesky")
    except linalg.LinAlgError:  # pragma: no cover - LAPACK says so by info
        pass
    return _by_vectors(kernel, own + ridge, right)


def _by_vectors(kernel: Array, diagonal: Array, right: Array) -> Solution:
    """Apply the pseudo-inverse; a factor may stand in the kernel's lower triangle and diagonal."""
    upper = np.triu(kernel, 1)
    whole = upper + upper.T
    whole[np.diag_indices_from(whole)] = diagonal
    values, vectors = np.linalg.eigh(whole)
    scaled = vectors * inverse(values)
    return Solution(np.asarray(scaled @ (vectors.T @ right)), "eigenvectors")


def product(kernel: NDArray[Any], vectors: Array) -> Array:
    """Return ``kernel @ vectors``, reading the kernel in tiles."""
    return _Tiles(kernel, 0.0, max(1, TILE // (8 * max(len(vectors), 1))))(vectors)


# -- conjugate gradients ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tiles:
    """A kernel plus a ridge as a map of vectors, that reads so many rows at a time."""

    kernel: NDArray[Any]
    ridge: float
    rows: int

    def __call__(self, vectors: Array) -> Array:
        result = np.empty_like(vectors)
        for start in range(0, len(self.kernel), self.rows):
            part = slice(start, start + self.rows)
            tile = np.asarray(self.kernel[part], dtype=np.float64)
            result[part] = tile @ vectors
        result += self.ridge * vectors
        return result


def _iterated(
    kernel: NDArray[Any],
    right: Array,
    ridge: float,
    tolerance: float,
    rank: int | None,
    memory: int,
) -> Solution:
    tolerance = max(tolerance, _FLOOR)
    count = len(kernel)
    tile = min(TILE, max(memory // 4, 8 * count))
    apply = _Tiles(kernel, ridge, max(1, tile // (8 * count)))
    most = max(1, min(count, memory // (4 * 8 * count)))
    precondition = preconditioner(kernel, ridge, most if rank is None else min(rank, count), rank)
    columns = right.reshape(count, -1)
    width = max(1, memory // (2 * 5 * 8 * count))  # five vectors of every column are held
    x = np.zeros_like(columns)
    iterations, residual = 0, 0.0
    for start in range(0, columns.shape[1], width):
        part = slice(start, start + width)
        x[:, part], done, left = _columns(apply, columns[:, part], precondition, tolerance)
        iterations, residual = max(iterations, done), max(residual, left)
    if residual > tolerance:
        raise TpcError(
            Diagnostic(
                "E0968",
                f"conjugate gradients stop at a relative residual of {residual:.1e} after "
                f"{iterations} iterations, above the tolerance {tolerance:g}",
                help="take a ridge, or a larger tolerance, or a Cholesky factorisation",
            )
        )
    return Solution(x.reshape(right.shape), "cg", residual, iterations, precondition.rank)


def _columns(
    apply: _Tiles, right: Array, precondition: Preconditioner, tolerance: float
) -> tuple[Array, int, float]:
    """Return solutions, the number of iterations and the largest relative residual.

    The recursion's residual drifts from the true one: from there it starts anew, as long as that
    helps.
    """
    size = np.linalg.norm(right, axis=0)
    size[size == 0] = 1.0
    x, left, done = np.zeros_like(right), right.copy(), 0
    reached = float(np.max(np.linalg.norm(left, axis=0) / size, initial=0.0))
    while reached > tolerance and done < _ITERATIONS:
        change, count = _descend(apply, left, precondition, 0.5 * tolerance * size, done)
        after = right - apply(x + change)
        now = float(np.max(np.linalg.norm(after, axis=0) / size))
        done += count
        if not now < reached:
            break
        x, left, before, reached = x + change, after, reached, now
        if now > 0.5 * before:
            break
    return x, done, reached


def _descend(
    apply: _Tiles, right: Array, precondition: Preconditioner, target: Array, done: int
) -> tuple[Array, int]:
    """Run the recursion from zero on all columns at once, each with step lengths of its own."""
    x, residual = np.zeros_like(right), right.copy()
    direction = precondition(residual)
    product = (residual * direction).sum(axis=0)
    for count in range(1, _ITERATIONS - done + 1):
        image = apply(direction)
        curvature = (direction * image).sum(axis=0)
        step = _ratio(product, curvature)
        x += step * direction
        residual -= step * image
        if np.all(np.linalg.norm(residual, axis=0) <= target):
            return x, count
        better = precondition(residual)
        new = (residual * better).sum(axis=0)
        direction *= _ratio(new, product)
        direction += better
        product = new
    return x, _ITERATIONS - done


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient, zero where the denominator is not positive: that column is done."""
    good = denominator > 0
    return np.where(good, numerator / np.where(good, denominator, 1.0), 0.0)
