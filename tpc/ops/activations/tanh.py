"""The hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote, Parity
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent ``tanh(z)``; no closed dual is known."""

    name: ClassVar[str] = "tanh"
    odd_or_even: ClassVar[Parity] = "odd"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, -1), (0, 1))
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    increasing: ClassVar[bool] = True
    latex_name: ClassVar[str] = r"\tanh"

    def derivative(self) -> Activation:
        square = fm.power(fm.apply(self, fm.Z), 2)
        return from_formula(fm.subtract(fm.number(1), square), name="tanh'")

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.tanh(x)

    def numba_call(self, argument: str) -> str:
        return f"math.tanh({argument})"
