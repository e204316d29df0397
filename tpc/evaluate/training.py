"""Training in a limit on data: steps of the optimizer, or gradient flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.data import drawn_batches
from tpc.evaluate.scores import scores, target_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tpc.data import DataSet
    from tpc.feature import FeatureLimit
    from tpc.limit import Limit
    from tpc.limit.problem import Start


_TITLES = {
    "feature": "feature-learning limit",
    "ntk": "training under the NTK",
    "flow": "gradient flow under the NTK",
}


@dataclass(frozen=True)
class Training:
    """A training run in a limit: ``kind`` is "feature", "ntk" or "flow" (of the ntk).

    ``arrays``: ``f`` (steps + 1, N', axes), its standard error ``error``, ``loss`` (steps,) with
    ``loss_error``, and by name of a recorded value ``kernel_NAME`` and ``kernel_error_NAME``.
    Gradient flow has ``times`` (T,), and its other arrays have T entries. ``warning`` says
    that the learning rate is beyond what is stable.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, float | int | str]
    warning: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc run --json`` prints."""
        shapes = {name: list(array.shape) for name, array in self.arrays.items()}
        return {"schema": 1, "kind": self.kind, "arrays": shapes, "numbers": dict(self.numbers)}

    def text(self) -> str:
        """Return what ``tpc run`` prints: the losses, and sizes of f with its error."""
        times = self.arrays.get("times")
        first = f"{'step':>6}" if times is None else f"{'time':>10}"
        lines = [_TITLES[self.kind], f"{first}{'loss':>12}{'rms f':>12}{'error':>10}"]
        f, error, loss = (self.arrays[name] for name in ("f", "error", "loss"))
        for step in _shown(len(f)):
            if step is None:
                lines.append(f"{'...':>{len(first)}}")
                continue
            cell = f"{loss[step]:12.5g}" if step < len(loss) else " " * 12
            size = float((f[step] ** 2).mean() ** 0.5)
            place = f"{step:>6}" if times is None else f"{times[step]:10.5g}"
            lines.append(f"{place}{cell}{size:12.5g}{error[step].max():10.1g}")
        lines += [f"  {name:14} {value}" for name, value in self.numbers.items()]
        return "\n".join(lines)


def _shown(count: int) -> list[int | None]:
    """Return which of ``count`` lines to print, None for a gap: all of few, else the ends."""
    if count <= 41:
        return list(range(count))
    return [*range(20), None, *range(count - 20, count)]


def _scored(limit: FeatureLimit | Limit, f: np.ndarray, data: DataSet) -> dict[str, str]:
    """Return scores of the last outputs as text, where the right answers are known."""
    target = target_of(limit.module)
    if target is None or target not in data.test:
        return {}
    found = scores(f.reshape(len(f), -1), data.test[target])
    return {name: f"{value:.6g}" for name, value in found.items()}


def train(
    limit: FeatureLimit | Limit,
    data: DataSet,
    *,
    steps: int,
    batch: int | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    start: Start = "draw",
    record: Sequence[str] = (),
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Training:
    """Train in a limit; f is recorded at the test points (or the training's).

    ``start`` is for the kernel regime (:meth:`tpc.limit.Limit.train`); ``record`` and
    ``checkpoint`` are for the feature-learning limit (:meth:`tpc.feature.FeatureLimit.train`).

    Raises:
        TpcError: data or request do not fit the program, or it has no such limit.
    """
    from tpc.feature import FeatureLimit

    batches = drawn_batches(data.train, batch, steps, seed)
    common: dict[str, Any] = {
        "test": data.test or None,
        "batches": batches,
        "seed": seed,
        "progress": progress,
    }
    numbers: dict[str, float | int | str] = {}
    warning = None
    if isinstance(limit, FeatureLimit):
        run = limit.train(
            data.train, steps, tolerance=tolerance, record=record, checkpoint=checkpoint, **common
        )
        numbers["evaluated by"] = run.method
        if run.method not in ("linear", "polynomial"):
            numbers |= {"particles": run.particles, "replicates": run.replicates}
    else:
        accuracy = 1e-10 if tolerance is None else tolerance
        run = limit.train(data.train, steps, start=start, tolerance=accuracy, **common)
        numbers["f before"] = str(start)
        if run.replicates > 1:
            numbers["draws"] = run.replicates
        if run.largest_rate is not None:
            numbers["largest lr"] = f"{run.largest_rate:.6g}"
            warning = _too_fast(limit, run.largest_rate) if batches is None else None
    numbers |= _scored(limit, run.f[-1], data)
    arrays = {"f": run.f, "error": run.error, "loss": run.loss, "loss_error": run.loss_error}
    for name, kernel in run.kernels.items():
        arrays |= {f"kernel_{name}": kernel, f"kernel_error_{name}": run.kernel_errors[name]}
    kind = "feature" if isinstance(limit, FeatureLimit) else limit.kind
    return Training(kind, MappingProxyType(arrays), MappingProxyType(numbers), warning)


def _too_fast(limit: Limit, largest: float) -> str | None:
    """Return what is wrong with the program's learning rate, or None."""
    from tpc.limit.loss import Loss, rule_of

    rate = rule_of(limit.module).rate.constant.value
    if rate <= largest * (1 + 1e-9):
        return None
    where = "" if Loss(limit.module).is_quadratic else " near where f starts"
    return f"the learning rate {rate:g} is beyond the largest stable one{where}, {largest:.6g}"


def flow(
    limit: Limit,
    data: DataSet,
    times: Sequence[float],
    *,
    tolerance: float = 1e-10,
    seed: int = 0,
    start: Start = "draw",
) -> Training:
    """Follow gradient flow on the program's own loss: see :func:`tpc.limit.flow.flow`.

    Raises:
        TpcError: data or request do not fit the program, or it has no such limit.
    """
    from tpc.limit.flow import flow as integrate

    run = integrate(
        limit,
        lambda: limit.other("nngp"),
        data.train,
        times,
        test=data.test or None,
        start=start,
        seed=seed,
        tolerance=tolerance,
    )
    numbers: dict[str, float | int | str] = {"f before": str(start), "integrator": run.method}
    numbers["evaluations"] = run.evaluations
    if run.replicates > 1:
        numbers["draws"] = run.replicates
    numbers |= _scored(limit, run.f[-1], data)
    arrays = {"times": run.times, "f": run.f, "error": run.error}
    arrays |= {"loss": run.loss, "loss_error": run.loss_error}
    return Training("flow", MappingProxyType(arrays), MappingProxyType(numbers))
