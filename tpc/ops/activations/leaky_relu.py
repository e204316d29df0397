"""The leaky rectifier."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.relu import Relu

SLOPE = Constant.of(Fraction(1, 100))


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """The leaky rectifier ``leaky_relu(slope)(z) = z`` for z > 0, ``slope z`` for z < 0.

    Dual: ``((1 + slope)/2)^2 q12 + ((1 - slope)/2)^2 E|u||v|``.
    """

    name: ClassVar[str] = "leaky_relu"
    primitive: ClassVar[bool] = False

    slope: Constant = SLOPE

    def formula(self) -> fm.Formula:
        bent = fm.scale(fm.apply(Relu(), fm.Z), Constant.of(1) - self.slope)
        return fm.add(fm.scale(fm.Z, self.slope), bent)
