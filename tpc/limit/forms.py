"""What an entry of a value is in the limit: the answers that ops give.

An *entry* is a node with one position along every axis. Finite axes have as many positions as their
size; a width axis stands for n coordinates that are equal in law, so its position only tells blocks
apart (an axis of ``3 * n`` has three). An entry of a vector is a random variable Z, of a scalar a
number, which may be random too where the central limit theorem makes it so.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Coefficient, Constant

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.limit.expressions import Slice
    from tpc.ops.activations import Activation

Index = tuple[int, ...]
Entry = tuple["Node", Index]


@dataclass(frozen=True)
class Polynomial:
    """``sum of coefficient * product of entries``: no terms for zero, no entries for a constant."""

    terms: tuple[tuple[Coefficient, tuple[Entry, ...]], ...]


@dataclass(frozen=True)
class Data:
    """An entry of an input: a number that depends on the sample."""

    name: str
    place: Index


@dataclass(frozen=True)
class Gaussian:
    """Entries of an initial weight, summed against values: Gaussian with mean zero.

    ``sum_t W[t] a_t`` over ``terms``, pairs of a position in the weight and an entry (None for
    the weight's entry itself), or over all of an input where ``data`` is given (``weight`` then
    fixes the weight's positions outside of the contraction and has None inside). ``contracted``
    are the width axes of the weight that are summed over: ``W x`` and ``W^T y`` differ in it, and
    count as independent (the derivation checks whether they may). ``row``: the first axis of the
    weight is at the token that stands there (positions in ``terms`` have -1 for it).
    """

    param: str
    terms: tuple[tuple[Index, Entry | None], ...] = ()
    contracted: tuple[int, ...] = ()
    data: Slice | None = None
    weight: tuple[int | None, ...] = ()
    row: Slice | None = None


@dataclass(frozen=True)
class Function:
    """A nonlinearity of an entry."""

    activation: Activation
    entry: Entry


@dataclass(frozen=True)
class Mean:
    """``sum of coefficient * E[product of entries]``: a sum over the width, by the law of large
    numbers, whose coefficients count the coordinates. A number for each sample.
    """

    terms: tuple[tuple[Coefficient, tuple[Entry, ...]], ...]


@dataclass(frozen=True)
class Root:
    """``entry^exponent`` of a number; the exponent is negative or no integer."""

    entry: Entry
    exponent: Fraction


@dataclass(frozen=True)
class Share:
    """``m_i exp(s_i) / sum_j m_j exp(s_j)`` of numbers s; ``masks`` m is empty where all are kept.

    ``position`` is i.
    """

    position: int
    scores: tuple[Entry, ...]
    masks: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Mask:
    """One with probability ``keep``, else zero; each coordinate and each sample has its own."""

    keep: Constant


Number = Mean | Root | Share
Form = Polynomial | Data | Gaussian | Function | Mask | Number


def same(entry: Entry) -> Polynomial:
    """Return the form of a value that equals an entry."""
    return Polynomial(((Coefficient.of(1), (entry,)),))


def constant(coefficient: Coefficient) -> Polynomial:
    """Return the form of a constant."""
    return Polynomial(()) if coefficient.is_zero else Polynomial(((coefficient, ()),))
