"""The result of a run in the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.feature.plan import EXACT, Method

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array


@dataclass(frozen=True, repr=False)
class Run:
    """What an infinitely wide network computes while it is trained.

    * ``f``: the output at the test points, (steps + 1, N_test, axes of f): before training and
      after each step; ``outputs`` has the same for every output by name;
    * ``error``: standard errors of ``f``, from independent replicates (zero where exact, NaN with
      a single replicate); ``errors`` those of ``outputs``;
    * ``loss``: (steps,), the training loss at each step, before its update; ``loss_error``;
    * ``kernels[name]``: E[Z Z'] of a recorded value at all pairs of test points, (steps + 1,
      N_test, N_test, finite axes, finite axes); ``kernel_errors`` their standard errors;
    * ``method``, ``particles``, ``replicates``: how it was evaluated (see tpc.feature.plan);
    * ``largest_rate``: in the kernel regime, the largest learning rate at which training on all
      samples is stable before it starts (tpc.limit.sharpness).

    A run that diverges is NaN from there on.
    """

    f: Array
    error: Array
    loss: Array
    loss_error: Array
    outputs: Mapping[str, Array]
    errors: Mapping[str, Array]
    kernels: Mapping[str, Array]
    kernel_errors: Mapping[str, Array]
    method: Method
    particles: int
    replicates: int
    largest_rate: float | None = None

    @property
    def steps(self) -> int:
        """The number of training steps."""
        return len(self.f) - 1

    def __repr__(self) -> str:
        text = f"<Run {self.steps} steps, f {self.f.shape}, {self.method}"
        if self.particles and self.method not in EXACT:
            text += f", {self.replicates} x {self.particles} particles"
            text += f", error <= {np.nanmax(self.error, initial=0.0):.2g}"
        if self.loss.size:
            text += f", loss {self.loss[0]:.4g} -> {self.loss[-1]:.4g}"
        return text + ">"


def gathered(
    module: Module,
    found: Sequence[tuple[Mapping[Any, Array], Array]],
    method: Method,
    particles: int,
) -> Run:
    """Return the mean of replicates, with its standard error."""
    means = {key: _mean([each[key] for each, _ in found], method) for key in found[0][0]}
    outputs = {key: pair for key, pair in means.items() if isinstance(key, str)}
    kernels = {key[0]: pair for key, pair in means.items() if not isinstance(key, str)}
    loss, loss_error = _mean([losses for _, losses in found], method)
    main = module.output.name
    return Run(
        *outputs[main],
        loss,
        loss_error,
        _part(outputs, 0),
        _part(outputs, 1),
        _part(kernels, 0),
        _part(kernels, 1),
        method,
        particles,
        len(found),
    )


def _part(pairs: Mapping[str, tuple[Array, Array]], which: int) -> Mapping[str, Array]:
    return MappingProxyType({name: pair[which] for name, pair in pairs.items()})


def _mean(replicates: Sequence[Array], method: Method) -> tuple[Array, Array]:
    stacked = np.stack(replicates)
    with np.errstate(all="ignore"):  # infinite and undefined numbers of a run that diverges
        return _statistics(stacked, method)


def _statistics(stacked: Array, method: Method) -> tuple[Array, Array]:
    mean: Array = stacked.mean(axis=0)
    if method in EXACT:
        return mean, np.zeros(mean.shape)
    if len(stacked) < 2:
        return mean, np.full(mean.shape, np.nan)
    error: Array = stacked.std(axis=0, ddof=1) / len(stacked) ** 0.5
    return mean, error
