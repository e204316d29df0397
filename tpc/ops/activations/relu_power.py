"""Rectified powers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, whole_number
from tpc.ops.activations.relu import Relu
from tpc.ops.activations.step import Step
from tpc.ops.activations.written import from_formula

TWO = Constant.of(2)


@dataclass(frozen=True)
class ReluPower(Activation):
    """The rectified power ``relu_power(k)(z) = max(z, 0)^k`` for a whole k >= 0.

    Dual: ``(q11 q22)^(k/2) / (2 pi) J_k(t)``, t the angle between u and v (the arc-cosine kernel
    of order k, Cho and Saul 2009).
    """

    name: ClassVar[str] = "relu_power"
    primitive: ClassVar[bool] = False

    order: Constant = TWO

    def __post_init__(self) -> None:
        whole_number(self.order, f"the power of {self.name}", 0, 16)

    def formula(self) -> fm.Formula:
        power = whole_number(self.order, "the power", 0, 16)
        return fm.power(fm.apply(Relu(), fm.Z), power) if power else fm.apply(Step(), fm.Z)

    def derivative(self) -> Activation:
        power = whole_number(self.order, "the power", 0, 16)
        if power == 0:
            return Step().derivative()
        lower = ReluPower(self.order - 1).formula()
        return from_formula(fm.scale(lower, power), name="relu_power'")
