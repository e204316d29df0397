"""Matrices of the recursion: an initial weight, and the outer products that training adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.derivation.symbols import Expression, Factor, Label, Labels, Symbol, relabelled
from tpc.exact import Constant
from tpc.feature.matrix import Outer, aligned
from tpc.feature.value import Exponent, Value, plus

if TYPE_CHECKING:
    from tpc.scaling.characters import Coset


@dataclass(frozen=True)
class Start:
    """``constant factor n^power W``: entries of the initial W are of size ``n^(power - 1/2)``."""

    weight: str
    constant: Constant
    power: Fraction
    signs: Coset
    transposed: bool = False
    factor: Factor | None = None


@dataclass(frozen=True)
class Step:
    """``constant n^power`` times the sum over ``bound`` labels of ``left right^T``.

    ``sample`` is what the engine has in its place: the powers of the width and the signs.
    """

    left: Expression
    right: Expression
    constant: Constant
    bound: tuple[Label, ...]
    sample: Outer

    def on(self, x: Value) -> Exponent:
        """Return the power of the product with a vector, None where it vanishes by signs."""
        if not aligned(self.sample.right, x):
            return None
        inner = plus(self.sample.right.power, x.power, 1)
        return plus(inner, self.sample.left.power, self.sample.power)


@dataclass(frozen=True)
class Grown:
    """``constant n^power`` times entries that are functions of a coordinate and of a copy."""

    symbol: Symbol
    constant: Constant
    power: Fraction
    transposed: bool = False

    def on(self, x: Value) -> Exponent:
        """Return the power of the product with a vector."""
        return plus(self.power, x.power, 1)


@dataclass(frozen=True)
class Sheet:
    """A sum of such terms."""

    terms: tuple[Start | Step | Grown, ...] = ()

    def __add__(self, other: Sheet) -> Sheet:
        return Sheet(self.terms + other.terms)

    def scaled(self, constant: Constant, power: Fraction | int) -> Sheet:
        """Return ``constant n^power`` times the matrix."""
        return Sheet(tuple(_scaled(term, constant, power) for term in self.terms))

    @property
    def transposed(self) -> Sheet:
        """The matrix with rows and columns exchanged."""
        return Sheet(tuple(_transposed(term) for term in self.terms))

    def by(self, factor: Factor) -> Sheet:
        """Return a sum of outer products times a scalar."""
        steps = [term for term in self.terms if isinstance(term, Step)]
        return Sheet(tuple(replace(term, left=term.left.by(factor)) for term in steps))

    def at(self, labels: Labels, *bound: Label, factor: Factor | None = None) -> Sheet:
        """Return a sum of outer products at other labels, summed, times a scalar."""
        found = []
        for term in self.terms:
            assert isinstance(term, Step)
            left, right = relabelled(term.left, labels), relabelled(term.right, labels)
            left = left if factor is None else left.by(factor)
            found.append(replace(term, left=left, right=right, bound=(*bound, *term.bound)))
        return Sheet(tuple(found))


def _scaled(
    term: Start | Step | Grown, constant: Constant, power: Fraction | int
) -> Start | Step | Grown:
    if not isinstance(term, Step):
        return replace(term, constant=term.constant * constant, power=term.power + power)
    sample = replace(term.sample, power=term.sample.power + power)
    return replace(term, constant=term.constant * constant, sample=sample)


def _transposed(term: Start | Step | Grown) -> Start | Step | Grown:
    if not isinstance(term, Step):
        return replace(term, transposed=not term.transposed)
    sample = replace(term.sample, left=term.sample.right, right=term.sample.left)
    return replace(term, left=term.right, right=term.left, sample=sample)
