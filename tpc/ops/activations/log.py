"""The logarithm, inside of formulas."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.formula import tails
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Log(Activation):
    """The natural logarithm ``log(z)``: only inside of a formula, of something positive."""

    name: ClassVar[str] = "log"
    alone: ClassVar[bool] = False
    increasing: ClassVar[bool] = True
    latex_name: ClassVar[str] = r"\log"

    def derivative(self) -> Activation:
        return from_formula(fm.power(fm.Z, Fraction(-1)), name="log'")

    def numpy(self, x: Array) -> Array:
        import numpy as np

        with np.errstate(all="ignore"):
            return np.log(x)

    def numba_call(self, argument: str) -> str:
        return f"math.log({argument})"

    def exact_value(self, value: Constant) -> Constant:
        return Constant.log(value)

    def tail(self, inner: tails.Tail) -> tails.Tail:
        return tails.logarithm(inner)

    def interval(self, low: float, high: float) -> tuple[float, float]:
        import math

        def at(point: float) -> float:
            if point <= 0:
                return -math.inf
            return math.log(point) if point < math.inf else math.inf

        return (at(low), at(high))

    def undefined_on(self, low: float, high: float) -> str | None:
        return "the logarithm of" if low <= 0 else None
