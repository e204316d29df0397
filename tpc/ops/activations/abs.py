"""The absolute value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations.base import Activation, Asymptote, Parity
from tpc.ops.activations.sign import Sign

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Abs(Activation):
    """The absolute value ``abs(z) = |z|``; its derivative is the sign.

    Dual: ``2/pi sqrt(q11 q22) (cos t asin(cos t) + sin t)``, t the angle between u and v.
    """

    name: ClassVar[str] = "abs"
    odd_or_even: ClassVar[Parity] = "even"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((1, 1), (1, 1))
    kink_points: ClassVar[tuple[float, ...]] = (0.0,)
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))

    def derivative(self) -> Activation:
        return Sign()

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.abs(x)

    def numba_call(self, argument: str) -> str:
        return f"abs({argument})"

    def exact_value(self, value: Constant) -> Constant:
        return value * value.sign

    def interval(self, low: float, high: float) -> tuple[float, float]:
        inner = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        return (inner, max(abs(low), abs(high)))
