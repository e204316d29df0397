"""Wide networks against their limit, step by step: how the distance falls with the width.

Along training, a network of width n differs from the limit by fluctuations of size n^(-1/2), whose
mean over initialisations is of size 1/n (the next order of the expansion in 1/n). For a program
that learns features the limit is one function f_t. In the kernel regime f_0 stays random: there a
network is compared with the limit that starts from the network's own f_0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import TpcError
from tpc.feature import FeatureLimit, Run
from tpc.feature.run import TOLERANCE
from tpc.limit.descent import follow
from tpc.simulate import simulate

if TYPE_CHECKING:
    from tpc.limit import Limit
    from tpc.simulate import Simulation

    Array = np.ndarray
    Data = Mapping[str, Array]


#: The mean is believed where it is so many times its noise.
STANDS_OUT = 1.5
#: A limit that is evaluated by samples has this share of the means' noise as its own, but no less
#: than so much; whether there is a limit is found out with an error that does not matter.
_SHARE, _FINEST, _ROUGH = 0.5, 2e-4, 0.1


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

        From the mean the noise is subtracted (in squares); only widths are taken at which it
        stands out of the noise, and they count by how far it does.
        """
        if column == "mean":
            found = self._mean_slope()
            return None if found is None else found[0]
        points = [(row.width, getattr(row, column)) for row in self.rows]
        if len(points) < 2 or not all(np.isfinite(v) and v > 0 for _, v in points):
            return None
        widths, values = zip(*points, strict=True)
        return float(np.polyfit(np.log(widths), np.log(values), 1)[0])

    @property
    def mean_slope_error(self) -> float | None:
        """The standard error of the slope of the mean, as if all of f had the same noise."""
        found = self._mean_slope()
        return None if found is None else found[1]

    def _mean_slope(self) -> tuple[float, float] | None:
        """Return the slope of the mean by weighted least squares, and its standard error."""
        rows = [row for row in self.rows if row.mean > STANDS_OUT * row.noise]
        if len(rows) < 2 or not all(np.isfinite(row.mean) for row in rows):
            return None
        systematic = np.array([(row.mean**2 - row.noise**2) ** 0.5 for row in rows])
        weights = systematic / np.maximum([row.noise for row in rows], 1e-12 * systematic)
        x = np.log([row.width for row in rows])
        x = x - np.average(x, weights=weights**2)
        spread = (weights**2 * x**2).sum()
        return (
            float((weights**2 * x * np.log(systematic)).sum() / spread),
            float(spread**-0.5),
        )

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
            "mean_slope_error": self.mean_slope_error,
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
    standard error of a limit that is evaluated by samples: by default it is a share of the noise of
    the means, which it would hide else. ``progress`` is called with the number of networks' steps
    done.

    Raises:
        TpcError: widths or data do not fit the program, or the limit cannot be trained.
    """
    if isinstance(limit, FeatureLimit):  # what is wrong with it is said before the networks train
        limit.train(data, min(steps, 1), test=test, batches=batches, tolerance=_ROUGH)
    points = None if test is None else {name: _both(data, test, name) for name in test}
    first = len(next(iter(data.values())))
    found = []
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
        found.append(simulation)
    shown = [each.f if test is None else each.f[:, :, first:] for each in found]
    error, shared = 0.0, 0.0
    if isinstance(limit, FeatureLimit):
        run = _limit(limit, data, steps, test, batches, tolerance, shown)
        error = float(np.nanmax(run.error, initial=0.0))
        shared = float(_size(np.nan_to_num(run.error)))
        differences = [f - run.f for f in shown]
    else:
        differences = []
        for each, f in zip(found, shown, strict=True):
            starts = [(path[0, :first], path[0, first:]) for path in each.f]
            differences.append(f - follow(limit, data, steps, starts, test=test, batches=batches))
    return Convergence(
        "feature" if isinstance(limit, FeatureLimit) else limit.kind,
        len(seeds),
        tuple(_distances(w, d, shared) for w, d in zip(widths, differences, strict=True)),
        np.stack([_size(np.moveaxis(d, 1, 0).reshape(steps + 1, -1), axis=1) for d in differences]),
        error,
        tuple(found),
    )


def _limit(
    limit: FeatureLimit,
    data: Data,
    steps: int,
    test: Data | None,
    batches: Sequence[Array] | None,
    tolerance: float | None,
    shown: Sequence[Array],
) -> Run:
    """Train the limit, by default so finely that its error is small beside that of all means."""
    train = partial(limit.train, data, steps, test=test, batches=batches)
    if tolerance is not None:
        return train(tolerance=tolerance)
    noise = [float(_size(f.std(axis=0, ddof=1))) / len(f) ** 0.5 for f in shown if len(f) > 1]
    wanted = min([TOLERANCE, *(each * _SHARE for each in noise if np.isfinite(each))])
    try:
        return train(tolerance=max(wanted, _FINEST))
    except TpcError as refused:
        if refused.diagnostics[0].code != "E0953":
            raise
        return train()


def _both(data: Data, test: Data, name: str) -> Array:
    return np.concatenate([data[name], test[name]]) if name in data else test[name]


def _after(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: progress(before + done)


def _distances(width: int, difference: Array, shared: float) -> Distances:
    """``shared`` is the error of what all widths are compared with."""
    count = len(difference)
    spread = difference.std(axis=0, ddof=1) if count > 1 else np.full(difference.shape[1:], np.nan)
    return Distances(
        width,
        float(_size(difference)),
        float(_size(difference.mean(axis=0))),
        float(np.hypot(_size(spread) / count**0.5, shared)),
    )


def _size(array: Array, axis: int | None = None) -> Any:
    with np.errstate(all="ignore"):  # networks that diverge
        return np.sqrt((array**2).mean(axis=axis))
