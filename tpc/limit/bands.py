"""Kernel matrices band by band: what a run will need, and where it is written.

A band is some rows of the matrix. Where the kernel is symmetric, only columns from the diagonal on
are computed and then mirrored. What is not the result itself is bounded by ``memory``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DType = Literal["float64", "float32"]
TALLEST = 512
"""Rows of a band at most that is copied to the result."""
LARGEST = 3e10
"""Floating-point operations of a band about: bands wait for their last tile, so not too few."""
SHARE = 0.25
"""Share of the free memory that buffers may take by default."""
LONG = 5.0
"""Seconds from which on a plan is worth printing."""


@dataclass(frozen=True)
class Options:
    """How a kernel is evaluated and where it goes.

    ``tolerance`` bounds errors of expectations without a closed form; ``dtype`` is that of the
    result; ``memory`` bounds buffers (bytes); ``out`` is an .npy file to write, which ``resume``
    takes up where a run was killed. ``plan`` is called once the first band has been timed,
    ``progress`` after every band with bands done and bands in all.
    """

    tolerance: float = 1e-10
    dtype: DType = "float64"
    memory: int | None = None
    out: Path | None = None
    resume: bool = False
    plan: Callable[[Plan], None] | None = None
    progress: Callable[[int, int], None] | None = None
    sampling: float | None = None
    """Largest standard error of entries that are sampled (:mod:`tpc.limit.pairs`)."""


@dataclass(frozen=True)
class Plan:
    """What a run is going to do: sizes in bytes, ``seconds`` as the first band predicts them.

    ``compiled`` are the seconds that compilation (or reading what an earlier process compiled)
    took.
    """

    rows: int
    columns: int
    matrices: int
    symmetric: bool
    height: int
    buffers: int
    output: int
    flops: float
    seconds: float = 0.0
    compiled: float = 0.0
    done: int = 0

    @property
    def bands(self) -> int:
        """The number of bands."""
        return -(-self.rows // self.height)

    def text(self) -> str:
        """Return the plan in two lines."""
        what = f"{self.matrices} x " if self.matrices > 1 else ""
        half = ", upper half computed and mirrored" if self.symmetric else ""
        start = f", {self.done} done before" if self.done else ""
        ready = f"; compiled in {self.compiled:.2g} s" if self.compiled > 0.5 else ""
        return (
            f"kernel {what}{self.rows} x {self.columns}{half}: {self.bands} bands of {self.height}"
            f" rows{start}\n"
            f"output {_bytes(self.output)}, buffers {_bytes(self.buffers)}, "
            f"{self.flops:.2g} floating-point operations, about {_seconds(self.seconds)}{ready}"
        )


def _bytes(count: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} kB"


def _seconds(count: float) -> str:
    if count < 120:
        return f"{count:.3g} s"
    return f"{count / 60:.0f} min" if count < 7200 else f"{count / 3600:.1f} h"


class Work(Protocol):
    """What computes bands: a compiled recursion, or another way to the same numbers."""

    rows: int
    columns: int
    entries: int
    symmetric: bool
    flops: float

    def buffers(self, height: int) -> int:
        """Return the bytes of buffers for bands of so many rows, their result not counted."""

    def running(self, height: int) -> Any:
        """Return a context that yields ``band(first, last, result, top)`` for such bands."""

    def mirror(self, first: int, last: int, source: Array, top: int, result: Any) -> None:
        """Copy a band's part right of the diagonal below it: ``result[e, j, i] = [e, i, j]``."""


def fill(work: Work, target: Any, options: Options, store: Store | None = None) -> None:
    """Write all bands to ``target``, shape (groups, N, N2, ...) with ``work.entries`` in all.

    Raises:
        TpcError: the disk is full, or an expectation misses its tolerance.
    """
    groups, rows, columns = target.shape[:3]
    views = target.reshape(groups, rows, columns, -1)
    own = views[..., 0] if views.shape[3] == 1 else None
    direct = own is not None and target.dtype == "float64"
    plan = planned(work, target.nbytes, direct, options)
    if store is not None:
        plan = store.opened(plan)
    with work.running(plan.height) as band:
        buffer = None if direct else _buffer(work, plan.height)
        plan = replace(plan, compiled=_warm(work, band, own if direct else buffer, own))
        clock, pairs_done = time.perf_counter(), 0
        for number in range(plan.done, plan.bands):
            first, last = number * plan.height, min((number + 1) * plan.height, rows)
            source, top = (own, first) if direct else (buffer, 0)
            assert source is not None
            band(first, last, source, top)
            if not direct:
                _copy(source, views, first, last, first if work.symmetric else 0)
            if work.symmetric:
                work.mirror(first, last, source, top, own)
            if store is not None:
                store.finished(number + 1)
            pairs_done += pairs(first, last, columns, work.symmetric)
            if number == plan.done and options.plan is not None:
                start = plan.done * plan.height
                left = pairs(start, rows, columns, work.symmetric) / max(pairs_done, 1)
                options.plan(replace(plan, seconds=left * (time.perf_counter() - clock)))
            if options.progress is not None:
                options.progress(number + 1, plan.bands)


def _warm(work: Work, band: Any, source: Any, own: Any) -> float:
    """Compile what is not compiled yet, by an empty band; return how many seconds that took."""
    clock = time.perf_counter()
    band(0, 0, source, 0)
    if work.symmetric:
        work.mirror(0, 0, source, 0, own)
    return time.perf_counter() - clock


def pairs(first: int, last: int, columns: int, symmetric: bool) -> int:
    """Return how many pairs rows ``first`` to ``last`` have."""
    count = (last - first) * columns
    return count - (last * (last - 1) - first * (first - 1)) // 2 if symmetric else count


def planned(work: Work, output: int, direct: bool, options: Options) -> Plan:
    """Return a plan whose buffers fit into the memory that they may take."""
    from tpc.feature.memory import available

    memory = options.memory
    if memory is None:
        memory = int(SHARE * available())
    copied = 0 if direct else 8 * work.entries * work.columns
    height = min(work.rows, int(LARGEST * work.rows / max(work.flops, 1.0)))
    height = max(1, height if direct else min(height, TALLEST, -(-work.rows // 4)))
    if work.buffers(height) + height * copied > memory:
        height = max(1, min(height, memory // max(work.buffers(1) + copied, 1)))
    return Plan(
        work.rows,
        work.columns,
        work.entries,
        work.symmetric,
        height,
        work.buffers(height) + height * copied,
        output,
        work.flops,
    )


def _buffer(work: Work, height: int) -> Array:
    import numpy as np

    return np.zeros((work.entries, height, work.columns))  # what is left of the diagonal is copied


def _copy(source: Any, views: Any, first: int, last: int, begin: int) -> None:
    groups, per_group = views.shape[0], views.shape[3]
    for g in range(groups):
        for e in range(per_group):
            part = source[g * per_group + e, : last - first, begin:]
            views[g, first:last, begin:, e] = part


def new_array(shape: Sequence[int], dtype: DType) -> Any:
    """Return memory for a result.

    Raises:
        TpcError: there is not enough.
    """
    import numpy as np

    from tpc.feature.memory import require

    size = int(np.prod([int(n) for n in shape])) * np.dtype(dtype).itemsize
    advice = "write it to a file (out=, --output K.npy), or ask for dtype float32"
    require(size, "the kernel takes", advice)
    return np.empty(tuple(shape), dtype=dtype)


class Store(Protocol):
    """Where finished bands are recorded, so that a killed run can be taken up."""

    def opened(self, plan: Plan) -> Plan:
        """Return the plan to follow: that of the run that was killed, if there is one."""

    def finished(self, bands: int) -> None:
        """Record that so many bands are written."""


@contextmanager
def samples_checked() -> Iterator[None]:
    """Report samples of wrong shapes as a diagnostic."""
    try:
        yield
    except ValueError as error:
        raise TpcError(Diagnostic("E0961", f"the samples do not fit: {error}")) from error


Samples = Mapping[str, Any]
