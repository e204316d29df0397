"""Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import EPS, Kind, Optimizer, Option, number, ratio

if TYPE_CHECKING:
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with bias correction.

    `m <- beta1 m + (1 - beta1) g`, `v <- beta2 v + (1 - beta2) g^2`, and the direction after t
    steps is `m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)`, with 0/0 := 0. `eps` is 0 where
    it is not given. Weight decay is added to the gradient (see adamw).
    """

    name: ClassVar[str] = "adam"
    kind: ClassVar[Kind] = "entrywise"
    own: ClassVar[tuple[Option, ...]] = (
        number("beta1", "0.9", "averaging of gradients"),
        number("beta2", "0.999", "averaging of squared gradients"),
        EPS,
    )

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        return {"m": np.zeros(shape), "v": np.zeros(shape)}

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        import numpy as np

        beta1, beta2 = options["beta1"], options["beta2"]
        m = beta1 * state["m"] + (1.0 - beta1) * gradient
        v = beta2 * state["v"] + (1.0 - beta2) * gradient**2
        root = np.sqrt(v / (1.0 - beta2**step)) + options["eps"]
        return ratio(m / (1.0 - beta1**step), root), {"m": m, "v": v}


ADAM = Adam()
