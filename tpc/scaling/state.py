"""The abstract value of a node: its size at initialisation, and what training changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tpc.scaling.outer import NO_MATRIX, Outer
from tpc.scaling.terms import ZERO, Terms

Value: TypeAlias = Terms | Outer


@dataclass(frozen=True, slots=True, eq=False)
class Size:
    """A value as (at initialisation) + (change by training), compared by identity.

    Scalars and vectors are `Terms` (a scalar has the trivial character), matrices `Outer`. Finite
    axes only index: a size holds for the largest of the entries along them.
    """

    init: Value
    change: Value

    @property
    def total(self) -> Value:
        """Both together: the value at any later time."""
        return join(self.init, self.change)

    @property
    def is_matrix(self) -> bool:
        """Whether the value has two width axes."""
        return isinstance(self.init, Outer)


def join(x: Value, y: Value) -> Value:
    """Return the sum of two values of the same sort."""
    if isinstance(x, Terms) and isinstance(y, Terms):
        return x | y
    assert isinstance(x, Outer)
    assert isinstance(y, Outer)
    return x | y


def nothing(sort: int) -> Value:
    """Return the exact zero with this many width axes."""
    return NO_MATRIX if sort > 1 else ZERO
