"""The tanh approximation of the Gaussian error linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.tanh import Tanh


@dataclass(frozen=True)
class GeluTanh(Activation):
    """The approximate gelu ``gelu_tanh(z) = z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))``."""

    name: ClassVar[str] = "gelu_tanh"
    primitive: ClassVar[bool] = False

    def formula(self) -> fm.Formula:
        root = Constant.sqrt(Constant.of(2) / Constant.pi())
        cubic = fm.from_polynomial([0, 1, 0, Fraction(44715, 10**6)])
        bend = fm.apply(Tanh(), fm.scale(cubic, root))
        return fm.scale(fm.multiply(fm.Z, fm.add(fm.number(1), bend)), Fraction(1, 2))
