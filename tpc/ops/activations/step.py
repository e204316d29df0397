"""The Heaviside step."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Step(Activation):
    """The step ``step(z) = 1`` for z > 0, ``0`` for z < 0, and ``1/2`` at 0.

    The value at 0 is the mean of the two sides, so that ``sign(z) = 2 step(z) - 1`` everywhere and
    a variance of zero is the limit of the symmetric case. Dual: ``(pi - t) / (2 pi)``, t the angle
    between u and v (the arc-cosine kernel of order 0).
    """

    name: ClassVar[str] = "step"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, 0), (0, 1))
    kink_points: ClassVar[tuple[float, ...]] = (0.0,)
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    increasing: ClassVar[bool] = True
    numba_helpers: ClassVar[tuple[str, ...]] = ("step",)

    def derivative(self) -> Activation:
        return from_formula(fm.number(0), name="step'")

    @property
    def dropped(self) -> str:
        """The jump's delta function."""
        return (
            "the derivative of step is a delta function at 0, which is dropped: it counts as zero"
        )

    def numpy(self, x: Array) -> Array:
        import numpy as np

        result = np.sign(x)  # several times faster than np.heaviside
        result += 1.0
        result *= 0.5
        return result

    def numba_call(self, argument: str) -> str:
        return f"step({argument})"

    def exact_value(self, value: Constant) -> Constant:
        return Constant.of(Fraction(1 + value.sign, 2))

    def reflected(self, argument: fm.Formula) -> fm.Formula:
        return fm.subtract(fm.number(1), fm.apply(self, argument))
