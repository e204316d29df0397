"""The self-normalising exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.elu import Elu

# Klambauer et al. (2017), to the precision of a float
ALPHA = Fraction("1.6732632423543772")
SCALE = Fraction("1.0507009873554805")


@dataclass(frozen=True)
class Selu(Activation):
    """The self-normalising unit ``selu(z) = 1.0507 z`` (z > 0), ``1.7581 (exp(z) - 1)`` (z < 0)."""

    name: ClassVar[str] = "selu"
    primitive: ClassVar[bool] = False

    def formula(self) -> fm.Formula:
        body = Elu().formula()
        assert isinstance(body, fm.Where)
        below = fm.scale(body.otherwise, SCALE * ALPHA)
        return fm.where(fm.Z, fm.scale(fm.Z, SCALE), below)
