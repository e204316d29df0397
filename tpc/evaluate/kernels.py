"""A kernel limit on data: Gram matrices and, where there are targets, predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.evaluate.scores import is_one_hot, scores, target_of

if TYPE_CHECKING:
    import numpy as np

    from tpc.data import DataSet
    from tpc.ir import Module
    from tpc.limit import Limit
    from tpc.limit.prediction import Prediction, RidgeChoice
    from tpc.limit.solving import Method


@dataclass(frozen=True)
class Evaluation:
    """What a limit says about data.

    ``arrays`` holds ``kernel`` (N, N), ``kernel_test`` (N', N) and ``mean`` (N', axes of f) as far
    as the data reach; where they are asked for, ``covariance`` (N', N'), ``deviation`` (N', axes)
    and for one-hot targets ``probabilities`` (N', k). ``numbers`` has the same in brief:
    ``test_error`` (mean squared), for one-hot targets ``test_accuracy``, with probabilities their
    ``test_log_loss``, ``calibration_error`` and for the NNGP the ``scale`` of its covariance, and
    the ``ridge`` where it was chosen. ``notes`` are sentences on how the numbers were found.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, float | int]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc run --json`` prints."""
        shapes = {name: list(array.shape) for name, array in self.arrays.items()}
        return {"schema": 1, "kind": self.kind, "arrays": shapes, "numbers": dict(self.numbers)}

    def text(self) -> str:
        """Return what ``tpc run`` prints."""
        width = max(14, *(len(name) for name in (*self.arrays, *self.numbers)))
        lines = [f"{self.kind.upper()} limit"]
        lines += [f"  {name:{width}} {array.shape}" for name, array in self.arrays.items()]
        lines += [f"  {name:{width}} {value:.6g}" for name, value in self.numbers.items()]
        return "\n".join([*lines, *self.notes])


def evaluate(
    module: Module,
    limit: Limit,
    data: DataSet,
    *,
    ridge: RidgeChoice = 0.0,
    time: float = math.inf,
    tolerance: float = 1e-10,
    covariance: bool = False,
    centre: bool = False,
    solver: Method = "auto",
) -> Evaluation:
    """Evaluate a kernel limit on a data set.

    With targets and test points predictions follow, as :func:`tpc.limit.prediction.predict` says.

    Raises:
        TpcError: data that do not fit the program, or a system that cannot be solved.
    """
    from tpc.limit.lengths import given
    from tpc.limit.prediction import training_kernel
    from tpc.limit.union import notes as union_notes
    from tpc.limit.union import together
    from tpc.simulate.data import checked

    train, count = given(limit, data.train)
    target = target_of(module)
    predicts = target is not None and target in data.train and bool(data.test)
    method: Method = solver if predicts else "cholesky"
    numbers: dict[str, float | int] = {"samples": count}
    test: Mapping[str, np.ndarray] = {}
    if data.test:
        test, numbers["test_samples"] = given(limit, data.test, "test data")
        limit = together(limit, train, test)
    arrays = {"kernel": training_kernel(limit, train, method, tolerance)}
    if data.test:
        arrays["kernel_test"] = limit.evaluate(test, train, tolerance=tolerance)
    notes = union_notes(limit)
    if predicts and target is not None:
        targets, _ = checked(module, data.train, [target], 1)
        _same_count(len(targets[target]), count)
        found = _predict(
            limit,
            train,
            targets[target],
            test,
            time=time,
            ridge=ridge,
            covariance=covariance,
            centre=centre,
            solver=solver,
            tolerance=tolerance,
            kernels=(arrays["kernel"], arrays["kernel_test"]),
        )
        arrays |= _arrays(found, targets[target])
        numbers |= _numbers(found, arrays, data.test.get(target))
        notes = (*notes, found.note) if "conjugate" in found.note else notes
    elif covariance or centre or ridge:
        raise TpcError(
            Diagnostic(
                "E0910",
                "predictions need targets at the training points, and test points",
                help="add arrays of the target and of test points, or split some off: --test 0.2",
            )
        )
    return Evaluation(limit.kind, MappingProxyType(arrays), MappingProxyType(numbers), notes)


def _predict(limit: Limit, *data: Any, **options: Any) -> Prediction:
    from tpc.limit.prediction import predict

    return predict(limit, lambda: limit.other("nngp"), *data, **options)


def _same_count(targets: int, samples: int) -> None:
    if targets != samples:
        raise TpcError(
            Diagnostic("E0922", f"the data have {samples} samples but {targets} targets")
        )


def _arrays(found: Prediction, targets: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {"mean": found.mean}
    if found.covariance is not None:
        arrays |= {"deviation": found.deviation, "covariance": found.covariance}
        if targets.ndim == 2 and is_one_hot(targets):
            arrays["probabilities"] = found.probabilities()
    return arrays


def _numbers(
    found: Prediction, arrays: Mapping[str, np.ndarray], truth: np.ndarray | None
) -> dict[str, float]:
    from tpc.limit.classes import calibration_error, log_loss

    numbers = {}
    if found.chosen is not None:
        numbers["ridge"] = found.ridge
        numbers["leave_one_out"] = found.chosen.leave_one_out
        numbers["log_likelihood"] = found.chosen.log_likelihood
    numbers |= scores(found.mean.reshape(len(found.mean), -1), truth)
    if truth is not None and "probabilities" in arrays and "test_accuracy" in numbers:
        labels = truth.reshape(len(truth), -1).argmax(axis=1)
        if found.kind == "nngp":
            numbers["scale"] = found.scale
        numbers["test_log_loss"] = log_loss(arrays["probabilities"], labels)
        numbers["calibration_error"] = calibration_error(arrays["probabilities"], labels)
    return numbers
