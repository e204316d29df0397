"""The Gaussian bump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.exp import Exp


@dataclass(frozen=True)
class Gaussian(Activation):
    """The Gaussian ``gaussian(z) = exp(-z^2)``.

    Dual: ``1 / sqrt((1 + 2 q11) (1 + 2 q22) - 4 q12^2)``.
    """

    name: ClassVar[str] = "gaussian"
    primitive: ClassVar[bool] = False

    def formula(self) -> fm.Formula:
        return fm.apply(Exp(), fm.negate(fm.power(fm.Z, 2)))
