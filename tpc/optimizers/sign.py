"""Sign descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import Kind, Optimizer

if TYPE_CHECKING:
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Sign(Optimizer):
    """Sign descent: the direction is the sign of each entry of the gradient (0 at 0)."""

    name: ClassVar[str] = "sign"
    kind: ClassVar[Kind] = "entrywise"

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        import numpy as np

        return np.sign(gradient), state


SIGN = Sign()
