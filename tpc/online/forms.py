"""Vectors of one sample as combinations of rows, and the stages that compute them.

With tables that are only looked up and vectors that are only combined linearly, every vector is

    value[i, ..] = sum_j factor * s_1[..] s_2[..] ... * row_j[..]

with numbers s and *bases*: rows that a table has at the sample's words, or vectors that are kept
in a buffer. Combinations without a sum (an outer product of numbers and a base) are never formed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tpc.exact import Coefficient

if TYPE_CHECKING:
    from tpc.ir.node import Node

Labels = tuple[int, ...]
ONE = Coefficient.of(1)


@dataclass(frozen=True)
class Gathered:
    """Rows of a weight at the words of an input, one for each entry of the input."""

    param: str
    ids: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Buffer:
    """Vectors that a stage has computed: ``shape`` are their finite axes."""

    number: int
    shape: tuple[int, ...]


Base = Gathered | Buffer


@dataclass(frozen=True)
class Term:
    """``factor * product of numbers * base``, an einsum over finite axes.

    ``numbers`` are scalar nodes with the labels of their axes, ``base`` has the labels ``at``, the
    result the labels ``out``; ``extents`` says how far each label runs.
    """

    base: Base
    at: Labels
    out: Labels
    extents: tuple[int, ...]
    numbers: tuple[tuple[Node, Labels], ...] = ()
    factor: Coefficient = ONE

    @property
    def summed(self) -> bool:
        """Whether an entry of the result is a sum over several rows."""
        return bool(set(range(len(self.extents))) - set(self.out))

    @property
    def plain(self) -> bool:
        """Whether this is the base itself."""
        return not self.numbers and self.factor.is_one and self.at == self.out

    def scaled(self, factor: Coefficient) -> Term:
        """Return the term times a constant."""
        return Term(self.base, self.at, self.out, self.extents, self.numbers, self.factor * factor)


def whole(base: Base) -> Term:
    """Return a base as a term."""
    labels = tuple(range(len(base.shape)))
    return Term(base, labels, labels, base.shape)


@dataclass(frozen=True)
class Form:
    """A sum of terms of equal ``shape`` (finite axes only)."""

    shape: tuple[int, ...]
    terms: tuple[Term, ...]

    @property
    def lazy(self) -> bool:
        """Whether every entry is a number times one base."""
        return len(self.terms) == 1 and not self.terms[0].summed

    @property
    def base(self) -> Base | None:
        """The base that this is, if it is one."""
        return self.terms[0].base if len(self.terms) == 1 and self.terms[0].plain else None


@dataclass(frozen=True)
class Numbers:
    """Stage: the entries of a scalar node, from those of its operands."""

    node: Node


@dataclass(frozen=True)
class Combine:
    """Stage: a buffer's vectors, from bases."""

    target: Buffer
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Dot:
    """Stage: inner products over the width; ``node`` is the contraction with its labels."""

    node: Node
    left: Base
    right: Base
    labels: tuple[Labels, Labels, Labels]


Stage = Numbers | Combine | Dot


@dataclass(frozen=True)
class Update:
    """What one look-up's gradient adds to a table: rows ``form`` at the words of ``ids``."""

    ids: str
    term: Term


@dataclass
class Plan:
    """Stages in order, and then the gradients of the tables."""

    loss: Node
    stages: list[Stage] = field(default_factory=list)
    updates: dict[str, list[Update]] = field(default_factory=dict)
    lookups: dict[str, list[str]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def look_up(self, param: str, ids: str, shape: tuple[int, ...]) -> None:
        """Note that the rows of a table are wanted at the words of an input."""
        self.shapes[ids] = shape
        names = self.lookups.setdefault(param, [])
        if ids not in names:
            names.append(ids)
