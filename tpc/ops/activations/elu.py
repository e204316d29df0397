"""The exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.exp import Exp

ONE = Constant.of(1)


@dataclass(frozen=True)
class Elu(Activation):
    """The exponential linear unit ``elu(alpha)(z) = z`` (z > 0), ``alpha (exp(z) - 1)`` (z < 0)."""

    name: ClassVar[str] = "elu"
    primitive: ClassVar[bool] = False

    alpha: Constant = ONE

    def formula(self) -> fm.Formula:
        bend = fm.subtract(fm.apply(Exp(), fm.Z), fm.number(1))
        return fm.where(fm.Z, fm.Z, fm.scale(bend, self.alpha))
