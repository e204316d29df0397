"""The cosine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations import patterns
from tpc.ops.activations.base import Activation, DualForm, Parity
from tpc.ops.activations.sin import Sin
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Cos(Activation):
    """The cosine ``cos(z)``.

    Dual: ``exp(-(q11 + q22) / 2) cosh(q12)``.
    """

    name: ClassVar[str] = "cos"
    odd_or_even: ClassVar[Parity] = "even"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    latex_name: ClassVar[str] = r"\cos"

    def derivative(self) -> Activation:
        return from_formula(fm.negate(fm.apply(Sin(), fm.Z)), name="cos'")

    def numpy(self, x: Array) -> Array:
        import numpy as np

        return np.cos(x)

    def numba_call(self, argument: str) -> str:
        return f"math.cos({argument})"

    def exact_value(self, value: Constant) -> Constant | None:
        return Constant.of(1) if value.is_zero else None

    def affine_dual(self, factor: Constant, argument: tuple[Constant, ...]) -> DualForm | None:
        if len(argument) != 2:
            return None
        phase = (argument[0] + Constant.pi() / 2).value
        return patterns.sinusoid_form(factor.value, argument[1].value, phase)
