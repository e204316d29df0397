"""The softplus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote
from tpc.ops.activations.sigmoid import Sigmoid

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Softplus(Activation):
    """The softplus ``softplus(z) = log(1 + exp(z))``; no closed dual is known."""

    name: ClassVar[str] = "softplus"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, 0), (1, 1))
    bounds: ClassVar[tuple[float, float]] = (5e-324, float("inf"))
    increasing: ClassVar[bool] = True
    numba_helpers: ClassVar[tuple[str, ...]] = ("softplus",)

    def derivative(self) -> Activation:
        return Sigmoid()

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.logaddexp(x, 0.0)

    def numba_call(self, argument: str) -> str:
        return f"softplus({argument})"

    def exact_value(self, value: Constant) -> Constant | None:
        return Constant.log(2) if value.is_zero else None

    def reflected(self, argument: fm.Formula) -> fm.Formula:
        return fm.subtract(fm.apply(self, argument), argument)
