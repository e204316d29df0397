"""The Gaussian error linear unit, exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, DualForm
from tpc.ops.activations.erf import Erf
from tpc.ops.activations.written import Written

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Gelu(Activation):
    """The Gaussian error linear unit ``gelu(z) = z P(z)``, P the normal distribution function.

    Dual, with ``G = 1/4 + asin(q12 / sqrt((1 + q11)(1 + q22))) / (2 pi)`` and
    ``D = 1 / (2 pi sqrt((1 + q11)(1 + q22) - q12^2))``:
    ``q12 G + D (q11 q22 + q12^2 (1/(1 + q11) + 1/(1 + q22) - 1))``, by partial integration.
    """

    name: ClassVar[str] = "gelu"
    primitive: ClassVar[bool] = False

    def formula(self) -> fm.Formula:
        cumulative = fm.apply(Erf(), fm.scale(fm.Z, Constant.sqrt(HALF)))
        return fm.scale(fm.multiply(fm.Z, fm.add(fm.number(1), cumulative)), HALF)

    def derivative(self) -> Activation:
        return GeluSlope(fm.derivative(self.formula()), "gelu'")

    def dual_form(self) -> DualForm:
        return DualForm("probit_side", 3, "gelu_pair", (), (1.0,))


@dataclass(frozen=True)
class GeluSlope(Written):
    """The derivative of gelu, ``P(z) + z P'(z)``, which has a closed dual of its own."""

    def dual_form(self) -> DualForm:
        return DualForm("probit_side", 3, "gelu_slope_pair", (), (1.0,))
