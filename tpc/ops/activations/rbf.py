"""The nonlinearity whose kernel is the radial basis function."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, ActivationError
from tpc.ops.activations.sin import Sin

ONE = Constant.of(1)


@dataclass(frozen=True)
class Rbf(Activation):
    """The random-feature sine ``rbf(gamma)(z) = sqrt(2) sin(sqrt(2 gamma) z + pi/4)``.

    Dual: ``exp(-gamma (q11 + q22 - 2 q12))``, the radial basis function kernel (Rahimi and Recht
    2007).
    """

    name: ClassVar[str] = "rbf"
    primitive: ClassVar[bool] = False

    gamma: Constant = ONE

    def __post_init__(self) -> None:
        if self.gamma.sign <= 0:
            raise ActivationError(f"the width of rbf must be positive, not {self.gamma}")

    def formula(self) -> fm.Formula:
        frequency = Constant.sqrt(self.gamma * 2)
        phase = fm.number(Constant.pi() * Fraction(1, 4))
        wave = fm.apply(Sin(), fm.add(fm.scale(fm.Z, frequency), phase))
        return fm.scale(wave, Constant.sqrt(2))
