"""Wide networks against their limit, step by step: how the distance falls with the width.

Along training, a network of width n differs from the limit by fluctuations of size n^(-1/2), whose
mean over initialisations is of size 1/n (the next order of the expansion in 1/n). For a program
that learns features the limit is one function f_t. In the kernel regime f_0 stays random: there a
network is compared with the limit that starts from the network's own f_0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.feature import FeatureLimit
from tpc.limit.descent import follow
from tpc.simulate import simulate

if TYPE_CHECKING:
    from tpc.limit import Limit
    from tpc.simulate import Simulation

    Array = np.ndarray
    Data = Mapping[str, Array]


#: The mean is believed where it is so many times its noise.
STANDS_OUT = 1.5


@dataclass(frozen=True)
class Distances:
    """One width: root mean squares over steps, test points and output axes.

    ``draw`` is the distance of one network to the limit (over seeds too), ``mean`` that of the mean
    over seeds, and ``noise`` what chance alone adds to ``mean``: its standard error.
    """

    width: int
    draw: float
    mean: float
    noise: float


@dataclass(frozen=True)
class Convergence:
    """Distances of trained networks to their limit at several widths.

    ``kind`` is "feature" or "ntk". ``by_step`` is (widths, steps + 1): the distance of one draw at
    each step. ``error`` is the largest standard error of the limit itself (0 where exact).
    """

    kind: str
    seeds: int
    rows: tuple[Distances, ...]
    by_step: Array
    error: float
    simulations: tuple[Simulation, ...]

    def slope(self, column: str) -> float | None:
        """Return d log(column) / d log(width) by least squares (None where it is not defined).

        From the mean the noise is subtracted (in squares), and only widths are taken at which it
        stands out of the noise.
        """
        points = [(row.width, getattr(row, column)) for row in self.rows]
        if column == "mean":
            points = [
                (row.width, (row.mean**2 - row.noise**2) ** 0.5)
                for row in self.rows
                if row.mean > STANDS_OUT * row.noise
            ]
        if len(points) < 2 or not all(np.isfinite(v) and v > 0 for _, v in points):
            return None
        widths, values = zip(*points, strict=True)
        return float(np.polyfit(np.log(widths), np.log(values), 1)[0])

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        rows = [
            {name: v if np.isfinite(v) else None for name, v in vars(row).items()}
            for row in self.rows
        ]
        return {
            "schema": 1,
            "against": "limit",
            "kind": self.kind,
            "seeds": self.seeds,
            "error": self.error,
            "rows": rows,
            "slopes": {name: self.slope(name) for name in ("draw", "mean", "noise")},
        }


def convergence(
    limit: Limit | FeatureLimit,
    data: Data,
    *,
    widths: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    test: Data | None = None,
    batches: Sequence[Array] | None = None,
    tolerance: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Convergence:
    """Train networks of several widths and compare them with ``limit`` (feature, or ntk).

    f is compared at the test points (by default those of ``data``). ``tolerance`` bounds the
    standard error of a limit that is evaluated by samples; ``progress`` is called with the number
    of networks' steps done.

    Raises:
        TpcError: widths or data do not fit the program, or the limit cannot be trained.
    """
    found, rows, by_step = [], [], []
    expected, error = None, 0.0
    if isinstance(limit, FeatureLimit):
        run = limit.train(data, steps, test=test, batches=batches, tolerance=tolerance)
        expected, error = run.f, float(np.nanmax(run.error, initial=0.0))
    points = None if test is None else {name: _both(data, test, name) for name in test}
    first = len(next(iter(data.values())))
    for number, width in enumerate(widths):
        before = number * len(seeds) * steps
        simulation = simulate(
            limit.module,
            data,
            width=width,
            steps=steps,
            test=points,
            seeds=seeds,
            batches=batches,
            progress=None if progress is None else _after(progress, before),
        )
        shown = simulation.f if test is None else simulation.f[:, :, first:]
        if not isinstance(limit, FeatureLimit):
            starts = [(path[0, :first], path[0, first:]) for path in simulation.f]
            expected = follow(limit, data, steps, starts, test=test, batches=batches)
        assert expected is not None
        difference = shown - expected
        found.append(simulation)
        rows.append(_distances(width, difference))
        by_step.append(_size(np.moveaxis(difference, 1, 0).reshape(steps + 1, -1), axis=1))
    return Convergence(
        "feature" if isinstance(limit, FeatureLimit) else limit.kind,
        len(seeds),
        tuple(rows),
        np.stack(by_step),
        error,
        tuple(found),
    )


def _both(data: Data, test: Data, name: str) -> Array:
    return np.concatenate([data[name], test[name]]) if name in data else test[name]


def _after(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: progress(before + done)


def _distances(width: int, difference: Array) -> Distances:
    count = len(difference)
    spread = difference.std(axis=0, ddof=1) if count > 1 else np.full(difference.shape[1:], np.nan)
    return Distances(
        width,
        float(_size(difference)),
        float(_size(difference.mean(axis=0))),
        float(_size(spread) / count**0.5),
    )


def _size(array: Array, axis: int | None = None) -> Any:
    with np.errstate(all="ignore"):  # networks that diverge
        return np.sqrt((array**2).mean(axis=axis))
