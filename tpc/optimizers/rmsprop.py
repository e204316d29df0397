"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import EPS, Kind, Optimizer, Option, number, ratio

if TYPE_CHECKING:
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class RmsProp(Optimizer):
    """RMSprop: `v <- beta v + (1 - beta) g^2`, and the direction is `g / (sqrt(v) + eps)`.

    As in PyTorch there is no bias correction.
    """

    name: ClassVar[str] = "rmsprop"
    kind: ClassVar[Kind] = "entrywise"
    own: ClassVar[tuple[Option, ...]] = (number("beta", "0.99", "averaging of squares"), EPS)

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        return {"v": np.zeros(shape)}

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        import numpy as np

        v = options["beta"] * state["v"] + (1.0 - options["beta"]) * gradient**2
        return ratio(gradient, np.sqrt(v) + options["eps"]), {"v": v}


RMSPROP = RmsProp()
