"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import EPS, Kind, Optimizer, Option, ratio

if TYPE_CHECKING:
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): `s <- s + g^2`, and the direction is `g / (sqrt(s) + eps)`."""

    name: ClassVar[str] = "adagrad"
    kind: ClassVar[Kind] = "entrywise"
    own: ClassVar[tuple[Option, ...]] = (EPS,)

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        return {"s": np.zeros(shape)}

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        import numpy as np

        s = state["s"] + gradient**2
        return ratio(gradient, np.sqrt(s) + options["eps"]), {"s": s}


ADAGRAD = Adagrad()
