"""Gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import Kind, Optimizer

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Sgd(Optimizer):
    """Gradient descent: the direction is the gradient. Minibatches come from the data."""

    name: ClassVar[str] = "sgd"
    kind: ClassVar[Kind] = "linear"
    memoryless: ClassVar[bool] = True

    def stable_product(self, options: Mapping[str, float]) -> float:
        return 2.0

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        return gradient, state

    def symbolic(
        self, gradients: Sequence[Node], weight: Node, options: Mapping[str, Coefficient]
    ) -> Node:
        return gradients[-1]


SGD = Sgd()
