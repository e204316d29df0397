"""Weights of two width axes that have finite axes besides, as a kernel of a convolution has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.feature.family import Family, Operand
from tpc.feature.matrix import Matrix
from tpc.feature.weights import UNCLIPPED, Clip, Weight

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.optimizers.settings import Settings


class Members(Weight):
    """Matrices at the positions of finite axes of extents ``shape``, each a weight of its own."""

    def __init__(
        self,
        spec: ParamSpec,
        settings: Settings | None,
        shape: tuple[int, ...],
        weights: Sequence[Weight],
    ) -> None:
        super().__init__(spec, settings)
        self._shape, self._weights = shape, tuple(weights)

    @property
    def value(self) -> Family:
        """The effective weights W now."""
        values = [weight.value for weight in self._weights]
        return Family(self._shape, tuple(value for value in values if isinstance(value, Matrix)))

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        assert isinstance(gradient, Family)
        for weight, each in zip(self._weights, gradient.matrices, strict=True):
            weight.move(each, clip)
