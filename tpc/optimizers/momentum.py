"""Gradient descent with heavy-ball momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import Kind, Optimizer, Option, number

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Momentum(Optimizer):
    """Heavy-ball momentum: `m <- beta m + g`, and the direction is m (no factor 1 - beta)."""

    name: ClassVar[str] = "momentum"
    kind: ClassVar[Kind] = "linear"
    own: ClassVar[tuple[Option, ...]] = (number("beta", "0.9", "how much of the past is kept"),)

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        return {"m": np.zeros(shape)}

    def stable_product(self, options: Mapping[str, float]) -> float:
        # the roots of z^2 - (1 + beta - lr c) z + beta leave the unit disc at z = -1
        return 2.0 * (1.0 + options["beta"])

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        m = options["beta"] * state["m"] + gradient
        return m, {"m": m}

    def symbolic(
        self, gradients: Sequence[Node], weight: Node, options: Mapping[str, Coefficient]
    ) -> Node:
        from tpc.ops.add import add
        from tpc.ops.scale import scale

        m = gradients[0]
        for gradient in gradients[1:]:
            m = add(scale(m, options["beta"]), gradient)
        return m


MOMENTUM = Momentum()
