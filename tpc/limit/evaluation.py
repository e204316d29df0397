"""Kernel limits on samples: one or two kinds in one pass, whole or the diagonal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit import expressions as ex
from tpc.limit import lengths, sampled
from tpc.limit.bands import Options, fill, new_array, pairs, samples_checked
from tpc.limit.interpret import interpret
from tpc.limit.kernels import Kernels
from tpc.limit.pairs import expectations, integrated, integrated_diagonals
from tpc.limit.positions import PositionLimit, PositionWork, position_diagonals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tpc.limit.limit import Limit

    Array = NDArray[np.float64]

MAX_COMPILED = 300
"""Recursions with more expressions per pair are evaluated directly."""
WIDE = 512
"""Columns that are mirrored at a time."""
PAIRS = 4096
"""Pairs that are evaluated directly at a time."""
Band = Callable[[int, int, Any, int], None]


def evaluate(limits: Sequence[Limit], X: Any, X2: Any, options: Options) -> Any:
    """Return kernels (kinds, N, N2, ...) of limits of one program, computed in one pass.

    Raises:
        TpcError: wrong shapes, a tolerance that cannot be met, no room in memory or on the disk.
    """
    import numpy as np

    from tpc.conditional.routes import any_conditional, evaluated

    if any_conditional(limits):
        return evaluated(limits, X, X2, options)
    if any(isinstance(each, sampled.SampledLimit) for each in limits):
        return sampled.evaluate(limits, X, X2, options)
    if any(lengths.ragged(limits[0], each) for each in (X, X2)):
        return lengths.evaluate(limits, X, X2, options)[0]
    if any(expectations(each.kernels) for each in limits):
        return integrated(limits, X, X2, options)
    if len({type(each) for each in limits}) > 1 and options.out is None:
        return np.concatenate([evaluate([each], X, X2, options) for each in limits])
    work, shape = _work(limits, X, X2, options)
    if options.out is None:
        target = new_array(shape, options.dtype)
        fill(work, target, options)
        return target
    from tpc.limit.store import fingerprint, kernel_file

    mark = fingerprint(work.source, work.data, (options.tolerance, options.dtype))
    alone = len(limits) == 1
    with kernel_file(
        options.out, shape[1:] if alone else shape, options.dtype, mark, options.resume
    ) as store:
        fill(work, store.array[None] if alone else store.array, options, store)
    found = np.load(options.out, mmap_mode="r")
    return found[None] if alone else found


def diagonals(limits: Sequence[Limit], X: Any, options: Options) -> Array:
    """Return the kernels of samples with themselves, (kinds, N) and the kept axes twice.

    Raises:
        TpcError: wrong shapes, or a tolerance that cannot be met.
    """
    import numpy as np

    from tpc.conditional.routes import any_conditional, diagonals_of

    if any_conditional(limits):
        return diagonals_of(limits, X, options)
    if any(isinstance(each, sampled.SampledLimit) for each in limits):
        return sampled.diagonals(limits, X, options)
    if lengths.ragged(limits[0], X):
        return lengths.diagonals(limits, X, options)
    if any(expectations(each.kernels) for each in limits):
        return integrated_diagonals(limits, X, options)
    whole = [each for each in limits if isinstance(each, PositionLimit)]
    if len(whole) == len(limits):
        with samples_checked():
            return np.asarray(position_diagonals(whole, X, options.tolerance), options.dtype)
    if len({type(each) for each in limits}) > 1:
        return np.concatenate([diagonals([each], X, options) for each in limits])
    kernels = joint(limits)
    module = _load(limits, kernels)
    with samples_checked():
        data = module.samples(X)
    if is_long(kernels):
        own = _own(kernels, data, options.tolerance)
    else:
        own = module.describe(data, options.tolerance)[2]
        if any(np.isnan(values).any() for values in own):
            own = _own(kernels, data, options.tolerance)
    count = len(next(iter(data.values())))
    table = np.array([np.broadcast_to(values, (count,)) for values in own])
    found = table.reshape(len(limits), -1, count).transpose(0, 2, 1)
    return np.ascontiguousarray(found, dtype=options.dtype).reshape(
        len(limits), count, *kernels.kept, *kernels.kept
    )


def joint(limits: Sequence[Limit]) -> Kernels:
    """Return the kernels of several limits as one, so that what they share is computed once."""
    if len(limits) == 1:
        return limits[0].kernels
    return Kernels(
        limits[0].kernels.kept,
        tuple(e for each in limits for e in each.kernels.entries),
        tuple(e for each in limits for e in each.kernels.diagonal),
    )


def is_long(kernels: Kernels) -> bool:
    """Whether a recursion has so many terms that compiling it would take minutes."""
    return sum(e.cross for e in ex.walk(kernels.entries)) > MAX_COMPILED


def _load(limits: Sequence[Limit], kernels: Kernels) -> Any:
    from tpc.codegen import load

    if len(limits) == 1:
        return load(limits[0].source)
    return load(limits[0].joint_source(limits[1:], kernels))


def _work(
    limits: Sequence[Limit], X: Any, X2: Any, options: Options
) -> tuple[CompiledWork | DirectWork | PositionWork, tuple[int, ...]]:
    kernels = joint(limits)
    work: CompiledWork | DirectWork | PositionWork
    whole = [each for each in limits if isinstance(each, PositionLimit)]
    if len(whole) == len(limits):
        with samples_checked():
            work = PositionWork(whole, X, X2, options.tolerance)
        return work, (len(limits), work.rows, work.columns, *kernels.kept, *kernels.kept)
    module = _load(limits, kernels)
    with samples_checked():
        kind = DirectWork if is_long(kernels) else CompiledWork
        work = kind(kernels, module, X, X2, options.tolerance)
    return work, (len(limits), work.rows, work.columns, *kernels.kept, *kernels.kept)


def _is_partial(e: ex.Expression) -> bool:
    """Whether an expression has a closed form that does not hold at all variances."""
    form = e.phi.dual_form() if isinstance(e, ex.Dual) and e.phi == e.psi else None
    return form is not None and form.partial


class CompiledWork:
    """Bands by the generated module; pairs whose series is too slow by quadrature."""

    def __init__(self, kernels: Kernels, module: Any, X: Any, X2: Any, tolerance: float) -> None:
        self.kernels = kernels
        self.module = module
        self.tolerance = tolerance
        left = module.samples(X)
        self.data = (left, None if X2 is None else module.samples(X2))
        self.source = module.__name__
        self.prepared = module.prepare(left, self.data[1], tolerance)
        self.rows: int = self.prepared["rows"]
        self.columns: int = self.prepared["columns"]
        self.symmetric: bool = self.prepared["symmetric"]
        self.entries = len(kernels.entries)
        self.partial = any(_is_partial(e) for e in ex.walk(kernels.entries))
        self.flops = self._flops()
        self._pool: Any = None

    def _flops(self) -> float:
        """Return about how many floating-point operations the kernel takes."""
        inner = sum(2.0 * a.shape[1] for _, a, _ in self.prepared["grams"])
        series = sum(2.0 * s.shape[0] for s in self.prepared["right_series"])
        rest = 0.0
        for e in ex.walk(self.kernels.entries):
            if e.cross and not isinstance(e, (ex.At, ex.Gram)):
                closed = isinstance(e, ex.Dual) and e.phi == e.psi and e.phi.dual_form() is not None
                rest += 60.0 if closed else 2.0 * len(e.operands)
        return float(inner + series + rest) * pairs(0, self.rows, self.columns, self.symmetric)

    @contextmanager
    def running(self, height: int) -> Iterator[Band]:
        """Return a context that yields the function that computes bands."""
        given = self.module.workspace(self.prepared, height)
        with self.module.workers() as self._pool:

            def band(first: int, last: int, result: Any, top: int) -> None:
                both = self.symmetric and result.shape[1] == self.rows
                self.module.band(self.prepared, first, last, result, top, given, self._pool, both)
                if self.prepared["right_series"] or self.partial:
                    self._mend(first, last, result, top)

            yield band

    def buffers(self, height: int) -> int:
        """Return the bytes of the tiles that are computed at a time."""
        side = self.module.tile_side(self.prepared)
        count = self.module.THREADS * len(self.prepared["grams"])
        return int(8 * count * side * min(side, height))

    def mirror(self, first: int, last: int, source: Any, top: int, result: Any) -> None:
        """Copy a band's part right of the diagonal below it, unless its tiles have done so."""
        if source is result and first < last:
            return
        places = [
            (top, last - first, first, begin, min(begin + WIDE, self.columns), source, result)
            for begin in range(first, self.columns, WIDE)
        ]
        self.module.on_all_cores(self._pool, self.module.mirror, places)

    def _mend(self, first: int, last: int, result: Any, top: int) -> None:
        """Fill in the pairs whose series was too slow (NaN), by direct quadrature."""
        import numpy as np

        begin = first if self.symmetric else 0
        missing = np.isnan(result[:, top : top + last - first, begin:]).any(axis=0)
        if self.symmetric:
            missing = np.triu(missing)
        rows, columns = np.nonzero(missing)
        if not rows.size:
            return
        left, right = self.data[0], self.data[1] or self.data[0]
        one = {name: array[first + rows] for name, array in left.items()}
        two = {name: array[begin + columns] for name, array in right.items()}
        values = _interpreted(self.kernels.entries, one, two, self.tolerance)
        for entry, value in enumerate(values):
            result[entry, top + rows, begin + columns] = value
            if self.symmetric and result.shape[1] == self.rows:
                result[entry, begin + columns, top + rows] = value


class DirectWork:
    """Bands by interpreting the recursion on arrays of pairs, without compiled code."""

    def __init__(self, kernels: Kernels, module: Any, X: Any, X2: Any, tolerance: float) -> None:
        self.kernels = kernels
        self.tolerance = tolerance
        left = module.samples(X)
        self.data = (left, None if X2 is None else module.samples(X2))
        self.source = module.__name__
        self.rows = len(next(iter(left.values())))
        right = left if self.data[1] is None else self.data[1]
        self.columns = len(next(iter(right.values())))
        self.symmetric = X2 is None and not kernels.kept
        self.entries = len(kernels.entries)
        cross = sum(e.cross for e in ex.walk(kernels.entries))
        self.flops = 50.0 * cross * pairs(0, self.rows, self.columns, self.symmetric)

    @contextmanager
    def running(self, height: int) -> Iterator[Band]:
        """Return a context that yields the function that computes bands."""
        own = None
        if self.data[1] is None:
            own = _own(self.kernels, self.data[0], self.tolerance)

        def band(first: int, last: int, result: Any, top: int) -> None:
            self._band(first, last, result, top)
            if own is not None:
                for entry, values in enumerate(own):
                    for i in range(first, last):
                        result[entry, top + i - first, i] = values[i]

        yield band

    def _band(self, first: int, last: int, result: Any, top: int) -> None:
        import numpy as np

        mask = np.ones((last - first, self.columns), dtype=bool)
        if self.symmetric:
            mask = np.triu(mask, first)
        rows, columns = np.nonzero(mask)
        left, right = self.data[0], self.data[1] or self.data[0]
        for start in range(0, rows.size, PAIRS):
            i, j = rows[start : start + PAIRS], columns[start : start + PAIRS]
            one = {name: a[first + i] for name, a in left.items()}
            two = {name: a[j] for name, a in right.items()}
            values = _interpreted(self.kernels.entries, one, two, self.tolerance)
            for entry, value in enumerate(values):
                result[entry, top + i, j] = value

    def buffers(self, height: int) -> int:
        """Arrays hold some pairs at a time, whatever the band."""
        return 0

    def mirror(self, first: int, last: int, source: Any, top: int, result: Any) -> None:
        """Copy a band's part right of the diagonal below it."""
        for i in range(first, last):
            result[:, i + 1 :, i] = source[:, top + i - first, i + 1 :]


def _own(kernels: Kernels, data: Mapping[str, Any], tolerance: float) -> list[Array]:
    own = tuple(ex.at(0, e) for e in kernels.diagonal)
    import numpy as np

    count = len(next(iter(data.values())))
    found = _interpreted(own, data, data, min(tolerance, 1e-10))
    return [np.broadcast_to(values, (count,)) for values in found]


def _interpreted(
    roots: tuple[ex.Expression, ...],
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    tolerance: float,
) -> list[Array]:
    try:
        return interpret(roots, left, right, tolerance)
    except ArithmeticError as error:
        raise TpcError(
            Diagnostic("E0962", str(error), help="ask for less: evaluate(..., tolerance=1e-6)")
        ) from error
