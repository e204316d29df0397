"""Training in the kernel regime, step by step, under the program's own loss and optimizer.

In the kernel regime the tangent kernel K stays what it is at initialisation, so that gradient
descent on the weights is gradient descent on the outputs (Jacot, Gabriel & Hongler 2018; Yang &
Littwin 2021, for any program):

    f_{t+1}(x) = f_t(x) - lr * sum_i K(x, x_i) dL/df_i.

K sums over the weights that move f at the program's exponents, and over no others. An optimizer
that is linear in the gradients acts on ``sum_i K(x, x_i) dL/df_i`` as it does on gradients. Before
training f is Gaussian with the NNGP covariance, or zero where that vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.feature.result import Run
from tpc.limit.loss import Loss, rule_of
from tpc.limit.problem import DRAWS, Problem, Start, mean_of, starts_of
from tpc.limit.sharpness import largest_rate
from tpc.simulate.checks import check_batches

if TYPE_CHECKING:
    from tpc.limit.limit import Limit
    from tpc.ops.base import Array


def descend(
    limit: Limit,
    nngp: Callable[[], Limit],
    data: Mapping[str, Any],
    steps: int,
    *,
    test: Mapping[str, Any] | None = None,
    batches: Sequence[Any] | None = None,
    start: Start = "draw",
    draws: int = DRAWS,
    seed: int = 0,
    tolerance: float = 1e-10,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Train under a tangent kernel: see :meth:`tpc.limit.limit.Limit.train`."""
    loss = Loss(limit.module) if steps else None
    rule = rule_of(limit.module) if steps else None
    problem = Problem(limit, data, test, loss, tolerance)
    rows = _rows(steps, problem.count, batches)
    starts, total = starts_of(problem, loss, nngp, start, draws, seed)
    paths, losses, rate = [], [], None
    for number, first in enumerate(starts):
        if loss is not None and rule is not None and not number:
            rate = largest_rate(problem, loss, rule, first)
        shown = None if progress is None else _shown(progress, number * steps, total * steps)
        path, loss_path = problem.path(first, rows, loss, rule, shown)
        paths.append(path)
        losses.append(loss_path)
    return _gathered(limit.module.output.name, np.stack(paths), np.stack(losses), rate)


def follow(
    limit: Limit,
    data: Mapping[str, Any],
    steps: int,
    starts: Iterable[tuple[Any, Any]],
    *,
    test: Mapping[str, Any] | None = None,
    batches: Sequence[Any] | None = None,
) -> Array:
    """Return f (starts, steps + 1, N_test, axes), from each of several given f_0."""
    loss = Loss(limit.module) if steps else None
    rule = rule_of(limit.module) if steps else None
    problem = Problem(limit, data, test, loss, 1e-10)
    rows = _rows(steps, problem.count, batches)
    return np.stack(
        [problem.path(problem.joined(each), rows, loss, rule, None)[0] for each in starts]
    )


def _shown(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)


def _rows(steps: int, count: int, batches: Sequence[Any] | None) -> list[Any]:
    if batches is None:
        return [np.arange(count)] * steps
    check_batches(batches, steps, count)
    return [np.asarray(batch) for batch in batches[:steps]]


def _gathered(name: str, paths: Array, losses: Array, rate: float | None) -> Run:
    """Return the mean over draws with its standard error (zero for one)."""
    (f, error), (loss, loss_error) = mean_of(paths), mean_of(losses)
    nothing: Mapping[str, Array] = MappingProxyType({})
    outputs, errors = MappingProxyType({name: f}), MappingProxyType({name: error})
    return Run(
        f, error, loss, loss_error, outputs, errors, nothing, nothing, "kernel", 0, len(paths), rate
    )
