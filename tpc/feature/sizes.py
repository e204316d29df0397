"""How large a run is: Gaussians, samples, rows in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.feature.draws import SOBOL
from tpc.feature.memory import Needs
from tpc.feature.plan import arguments, live_vectors, updates
from tpc.optimizers import optimizers

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node


@dataclass(frozen=True)
class Sizes:
    """A request for ``steps`` steps of at most ``batch`` samples.

    ``training`` are the loss and the gradients of a step, ``outputs`` what is predicted;
    ``extents`` the sizes of finite axes of weights where they differ from the program's.
    """

    module: Module
    training: Sequence[Node]
    outputs: Sequence[Node]
    steps: int
    batch: int
    extents: Mapping[tuple[str, int], int]

    def gaussians(self) -> dict[str, int]:
        """Return how many Gaussian vectors each weight is at initialisation."""
        found = {}
        for name, spec in self.module.params.items():
            if spec.type.sort == 1 and spec.init == "normal":
                found[name] = 1
                for axis, dim in enumerate(spec.type.dims):
                    if not dim.width:
                        found[name] *= self.extents.get((name, axis), int(dim.count))
        return found

    def exact(self) -> int:
        """Return for how many Gaussians a linear program is given room at first."""
        return 2 * (1 + self._initial()) + 8 * arguments(self.training) * self.batch

    def quasi(self) -> int:
        """Return for how many Gaussians quasi-random points pay: those that come first."""
        early = 2 * arguments(self.training) * min(self.batch, 8)
        return min(SOBOL, self._initial() + early)

    def needs(self, size: int) -> Needs:
        """Return what one replicate with ``size`` samples holds in memory."""
        return Needs(
            size,
            self._initial(),
            self.batch * live_vectors(self.training, True) + live_vectors(self.training, False),
            2 * self.steps * self.batch * arguments(self.training),
            2 * self.steps * self.batch * updates(self.training),
            live_vectors(self.outputs, True),
            4 * size * self._pairs() if self.steps else 0,
        )

    def _initial(self) -> int:
        return sum(self.gaussians().values())

    def _pairs(self) -> int:
        """Return how many matrices have entries at pairs of particles."""
        return sum(
            self.module.params[name].type.finite_count
            for name in self.module.trained
            if (line := self.module.optimizer_of(name)) is not None
            and self.module.params[name].type.sort > 1
            and optimizers()[line.name].kind == "entrywise"
        )
