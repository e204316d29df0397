"""Hermite polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, whole_number

TWO = Constant.of(2)


@dataclass(frozen=True)
class Hermite(Activation):
    """The orthonormal Hermite polynomial ``hermite(k)(z) = He_k(z) / sqrt(k!)``.

    ``E h_j(z) h_k(z)`` is 1 for j = k and 0 otherwise when z is standard normal. Dual at unit
    variances: ``q12^k``.
    """

    name: ClassVar[str] = "hermite"
    primitive: ClassVar[bool] = False

    order: Constant = TWO

    def __post_init__(self) -> None:
        whole_number(self.order, "the order of hermite", 0, 32)

    def formula(self) -> fm.Formula:
        k = whole_number(self.order, "the order of hermite", 0, 32)
        coefficients = [Fraction(0)] * (k + 1)
        for j in range(k // 2 + 1):
            size = Fraction(factorial(k), factorial(j) * factorial(k - 2 * j) * 2**j)
            coefficients[k - 2 * j] = -size if j % 2 else size
        return fm.scale(fm.from_polynomial(coefficients), Constant.sqrt(factorial(k)) ** -1)
