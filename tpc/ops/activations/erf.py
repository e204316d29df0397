"""The error function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, Asymptote, DualForm, Parity
from tpc.ops.activations.exp import Exp
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ops.activations.base import Array


@dataclass(frozen=True)
class Erf(Activation):
    """The error function ``erf(z) = 2 / sqrt(pi) * integral of exp(-t^2) from 0 to z``.

    Dual: ``2/pi asin(2 q12 / sqrt((1 + 2 q11) (1 + 2 q22)))`` (Williams 1996).
    """

    name: ClassVar[str] = "erf"
    odd_or_even: ClassVar[Parity] = "odd"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = ((0, -1), (0, 1))
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    increasing: ClassVar[bool] = True

    def derivative(self) -> Activation:
        factor = Constant.of(2) / Constant.sqrt(Constant.pi())
        bell = fm.apply(Exp(), fm.negate(fm.power(fm.Z, 2)))
        return from_formula(fm.scale(bell, factor), name="erf'")

    def numpy(self, x: Array) -> Array:
        from scipy.special import erf

        result: Array = erf(x)
        return result

    def numba_call(self, argument: str) -> str:
        return f"math.erf({argument})"

    def affine_dual(self, factor: Constant, argument: tuple[Constant, ...]) -> DualForm | None:
        if len(argument) != 2 or not argument[0].is_zero:
            return None
        size, twice = (factor**2).value, (argument[1] ** 2 * 2).value
        return DualForm("probit_side", 3, "erf_pair", (size, twice), (twice,))
