"""Polynomials by their coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, ActivationError


@dataclass(frozen=True)
class Polynomial(Activation):
    """The polynomial ``polynomial(c0, c1, ...)(z) = c0 + c1 z + c2 z^2 + ...``.

    Dual: a polynomial in q11, q12 and q22, by Hermite coefficients at each variance.
    """

    name: ClassVar[str] = "polynomial"
    primitive: ClassVar[bool] = False
    variadic: ClassVar[bool] = True

    coefficients: tuple[Constant, ...] = (Constant.of(0), Constant.of(1))

    def __post_init__(self) -> None:
        if not 1 <= len(self.coefficients) <= 33:
            raise ActivationError("polynomial takes between 1 and 33 coefficients")

    @property
    def parameters(self) -> tuple[Constant, ...]:
        """The coefficients, lowest first."""
        return self.coefficients

    def formula(self) -> fm.Formula:
        return fm.from_polynomial(self.coefficients)
