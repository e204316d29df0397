"""Activations given by a formula: what a user writes, and derivatives of the built-in ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations import patterns
from tpc.ops.activations.base import Activation, DualForm
from tpc.ops.activations.formula import evaluation


@dataclass(frozen=True)
class Written(Activation):
    """``act phi(z) = ...``: every fact follows from the formula."""

    primitive: ClassVar[bool] = False

    body: fm.Formula
    title: str = field(default="phi", compare=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name that the program gave, with a prime per derivative."""
        return self.title

    @property
    def parameters(self) -> tuple[Constant | int, ...]:
        """A formula has no parameters left."""
        return ()

    def formula(self) -> fm.Formula:
        return self.body

    def numba_call(self, argument: str) -> str:
        return evaluation.numba_source(self.body, argument)

    def dual_form(self) -> DualForm | None:
        return patterns.dual_form(self.body)


def from_formula(formula: fm.Formula, name: str = "phi") -> Activation:
    """Return the activation of a formula: the built-in one where the formula is just that."""
    if isinstance(formula, fm.Apply) and formula.argument == fm.Z:
        return formula.function
    return Written(formula, name)
