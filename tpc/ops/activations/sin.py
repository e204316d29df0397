"""The sine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import patterns
from tpc.ops.activations.base import Activation, DualForm, Parity

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Sin(Activation):
    """The sine ``sin(z)``.

    Dual: ``exp(-(q11 + q22) / 2) sinh(q12)``.
    """

    name: ClassVar[str] = "sin"
    odd_or_even: ClassVar[Parity] = "odd"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    latex_name: ClassVar[str] = r"\sin"

    def derivative(self) -> Activation:
        from tpc.ops.activations.cos import Cos

        return Cos()

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.sin(x)

    def numba_call(self, argument: str) -> str:
        return f"math.sin({argument})"

    def affine_dual(self, factor: Constant, argument: tuple[Constant, ...]) -> DualForm | None:
        if len(argument) != 2:
            return None
        return patterns.sinusoid_form(factor.value, argument[1].value, argument[0].value)
