"""How good predictions are, where the right answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import Module


def target_of(module: Module) -> str | None:
    """Return the program's only target, or None where there are none or several."""
    names = [name for name, spec in module.inputs.items() if spec.role == "target"]
    return names[0] if len(names) == 1 else None


def scores(mean: np.ndarray, truth: np.ndarray | None) -> dict[str, float]:
    """Return the mean squared error and, where the targets are one-hot rows, the accuracy.

    Raises:
        TpcError: the right answers have another shape than the predictions (N', k).
    """
    if truth is None:
        return {}
    truth = truth.reshape(len(truth), -1).astype(float)
    if truth.shape != mean.shape:
        raise TpcError(
            Diagnostic(
                "E0922", f"the test targets have shape {truth.shape}, the predictions {mean.shape}"
            )
        )
    found = {"test_error": float(((mean - truth) ** 2).mean())}
    if is_one_hot(truth):
        right = mean.argmax(axis=1) == truth.argmax(axis=1)
        found["test_accuracy"] = float(right.mean())
    return found


def is_one_hot(rows: np.ndarray) -> bool:
    """Whether all rows (N, k), k > 1, are zeros and a single one."""
    binary = ((rows == 0) | (rows == 1)).all()
    return rows.ndim == 2 and rows.shape[1] > 1 and bool(binary and (rows.sum(axis=1) == 1).all())
