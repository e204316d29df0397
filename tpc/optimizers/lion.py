"""Lion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import Kind, Optimizer, Option, number

if TYPE_CHECKING:
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Lion(Optimizer):
    """Lion (Chen et al. 2023): the sign of an average of gradients.

    The direction is `sign(beta1 m + (1 - beta1) g)`, then `m <- beta2 m + (1 - beta2) g`. Weight
    decay acts on the weight itself.
    """

    name: ClassVar[str] = "lion"
    kind: ClassVar[Kind] = "entrywise"
    decoupled: ClassVar[bool] = True
    own: ClassVar[tuple[Option, ...]] = (
        number("beta1", "0.9", "averaging for the step"),
        number("beta2", "0.99", "averaging of gradients"),
    )

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        return {"m": np.zeros(shape)}

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
        mixed = beta1 * state["m"] + (1.0 - beta1) * gradient
        return np.sign(mixed), {"m": beta2 * state["m"] + (1.0 - beta2) * gradient}


LION = Lion()
