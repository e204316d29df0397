"""The identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation


@dataclass(frozen=True)
class Identity(Activation):
    """The identity ``identity(z) = z``: a linear layer.

    Dual: ``q12``.
    """

    name: ClassVar[str] = "identity"
    primitive: ClassVar[bool] = False

    def formula(self) -> fm.Formula:
        return fm.Z
