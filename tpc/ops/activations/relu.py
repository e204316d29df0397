"""The rectifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote
from tpc.ops.activations.step import Step

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Relu(Activation):
    """The rectifier ``relu(z) = max(z, 0)``; its derivative is the step.

    Dual: ``sqrt(q11 q22) / (2 pi) * (sin t + (pi - t) cos t)``, t the angle between u and v (the
    arc-cosine kernel of order 1, Cho and Saul 2009).
    """

    name: ClassVar[str] = "relu"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, 0), (1, 1))
    kink_points: ClassVar[tuple[float, ...]] = (0.0,)
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    increasing: ClassVar[bool] = True

    def derivative(self) -> Activation:
        return Step()

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.maximum(x, 0.0)

    def numba_call(self, argument: str) -> str:
        return f"max({argument}, 0.0)"

    def exact_value(self, value: Constant) -> Constant:
        return value if value.sign > 0 else value * 0

    def reflected(self, argument: fm.Formula) -> fm.Formula:
        return fm.subtract(fm.apply(self, argument), argument)
