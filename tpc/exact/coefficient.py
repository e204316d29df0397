"""Coefficients: an exact constant times a power of the width."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.exact.affine import ZERO, Affine, AffineLike
from tpc.exact.constant import ONE, Constant, ConstantLike


@dataclass(frozen=True, slots=True)
class Coefficient:
    """The number `constant * n^power`, n being the width.

    The power is an affine form in the program's exponents. Zero is written with power 0, so that
    there is one zero.
    """

    constant: Constant = ONE
    power: Affine = field(default=ZERO)

    def __post_init__(self) -> None:
        if self.constant.is_zero and self.power != 0:
            object.__setattr__(self, "power", ZERO)

    @classmethod
    def of(cls, value: Coefficient | ConstantLike) -> Coefficient:
        """Return a coefficient as it is, a constant as one without a power of the width."""
        return value if isinstance(value, Coefficient) else cls(Constant.of(value))

    @classmethod
    def width(cls, power: AffineLike = 1) -> Coefficient:
        """Return `n^power`."""
        return cls(ONE, Affine.of(power))

    @property
    def is_one(self) -> bool:
        """Whether this is the number 1 at every width."""
        return self.constant.is_one and self.power == 0

    @property
    def is_zero(self) -> bool:
        """Whether this is exactly 0."""
        return self.constant.is_zero

    def substitute(self, values: Mapping[str, AffineLike]) -> Coefficient:
        """Replace exponent symbols in the power."""
        return Coefficient(self.constant, self.power.substitute(values))

    def __mul__(self, other: Coefficient | ConstantLike) -> Coefficient:
        if not isinstance(other, (Coefficient, Constant, int, Fraction)):
            return NotImplemented
        factor = Coefficient.of(other)
        return Coefficient(self.constant * factor.constant, self.power + factor.power)

    __rmul__ = __mul__

    def __truediv__(self, other: Coefficient | ConstantLike) -> Coefficient:
        if not isinstance(other, (Coefficient, Constant, int, Fraction)):
            return NotImplemented
        divisor = Coefficient.of(other)
        return Coefficient(self.constant / divisor.constant, self.power - divisor.power)

    def __rtruediv__(self, other: ConstantLike) -> Coefficient:
        return Coefficient.of(other) / self

    def __neg__(self) -> Coefficient:
        return Coefficient(-self.constant, self.power)

    def __pow__(self, exponent: Fraction | int) -> Coefficient:
        return Coefficient(self.constant**exponent, self.power * exponent)

    def value_at(
        self, width: float, exponents: Mapping[str, Fraction | int] | None = None
    ) -> float:
        """Return the float at a finite width (infinite where a float cannot hold it)."""
        power = self.power.evaluate(exponents or {})
        try:
            return self.constant.value * math.pow(width, power)
        except OverflowError:
            return math.inf * self.constant.sign

    def __str__(self) -> str:
        if self.power == 0:
            return str(self.constant)
        width = _power("n", self.power)
        if self.constant.is_one:
            return width
        if self.constant == -1:
            return f"-{width}"
        return f"{self.constant.factor_text()}*{width}"

    def latex(self) -> str:
        """Return the coefficient as LaTeX, without delimiters."""
        if self.power == 0:
            return self.constant.latex()
        width = "n" if self.power == 1 else f"n^{{{self.power.latex()}}}"
        if self.constant.is_one:
            return width
        return f"-{width}" if self.constant == -1 else rf"{self.constant.latex(True)} \, {width}"


def _power(base: str, power: Affine) -> str:
    if power == 1:
        return base
    text = str(power)
    return f"{base}^{text}" if text.lstrip("-").isalnum() else f"{base}^({text})"
