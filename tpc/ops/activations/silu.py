"""The sigmoid linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation
from tpc.ops.activations.sigmoid import Sigmoid


@dataclass(frozen=True)
class Silu(Activation):
    """The sigmoid linear unit (swish) ``silu(z) = z sigmoid(z)``; no closed dual is known."""

    name: ClassVar[str] = "silu"
    primitive: ClassVar[bool] = False

    def formula(self) -> fm.Formula:
        return fm.multiply(fm.Z, fm.apply(Sigmoid(), fm.Z))
