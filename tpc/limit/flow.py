"""Gradient flow in the kernel regime, under the program's own loss, as a differential equation.

``df(x)/dt = - sum_i K(x, x_i) dL/df_i``: gradient descent in the limit of small learning rates, at
time t = lr * steps. All outputs follow from coefficients of the training samples,
``f_t(x) = f_0(x) + sum_i K(x, x_i) a_i(t)`` with ``da_i/dt = -dL/df_i``, so that only those are
integrated, with control of the error. For a squared error :class:`tpc.limit.predict.Tangent` has
the same in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit.loss import Loss
from tpc.limit.problem import DRAWS, Problem, Start, mean_of, starts_of
from tpc.limit.sharpness import curvature

if TYPE_CHECKING:
    from tpc.limit.limit import Limit
    from tpc.ops.base import Array

Integrator = Literal["LSODA", "DOP853"]
ACCURACY = 1e-8
"""The relative error of every integration step, unless told otherwise."""
_MANY, _STIFF = 400, 500.0


@dataclass(frozen=True, repr=False)
class Flow:
    """What an infinitely wide network computes along gradient flow.

    * ``times``: (T,); ``f``: the output at the test points at these times, (T, N_test, axes of f);
      ``error``: its standard error (zero for one start);
    * ``loss``: (T,), the training loss at these times; ``loss_error``;
    * ``method``: the integrator; ``evaluations``: of the loss's derivative, for all starts;
    * ``replicates``: how many starts the mean is over.
    """

    times: Array
    f: Array
    error: Array
    loss: Array
    loss_error: Array
    method: str
    evaluations: int
    replicates: int

    def __repr__(self) -> str:
        return f"<Flow to t = {self.times[-1]:g}, f {self.f.shape}, {self.method}>"


def flow(
    limit: Limit,
    nngp: Callable[[], Limit],
    data: Mapping[str, Any],
    times: Sequence[float],
    *,
    test: Mapping[str, Any] | None = None,
    start: Start = "draw",
    draws: int = DRAWS,
    seed: int = 0,
    tolerance: float = 1e-10,
    accuracy: float = ACCURACY,
) -> Flow:
    """Integrate gradient flow under the program's loss and return f at the times.

    ``data``, ``test``, ``start``, ``draws``, ``seed`` and ``tolerance`` are those of
    :meth:`tpc.limit.limit.Limit.train`; the optimizer does not matter. ``times`` ascend from zero
    or later and are finite; ``accuracy`` is the relative error of an integration step.

    Raises:
        TpcError: data or request do not fit the program, or the integration fails.
    """
    points = _times(times)
    loss = Loss(limit.module)
    problem = Problem(limit, data, test, loss, tolerance)
    starts, total = starts_of(problem, loss, nngp, start, draws, seed)
    paths, losses, evaluations = [], [], 0
    method: Integrator | None = None
    for first in starts:
        system = _System(problem, loss, first)
        method = method or system.method(float(points[-1]))
        coefficients, count = system.integrated(points, accuracy, method)
        evaluations += count
        found = [system.outputs(each) for each in coefficients]
        paths.append(np.stack([each[problem.count * problem.tested :] for each in found]))
        losses.append([system.slope(each)[0] for each in found])
    f, loss_path = mean_of(np.stack(paths)), mean_of(np.asarray(losses))
    return Flow(points, *f, *loss_path, str(method), evaluations, total)


def _times(times: Sequence[float]) -> Array:
    points = np.asarray(times, dtype=np.float64)
    fine = points.ndim == 1 and points.size and np.isfinite(points).all() and points[0] >= 0
    if not fine or (np.diff(points) <= 0).any():
        raise TpcError(
            Diagnostic(
                "E0969",
                "times of gradient flow are finite numbers from zero on that ascend",
                help="under a squared error, infinite time has a closed form: tpc run --time inf",
            )
        )
    return points


class _System:
    """The differential equation of the coefficients (N * kept, copies), from one start."""

    def __init__(self, problem: Problem, loss: Loss, start: Array) -> None:
        self.problem, self.loss, self.start = problem, loss, start
        self.rows = problem.count * problem.layout.inner
        self._data = {name: problem.data[name] for name in loss.inputs}

    def outputs(self, coefficients: Array) -> Array:
        """Return f at all points."""
        problem = self.problem
        columns = coefficients.reshape(self.rows, -1)
        return self.start + problem.layout.outputs(problem.kernel @ columns)

    def slope(self, f: Array) -> tuple[float, Array]:
        """Return the loss and dL/df at outputs at all points."""
        return self.loss.at(f[: self.problem.count], self._data, 1)

    def velocity(self, _: float, coefficients: Array) -> Array:
        """Return the derivative of the coefficients."""
        layout = self.problem.layout
        columns = coefficients.reshape(self.rows, -1)
        change = layout.outputs(self.problem.kernel[: self.rows] @ columns)
        _, slope = self.slope(self.start[: self.problem.count] + change)
        return -layout.columns(slope).ravel()

    def method(self, end: float) -> Integrator:
        """Return an integrator: an implicit one where the equation is stiff and not too large."""
        sharpness = curvature(self.problem, self.loss, self.start)
        stiff = sharpness is not None and sharpness * end > _STIFF
        return "LSODA" if stiff and self.rows * self.problem.layout.copies <= _MANY else "DOP853"

    def integrated(self, times: Array, accuracy: float, method: Integrator) -> tuple[Array, int]:
        """Return the coefficients at the times, and the number of evaluations."""
        from scipy.integrate import solve_ivp

        first = np.zeros(self.rows * self.problem.layout.copies)
        if times[-1] == 0:
            return first[None], 0
        scale = float(np.abs(self.velocity(0.0, first)).max()) * times[-1]
        found = solve_ivp(
            self.velocity,
            (0.0, float(times[-1])),
            first,
            method=method,
            t_eval=times,
            rtol=max(accuracy, 1e-13),
            atol=max(accuracy * 1e-2 * scale, 1e-300),
        )
        if not found.success or not np.isfinite(found.y).all():
            raise TpcError(
                Diagnostic("E0969", f"gradient flow was not integrated: {found.message}")
            )
        return found.y.T, int(found.nfev)
