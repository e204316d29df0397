"""Whole powers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import Activation, whole_number

TWO = Constant.of(2)


@dataclass(frozen=True)
class Monomial(Activation):
    """The whole power ``monomial(k)(z) = z^k``.

    Dual: a polynomial in q11, q12 and q22 (Isserlis).
    """

    name: ClassVar[str] = "monomial"
    primitive: ClassVar[bool] = False

    order: Constant = TWO

    def __post_init__(self) -> None:
        whole_number(self.order, "the power of monomial", 0, 32)

    def formula(self) -> fm.Formula:
        return fm.power(fm.Z, whole_number(self.order, "the power of monomial", 0, 32))
