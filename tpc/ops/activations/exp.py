"""The exponential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations.base import Activation, DualForm
from tpc.ops.activations.formula import tails

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Exp(Activation):
    """The exponential ``exp(z)``.

    Dual: ``exp((q11 + q22) / 2 + q12)``; more generally that of ``exp`` of a quadratic.
    """

    name: ClassVar[str] = "exp"
    bounds: ClassVar[tuple[float, float]] = (5e-324, float("inf"))
    increasing: ClassVar[bool] = True
    latex_name: ClassVar[str] = r"\exp"

    def derivative(self) -> Activation:
        return self

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.exp(x)

    def numba_call(self, argument: str) -> str:
        return f"math.exp({argument})"

    def exact_value(self, value: Constant) -> Constant:
        return Constant.exp(value)

    def tail(self, inner: tails.Tail) -> tails.Tail:
        return tails.exponential(inner)

    def affine_dual(self, factor: Constant, argument: tuple[Constant, ...]) -> DualForm | None:
        if len(argument) > 3:
            return None
        level, slope, curvature = (*argument, *[Constant.of(0)] * 2)[:3]
        if curvature.sign > 0:
            return None
        size = (factor**2 * Constant.exp(level * 2)).value
        return DualForm("variance_side", 1, "bell_pair", (size, slope.value, curvature.value))
