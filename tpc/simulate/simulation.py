"""The result of a finite-width run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.ops.base import Array


@dataclass(frozen=True, repr=False)
class Simulation:
    """What finite networks did, one for each seed.

    * ``f``: the output at the test points, (seeds, steps + 1, N_test, axes of f): before training
      and after each step; ``outputs`` has the same for every output by name;
    * ``loss``: (seeds, steps), the training loss at each step, before its update, on its batch;
    * ``initial[name]``, ``final[name]``: recorded values at the test points (seeds, N_test, axes),
      and recorded weights (seeds, axes), at initialisation and after the last step.
    """

    width: int
    seeds: tuple[int, ...]
    f: Array
    loss: Array
    outputs: Mapping[str, Array]
    initial: Mapping[str, Array]
    final: Mapping[str, Array]

    @property
    def steps(self) -> int:
        """The number of training steps."""
        return int(self.f.shape[1]) - 1

    @property
    def mean(self) -> Array:
        """The output averaged over seeds, (steps + 1, N_test, axes of f)."""
        result: Array = self.f.mean(axis=0)
        return result

    @property
    def error(self) -> Array:
        """The standard error of :attr:`mean` (NaN with a single seed)."""
        import numpy as np

        count = len(self.seeds)
        if count < 2:
            return np.full(self.f.shape[1:], np.nan)
        result: Array = self.f.std(axis=0, ddof=1) / count**0.5
        return result

    def change(self, name: str) -> Array:
        """Return the root mean square change of a recorded value by training, one for each seed."""
        difference = self.final[name] - self.initial[name]
        result: Array = (difference**2).reshape(len(self.seeds), -1).mean(axis=1) ** 0.5
        return result

    def __repr__(self) -> str:
        count = len(self.seeds)
        text = f"<Simulation width {self.width}, {count} seed{'s' if count > 1 else ''}"
        text += f", {self.steps} steps, f {self.f.shape}"
        if self.loss.size:
            text += f", loss {self.loss[:, 0].mean():.4g} -> {self.loss[:, -1].mean():.4g}"
        return text + ">"
