"""The logistic sigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Sigmoid(Activation):
    """The logistic sigmoid ``sigmoid(z) = 1 / (1 + exp(-z))``; no closed dual is known."""

    name: ClassVar[str] = "sigmoid"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, 0), (0, 1))
    bounds: ClassVar[tuple[float, float]] = (5e-324, 1.0)
    increasing: ClassVar[bool] = True
    numba_helpers: ClassVar[tuple[str, ...]] = ("sigmoid",)

    def derivative(self) -> Activation:
        value = fm.apply(self, fm.Z)
        return from_formula(fm.subtract(value, fm.power(value, 2)), name="sigmoid'")

    def numpy(self, x: Array) -> Array:
        from scipy.special import expit

        result: Array = expit(x)
        return result

    def numba_call(self, argument: str) -> str:
        return f"sigmoid({argument})"

    def exact_value(self, value: Constant) -> Constant | None:
        return Constant.of(Fraction(1, 2)) if value.is_zero else None

    def reflected(self, argument: fm.Formula) -> fm.Formula:
        return fm.subtract(fm.number(1), fm.apply(self, argument))
