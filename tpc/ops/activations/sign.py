"""The sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote, Parity
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Sign(Activation):
    """The sign ``sign(z) = -1, 0, 1`` for z below, at and above 0.

    Dual: ``2/pi asin(q12 / sqrt(q11 q22))``.
    """

    name: ClassVar[str] = "sign"
    odd_or_even: ClassVar[Parity] = "odd"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, -1), (0, 1))
    kink_points: ClassVar[tuple[float, ...]] = (0.0,)
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    increasing: ClassVar[bool] = True
    numba_helpers: ClassVar[tuple[str, ...]] = ("sign",)

    def derivative(self) -> Activation:
        return from_formula(fm.number(0), name="sign'")

    @property
    def dropped(self) -> str:
        """The jump's delta function."""
        return (
            "the derivative of sign is a delta function at 0, which is dropped: it counts as zero"
        )

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.sign(x)

    def numba_call(self, argument: str) -> str:
        return f"sign({argument})"

    def exact_value(self, value: Constant) -> Constant:
        return Constant.of(value.sign)
