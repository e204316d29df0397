"""Kernels with general expectations, evaluated pair by pair, with their standard errors.

The whole recursion runs on every replicate of the random lattices, so the spread of a kernel entry
over replicates is the error of the entry itself, whatever it was computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit import expressions as ex
from tpc.limit.expectation import Expectation
from tpc.limit.integrate import STEPS, Rule
from tpc.limit.interpret import values_of
from tpc.limit.samples import checked
from tpc.runtime.lattice import SIZES
from tpc.storage import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.limit.bands import Options
    from tpc.limit.kernels import Kernels
    from tpc.limit.limit import Limit

    Array = NDArray[np.float64]

PAIRS = 256
"""Pairs that are evaluated at a time."""
MOST = 4096
"""The same where no expectation is sampled."""
SAMPLING = 1e-3
"""Default of the largest standard error, relative to the diagonal of the kernel."""
Samples = Mapping[str, Any]


class SamplingError(ArithmeticError):
    """A kernel entry missed its tolerance; ``error`` is the largest relative standard error."""

    def __init__(self, sampling: float, error: float) -> None:
        super().__init__(
            f"expectations over many Gaussians were sampled to a relative standard error of "
            f"{error:.3g} only, not {sampling:.3g}"
        )
        self.error = error


def expectations(kernels: Kernels) -> list[Expectation]:
    """Return the general expectations that a kernel needs."""
    everything = walked((*kernels.entries, *kernels.diagonal))
    return [e for e in everything if isinstance(e, Expectation)]


def methods(kernels: Kernels) -> list[str]:
    """Say how general expectations are computed."""
    sizes = [e.dimension for e in expectations(kernels)]
    few, many = [n for n in sizes if n in STEPS], [n for n in sizes if n not in STEPS]
    said = []
    if few:
        said.append(f"grids, refined to the tolerance asked for: {_count(few)}")
    if many:
        said.append(
            f"random lattices, with a standard error for every entry of the kernel: {_count(many)}"
        )
    return said


def _count(sizes: list[int]) -> str:
    noun = "expectation" if len(sizes) == 1 else "expectations"
    low, high = min(sizes), max(sizes)
    span = f"{low}" if low == high else f"{low} to {high}"
    return f"{len(sizes)} {noun} over {span} Gaussian{'' if high == 1 else 's'}"


def errors_of(
    limit: Limit, X: Any, X2: Any, tolerance: float, sampling: float | None
) -> tuple[Array, Array]:
    """Return the kernel of a limit and its standard errors (see :meth:`Limit.with_errors`).

    Raises:
        TpcError: wrong shapes, NaNs, or a tolerance that cannot be met.
    """
    from tpc.limit import lengths
    from tpc.limit.bands import Options

    if any(lengths.ragged(limit, each) for each in (X, X2)):
        options = Options(tolerance, sampling=sampling)
        value, error = lengths.evaluate([limit], X, X2, options)
        return value[0], error[0]
    if not expectations(limit.kernels):
        value = limit.evaluate(X, X2, tolerance=tolerance)
        return value, np.zeros_like(value)
    left = _samples(limit, X)
    right = None if X2 is None else _samples(limit, X2)
    return evaluate(limit.kernels, left, right, tolerance, sampling)


def _samples(limit: Limit, X: Any) -> Samples:
    try:
        return checked(limit.inputs, X)
    except ValueError as error:
        raise TpcError(Diagnostic("E0961", f"the samples do not fit: {error}")) from error


def integrated(limits: Sequence[Limit], X: Any, X2: Any, options: Options) -> Array:
    """Return the kernels (kinds, N, N2, axes) of limits with general expectations.

    Raises:
        TpcError: wrong shapes, NaNs, a tolerance that cannot be met, or a file that cannot be
            written.
    """
    parts = [errors_of(each, X, X2, options.tolerance, options.sampling)[0] for each in limits]
    found = np.stack(parts).astype(options.dtype, copy=False)
    if options.out is not None:
        with replacing(options.out) as file:
            np.save(file, found[0] if len(limits) == 1 else found)
    return found


def integrated_diagonals(limits: Sequence[Limit], X: Any, options: Options) -> Array:
    """Return the kernels of samples with themselves, (kinds, N) and the kept axes twice.

    Raises:
        TpcError: wrong shapes, NaNs, or a tolerance that cannot be met.
    """
    parts = []
    for each in limits:
        data = _samples(each, X)
        run = lambda rule, kernels=each.kernels, data=data: _own(kernels, data, rule)  # noqa: E731
        value, _ = _to_tolerance(each.kernels, run, options.tolerance, options.sampling)
        parts.append(value)
    return np.stack(parts).astype(options.dtype, copy=False)


def evaluate(
    kernels: Kernels,
    left: Samples,
    right: Samples | None,
    tolerance: float = 1e-10,
    sampling: float | None = None,
    own: tuple[Kernels, Kernels] | None = None,
) -> tuple[Array, Array]:
    """Return the kernel (N, N2, kept axes twice) and standard errors (zero where not sampled).

    ``tolerance`` is for expectations over at most three Gaussians, relative to the root mean square
    of what is averaged; ``sampling`` for the standard error of an entry, relative to the geometric
    mean of the two diagonal entries. ``own`` are the kernels with the diagonals of either side,
    where samples of two shapes have their own.

    Raises:
        TpcError: a tolerance is out of reach.
    """

    def run(rule: Rule) -> tuple[Array, Array, float]:
        return _evaluate(kernels, left, right, rule, own)

    value, error = _to_tolerance(kernels, run, tolerance, sampling)
    shape = (*value.shape[:2], *kernels.kept, *kernels.kept)
    return value.reshape(shape), error.reshape(shape)


def _to_tolerance(
    kernels: Kernels,
    run: Callable[[Rule], tuple[Array, Array, float]],
    tolerance: float,
    sampling: float | None,
) -> tuple[Array, Array]:
    """Run with larger and larger lattices until the largest relative error is met."""
    many = any(e.dimension not in STEPS for e in expectations(kernels))
    kinked: set[Any] = set()
    bound = SAMPLING if sampling is None else sampling
    try:
        for size in SIZES:
            rule = Rule(max(tolerance, 1e-2 * bound) if many else tolerance, size, kinked=kinked)
            rule.quick = many
            value, error, worst = run(rule)
            if not np.isfinite(value).all():
                raise ArithmeticError(
                    "an expectation has no finite value: its arguments are too nearly collinear"
                )
            if worst <= bound:
                return value, error
        raise SamplingError(bound, worst)
    except ArithmeticError as error:
        help = f"ask for less: evaluate(..., sampling={10 * bound:g})"
        raise TpcError(Diagnostic("E0962", str(error), help=help)) from error


def _own(kernels: Kernels, data: Samples, rule: Rule) -> tuple[Array, Array, float]:
    """Return the diagonal (N, kept axes twice), its errors, and the largest relative one."""
    values = values_of(walked(kernels.diagonal), (data, data), (), rule)
    value, error = _diagonal(kernels, data, values)
    shape = (-1, *kernels.kept, *kernels.kept)
    size = int(np.prod(kernels.kept, initial=1))
    scale = np.sqrt(np.abs(value.reshape(size, size, -1).diagonal()))
    relative = error.T.reshape(-1, size, size) / np.maximum(
        scale[:, :, None] * scale[:, None, :], 1e-300
    )
    worst = float(relative[error.T.reshape(relative.shape) > 0].max(initial=0.0))
    return value.T.reshape(shape), error.T.reshape(shape), worst


def _evaluate(
    kernels: Kernels,
    left: Samples,
    right: Samples | None,
    rule: Rule,
    diagonals: tuple[Kernels, Kernels] | None,
) -> tuple[Array, Array, float]:
    roots = kernels.entries
    order = walked(roots)
    sides = [left] if right is None else [left, right]
    whose = (kernels, kernels) if diagonals is None else diagonals
    singles, own = [], []
    for side, samples in enumerate(sides):
        needed = _singles(roots, whose[side].diagonal, None if right is None else side)
        singles.append(values_of(needed, (samples, samples), (), rule))
        own.append(_diagonal(whose[side], samples, singles[-1]))
    count, count2 = len(own[0][0][0]), len(own[-1][0][0])
    mirrored = right is None and not kernels.kept
    value, error = np.empty((2, count, count2, len(roots)))
    rows, columns = np.triu_indices(count, 1) if mirrored else _all(count, count2)
    data = (sides[0], sides[-1])
    length = PAIRS if expectations(kernels) else MOST
    for start in range(0, len(rows), length):
        i, j = rows[start : start + length], columns[start : start + length]
        chosen = tuple(
            {name: a[place] for name, a in each.items()}
            for each, place in zip(data, (i, j), strict=True)
        )
        at = tuple(
            {e: _taken(v, place) for e, v in each.items()}
            for each, place in zip((singles[0], singles[-1]), (i, j), strict=True)
        )
        values = values_of(order, (chosen[0], chosen[1]), at, rule)
        for n, e in enumerate(roots):
            value[i, j, n], error[i, j, n] = spread(values[e])
    if mirrored:
        value[columns, rows], error[columns, rows] = value[rows, columns], error[rows, columns]
    if right is None:
        for n in range(len(roots)):
            value[range(count), range(count), n] = own[0][0][n]
            error[range(count), range(count), n] = own[0][1][n]
    return value, error, _relative(error, own, kernels)


def _relative(error: Array, own: list[tuple[Array, Array]], kernels: Kernels) -> float:
    """Return the largest error, relative to the diagonal entries of its row and column."""
    size = int(np.prod(kernels.kept, initial=1))
    scales = [np.sqrt(np.abs(side[0].reshape(size, size, -1).diagonal())) for side in own]
    scale = np.einsum("na,mb->nmab", scales[0], scales[-1]).reshape(error.shape)
    bad = error > 0
    return float((error[bad] / np.maximum(scale[bad], 1e-300)).max(initial=0.0))


@lru_cache(maxsize=256)
def walked(roots: tuple[ex.Expression, ...]) -> tuple[ex.Expression, ...]:
    """Return what :func:`ex.walk` yields; recursions that run many times are walked once."""
    return tuple(ex.walk(roots))


@lru_cache(maxsize=256)
def _singles(
    roots: tuple[ex.Expression, ...], diagonal: tuple[ex.Expression, ...], side: int | None
) -> tuple[ex.Expression, ...]:
    """Return what pairs need of single samples (of those on a side), and the diagonal."""
    inner = [e.inner for e in walked(roots) if isinstance(e, ex.At) and side in (None, e.side)]
    return tuple(ex.walk([*inner, *diagonal]))


def _diagonal(
    kernels: Kernels, data: Samples, values: Mapping[ex.Expression, Array]
) -> tuple[Array, Array]:
    """Return the kernel of every sample with itself and its errors, both (entries, N)."""
    count = len(next(iter(data.values())))
    pairs = [spread(values[e]) for e in kernels.diagonal]
    found = [[np.broadcast_to(part, (count,)) for part in pair] for pair in pairs]
    return np.array([f[0] for f in found]), np.array([f[1] for f in found])


def spread(values: Array) -> tuple[Array, Array]:
    """Return mean and standard error over replicates."""
    if values.ndim < 2:
        return values, np.zeros_like(values, dtype=np.float64)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def _all(count: int, count2: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.divmod(np.arange(count * count2), count2)
    return rows, columns


def _taken(values: Array, place: NDArray[np.intp]) -> Array:
    """Return the values of a single-input expression at samples; constants stay as they are."""
    return values if values.ndim == 0 or values.shape[-1] == 1 else values[..., place]
