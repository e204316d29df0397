"""The largest learning rate at which training under a fixed kernel is stable.

One step down the loss moves the outputs by ``-lr K dL/df``. Near f the errors are multiplied by
``I - lr K H``, H the loss's second derivative: they do not grow as long as lr times the largest
eigenvalue of K H is at most 2 (2 (1 + beta) with momentum). For a quadratic loss that is so at
every f.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tpc.limit.loss import Loss
    from tpc.limit.problem import Problem
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings

_STEP = 1e-3  # of central differences of the derivative: exact for a quadratic loss
_SMALL = 40


def largest_rate(problem: Problem, loss: Loss, rule: Settings, f: Array) -> float | None:
    """Return the largest stable learning rate on all samples, near outputs f (points, axes).

    Infinity where the loss has no curvature; None where f is not finite or the optimizer does not
    say.
    """
    options = {key: each.constant.value for key, each in rule.options.items()}
    allowed = rule.optimizer.stable_product(options)
    if allowed is None:
        return None
    sharpness = curvature(problem, loss, f)
    if sharpness is None:
        return None
    return allowed / sharpness if sharpness > 0 else float("inf")


def curvature(problem: Problem, loss: Loss, f: Array) -> float | None:
    """Return the largest eigenvalue of K H on the training samples; None where it is not finite."""
    layout, count = problem.layout, problem.count
    kernel = problem.kernel[: count * layout.inner]
    data = {name: problem.data[name] for name in loss.inputs}
    here = f[:count]

    def times(vector: Array) -> Array:
        change = layout.outputs(vector.reshape(len(kernel), -1))
        size = _STEP / max(float(np.abs(change).max()), 1e-300)
        up, down = (loss.at(here + sign * size * change, data, 1)[1] for sign in (1, -1))
        return (kernel @ layout.columns((up - down) / (2 * size))).ravel()

    with np.errstate(all="ignore"):
        return _largest(times, len(kernel) * layout.copies)


def _largest(times: object, size: int) -> float | None:
    """Return the largest eigenvalue of a map of vectors with real eigenvalues."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

    assert callable(times)
    if size <= _SMALL:
        matrix = np.stack([times(row) for row in np.eye(size)], axis=1)
        return float(np.linalg.eigvals(matrix).real.max()) if np.isfinite(matrix).all() else None
    first = np.random.default_rng(0).standard_normal(size)
    if not np.isfinite(times(first)).all():
        return None
    operator = LinearOperator((size, size), matvec=times, dtype=float)
    try:
        values = eigs(operator, k=1, which="LR", v0=first, tol=1e-9, return_eigenvectors=False)
    except ArpackError:
        return None
    return float(values[0].real)
