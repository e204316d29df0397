"""A kernel limit on data: Gram matrices and, where there are targets, predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.data import drawn_batches
from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tpc.data import DataSet
    from tpc.feature import FeatureLimit
    from tpc.ir import Module
    from tpc.limit import Limit
    from tpc.limit.problem import Start


@dataclass(frozen=True)
class Evaluation:
    """What a limit says about data.

    ``arrays`` holds ``kernel`` (N, N), ``kernel_test`` (N', N) and ``mean`` (N', k) as far as the
    data reach; ``numbers`` the same in brief, with ``test_error`` (mean squared) and, for one-hot
    targets, ``test_accuracy``.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, float | int]

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc run --json`` prints."""
        shapes = {name: list(array.shape) for name, array in self.arrays.items()}
        return {"schema": 1, "kind": self.kind, "arrays": shapes, "numbers": dict(self.numbers)}

    def text(self) -> str:
        """Return what ``tpc run`` prints."""
        lines = [f"{self.kind.upper()} limit"]
        lines += [f"  {name:14} {array.shape}" for name, array in self.arrays.items()]
        lines += [f"  {name:14} {value:.6g}" for name, value in self.numbers.items()]
        return "\n".join(lines)


def evaluate(
    module: Module,
    limit: Limit,
    data: DataSet,
    *,
    ridge: float = 0.0,
    time: float = math.inf,
    tolerance: float = 1e-10,
) -> Evaluation:
    """Evaluate a kernel limit on a data set.

    With targets and test points the mean prediction follows: for ``nngp`` the posterior mean of the
    Gaussian process with noise variance ``ridge``; for ``ntk`` the mean over initialisations of
    gradient flow on half the summed squared error after ``time`` (the ridge is added to the kernel
    where time is infinite). Both start from a zero-mean output.

    Raises:
        TpcError: data that do not fit the program, or a kernel that is not one number a pair.
    """
    from tpc.simulate.data import checked

    train, count = checked(module, data.train, limit.inputs, 1)
    arrays = {"kernel": limit.evaluate(train, tolerance=tolerance)}
    numbers: dict[str, float | int] = {"samples": count}
    if data.test:
        test, numbers["test_samples"] = checked(module, data.test, limit.inputs, 1, "test data")
        arrays["kernel_test"] = limit.evaluate(test, train, tolerance=tolerance)
    target = _target(module)
    if target is not None and target in data.train and data.test:
        targets, _ = checked(module, data.train, [target], 1)
        _same_count(len(targets[target]), count)
        y = targets[target].reshape(count, -1).astype(float)
        arrays["mean"] = _mean(limit.kind, arrays, y, ridge, time)
        numbers |= _scores(arrays["mean"], data.test.get(target))
    return Evaluation(limit.kind, MappingProxyType(arrays), MappingProxyType(numbers))


def _target(module: Module) -> str | None:
    names = [name for name, spec in module.inputs.items() if spec.role == "target"]
    return names[0] if len(names) == 1 else None


def _same_count(targets: int, samples: int) -> None:
    if targets != samples:
        raise TpcError(
            Diagnostic("E0922", f"the data have {samples} samples but {targets} targets")
        )


def _mean(
    kind: str, arrays: Mapping[str, np.ndarray], y: np.ndarray, ridge: float, time: float
) -> np.ndarray:
    from tpc.limit.predict import ridge_solve, tangent

    kernel, kernel_test = arrays["kernel"], arrays["kernel_test"]
    if kernel.ndim != 2:
        raise TpcError(
            Diagnostic(
                "E0915",
                f"the kernel has shape {kernel.shape}: predictions need one number a pair",
                help="leave the test points out to get the kernel itself",
            )
        )
    mean: np.ndarray
    if kind == "nngp" or math.isinf(time):
        mean = kernel_test @ ridge_solve(kernel, y, ridge)
    else:
        (mean,) = tangent(kernel, kernel_test, y).flow([time])[1]
    return mean


def _scores(mean: np.ndarray, truth: np.ndarray | None) -> dict[str, float]:
    """Return the mean squared error and, where the targets are one-hot rows, the accuracy."""
    if truth is None:
        return {}
    truth = truth.reshape(len(truth), -1).astype(float)
    if truth.shape != mean.shape:
        raise TpcError(
            Diagnostic(
                "E0922", f"the test targets have shape {truth.shape}, the predictions {mean.shape}"
            )
        )
    scores = {"test_error": float(((mean - truth) ** 2).mean())}
    one_hot = truth.shape[1] > 1 and ((truth == 0) | (truth == 1)).all()
    if one_hot and (truth.sum(axis=1) == 1).all():
        right = mean.argmax(axis=1) == truth.argmax(axis=1)
        scores["test_accuracy"] = float(right.mean())
    return scores


@dataclass(frozen=True)
class Training:
    """A training run in a limit: ``kind`` is "feature" or "ntk".

    ``arrays``: ``f`` (steps + 1, N', axes), its standard error ``error``, ``loss`` (steps,) with
    ``loss_error``, and by name of a recorded value ``kernel_NAME`` and ``kernel_error_NAME``.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, float | int | str]

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc run --json`` prints."""
        shapes = {name: list(array.shape) for name, array in self.arrays.items()}
        return {"schema": 1, "kind": self.kind, "arrays": shapes, "numbers": dict(self.numbers)}

    def text(self) -> str:
        """Return what ``tpc run`` prints: the losses, and sizes of f with its error."""
        title = "feature-learning limit" if self.kind == "feature" else "training under the NTK"
        lines = [title, f"{'step':>6}{'loss':>12}{'rms f':>12}{'error':>10}"]
        f, error, loss = (self.arrays[name] for name in ("f", "error", "loss"))
        for step in _shown(len(f)):
            if step is None:
                lines.append(f"{'...':>6}")
                continue
            cell = f"{loss[step]:12.5g}" if step < len(loss) else " " * 12
            size = float((f[step] ** 2).mean() ** 0.5)
            lines.append(f"{step:>6}{cell}{size:12.5g}{error[step].max():10.1g}")
        lines += [f"  {name:14} {value}" for name, value in self.numbers.items()]
        return "\n".join(lines)


def _shown(count: int) -> list[int | None]:
    """Return which of ``count`` lines to print, None for a gap: all of few, else the ends."""
    if count <= 41:
        return list(range(count))
    return [*range(20), None, *range(count - 20, count)]


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
    if isinstance(limit, FeatureLimit):
        run = limit.train(
            data.train, steps, tolerance=tolerance, record=record, checkpoint=checkpoint, **common
        )
        numbers["evaluated by"] = run.method
        if run.method != "linear":
            numbers |= {"particles": run.particles, "replicates": run.replicates}
    else:
        accuracy = 1e-10 if tolerance is None else tolerance
        run = limit.train(data.train, steps, start=start, tolerance=accuracy, **common)
        numbers["f before"] = str(start)
        if run.replicates > 1:
            numbers["draws"] = run.replicates
    target = _target(limit.module)
    if target is not None and target in data.test:
        scores = _scores(run.f[-1].reshape(len(run.f[-1]), -1), data.test[target])
        numbers |= {name: f"{value:.6g}" for name, value in scores.items()}
    arrays = {"f": run.f, "error": run.error, "loss": run.loss, "loss_error": run.loss_error}
    for name, kernel in run.kernels.items():
        arrays |= {f"kernel_{name}": kernel, f"kernel_error_{name}": run.kernel_errors[name]}
    kind = "feature" if isinstance(limit, FeatureLimit) else limit.kind
    return Training(kind, MappingProxyType(arrays), MappingProxyType(numbers))
