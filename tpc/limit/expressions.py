"""Kernel recursions as a small graph of interned expressions.

An expression is a number that depends on a pair of inputs (x, x'), or on one input only. The
*cross* ones are functions of the pair; the others belong to a single input and enter cross ones
through :class:`At`, at x (side 0) or at x' (side 1). Equal expressions are the same object, so a
recursion is a graph in which everything is computed once.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Constant
from tpc.limit.order import place, rank

if TYPE_CHECKING:
    from tpc.ops.activations import Activation

_counter = itertools.count()
_interned: dict[Hashable, Expression] = {}
ZERO = Constant.of(0)
ONE = Constant.of(1)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Expression:
    """Base: ``cross`` says whether it depends on the pair, ``id`` orders by creation."""

    cross: bool
    id: int = field(default_factory=lambda: next(_counter), init=False)

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions that this one is computed from, each created before it."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Number(Expression):
    """An exact constant."""

    value: Constant


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of an input: ``place`` fixes some axes (0-based) and sums over the others (None).

    ``tokens``: an integer input, as the indicator vectors of its entries.
    """

    name: str
    place: tuple[int | None, ...]
    tokens: bool = False

    def __str__(self) -> str:
        if all(axis is None for axis in self.place):
            return self.name
        inside = ", ".join(":" if axis is None else str(axis + 1) for axis in self.place)
        return f"{self.name}[{inside}]"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Gram(Expression):
    """``sum of left(x) * right(x')`` over the free axes of two slices of equal free axes.

    Of tokens: the number of places at which they are equal.
    """

    left: Slice
    right: Slice


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class At(Expression):
    """A single-input expression at x (``side`` 0) or x' (``side`` 1)."""

    side: int
    inner: Expression

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return (self.inner,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Sum(Expression):
    """``constant + sum of coefficient * term``."""

    constant: Constant
    terms: tuple[tuple[Expression, Constant], ...]

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return tuple(term for term, _ in self.terms)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Product(Expression):
    """The product of two or more expressions."""

    factors: tuple[Expression, ...]

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return self.factors


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Dual(Expression):
    """``E[phi(u) psi(v)]``; (u, v) has variances ``left``, ``right`` and covariance ``k``."""

    phi: Activation
    psi: Activation
    left: Expression
    k: Expression
    right: Expression

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return (self.left, self.k, self.right)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Average(Expression):
    """``E[phi(u)]`` for a Gaussian u with variance ``q``."""

    phi: Activation
    q: Expression

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return (self.q,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Value(Expression):
    """An entry of an input, at one sample."""

    place: Slice


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Applied(Expression):
    """``phi(e)`` for a number e of one sample."""

    phi: Activation
    inner: Expression

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return (self.inner,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Root(Expression):
    """``e^exponent`` for a number e of one sample."""

    inner: Expression
    exponent: Fraction

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return (self.inner,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Share(Expression):
    """``m_i exp(s_i) / sum_j m_j exp(s_j)`` at i = ``position``; no ``masks`` if all are one."""

    position: int
    scores: tuple[Expression, ...]
    masks: tuple[Expression, ...]

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions below."""
        return (*self.scores, *self.masks)


def intern(kind: type[Expression], cross: bool, *parts: Any) -> Expression:
    """Return the one expression of a kind with these parts; those of cross ones are lifted."""
    if cross and kind is not At:
        parts = tuple(map(_lifted, parts))
    key = (kind, cross, *parts)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = kind(cross, *parts)
        place(found, parts)
    return found


def _lifted(part: Any) -> Any:
    """Return an expression that is the same for all samples as one of pairs, others as is."""
    if isinstance(part, Expression):
        return part if part.cross else at(0, part)
    if isinstance(part, tuple) and part and isinstance(part[0], (Expression, tuple)):
        return tuple(map(_lifted, part))
    return part


def number(value: Constant | int) -> Expression:
    """Return a constant."""
    return intern(Number, False, Constant.of(value))


def is_zero(expression: Expression) -> bool:
    """Whether an expression is the number zero."""
    return isinstance(expression, Number) and expression.value.is_zero


def gram(left: Slice, right: Slice, cross: bool) -> Expression:
    """Return the inner product of two slices of inputs."""
    return intern(Gram, cross, left, right)


def at(side: int, inner: Expression) -> Expression:
    """Return a single-input expression at x or at x'; numbers are the same everywhere."""
    if isinstance(inner, Number):
        return inner
    return intern(At, True, side, inner)


def _linear(e: Expression) -> tuple[Constant, tuple[tuple[Expression, Constant], ...]]:
    if isinstance(e, Number):
        return e.value, ()
    if isinstance(e, Sum):
        return e.constant, e.terms
    if isinstance(e, At) and isinstance(e.inner, Sum):
        constant, terms = _linear(e.inner)
        if constant.is_zero and len(terms) == 1:
            return ZERO, ((at(e.side, terms[0][0]), terms[0][1]),)
    return ZERO, ((e, ONE),)


def _from_linear(constant: Constant, terms: dict[Expression, Constant]) -> Expression:
    kept = tuple((e, c) for e, c in terms.items() if not c.is_zero)
    if not kept:
        return number(constant)
    if constant.is_zero and len(kept) == 1 and kept[0][1].is_one:
        return kept[0][0]
    ordered = tuple(sorted(kept, key=lambda pair: rank(pair[0])))
    return intern(Sum, any(e.cross for e, _ in ordered), constant, ordered)


def add(*expressions: Expression) -> Expression:
    """Return the sum; like terms and constants are collected, sums of few terms are merged.

    A sum of several terms stays one term of a longer sum: recursions keep their shape.
    """
    constant = ZERO
    terms: dict[Expression, Constant] = {}
    for e in expressions:
        offset, addends = _linear(e)
        if len(addends) > 1:
            offset, addends = ZERO, ((e, ONE),)
        constant = constant + offset
        for term, weight in addends:
            terms[term] = terms.get(term, ZERO) + weight
    if constant.is_zero and len(terms) == 1:
        ((only, weight),) = terms.items()
        return scale(only, weight)
    return _from_linear(constant, terms)


def scale(e: Expression, factor: Constant) -> Expression:
    """Return ``factor * e``."""
    if factor.is_one:
        return e
    constant, terms = _linear(e)
    return _from_linear(constant * factor, {term: weight * factor for term, weight in terms})


def multiply(*expressions: Expression) -> Expression:
    """Return the product; numbers are taken out, but stay inside of factors that are products.

    So the numbers of a deep recursion stay in its layers instead of growing with the depth.
    """
    factor = ONE
    kept: list[Expression] = []
    for e in expressions:
        constant, terms = _linear(e)
        if not terms:
            factor = factor * constant
        elif constant.is_zero and len(terms) == 1 and not isinstance(terms[0][0], Product):
            factor = factor * terms[0][1]
            kept.append(terms[0][0])
        else:
            kept.append(e)
    if factor.is_zero or not kept:
        return number(factor)
    if len(kept) == 1:
        return scale(kept[0], factor)
    ordered = tuple(sorted(kept, key=rank))
    product: Expression = intern(Product, any(e.cross for e in ordered), ordered)
    return scale(product, factor)


def dual(
    phi: Activation, psi: Activation, left: Expression, k: Expression, right: Expression
) -> Expression:
    """Return ``E[phi(u) psi(v)]``; independent u and v factorise."""
    if is_zero(k):
        return multiply(average(phi, left), average(psi, right))
    if phi.is_identity and psi.is_identity:
        return k
    if k is left and k is right and phi != psi:
        if {phi.parity, psi.parity} == {"odd", "even"}:
            return number(0)
    elif {phi.parity, psi.parity} == {"odd", "even"}:
        return number(0)
    cross = left.cross or k.cross or right.cross
    return intern(Dual, cross, phi, psi, left, k, right)


def average(phi: Activation, q: Expression) -> Expression:
    """Return ``E[phi(u)]``; zero for odd phi, a number for others at a variance of zero."""
    if phi.parity == "odd":
        return number(0)
    if isinstance(q, At):
        return at(q.side, average(phi, q.inner))
    level = phi.value_at_zero if is_zero(q) else phi.constant_value
    if level is not None:
        return number(level)
    return intern(Average, q.cross, phi, q)


def value(place: Slice) -> Expression:
    """Return an entry of an input."""
    return intern(Value, False, place)


def applied(phi: Activation, e: Expression) -> Expression:
    """Return ``phi(e)`` of a single-input expression."""
    if phi.is_identity:
        return e
    level = phi.constant_value
    found: Expression = number(level) if level is not None else intern(Applied, False, phi, e)
    return found


def root(e: Expression, exponent: Fraction) -> Expression:
    """Return ``e^exponent`` of a single-input expression; numbers fold."""
    if isinstance(e, Number) and e.value.sign > 0:
        return number(e.value**exponent)
    constant, terms = _linear(e)
    if constant.is_zero and len(terms) == 1 and terms[0][1].sign > 0 and not terms[0][1].is_one:
        return scale(root(terms[0][0], exponent), terms[0][1] ** exponent)
    return intern(Root, False, e, exponent)


def share(
    position: int, scores: tuple[Expression, ...], masks: tuple[Expression, ...] = ()
) -> Expression:
    """Return a softmax weight; uniform where all scores are the same."""
    kept = [i for i in range(len(scores)) if not (masks and is_zero(masks[i]))]
    if position not in kept:
        return number(0)
    constant = not masks or all(isinstance(m, Number) for m in masks)
    if constant and len({scores[i] for i in kept}) == 1:
        return number(ONE / len(kept))
    if constant:
        scores, masks = tuple(scores[i] for i in kept), ()
        position = kept.index(position)
    return intern(Share, False, position, scores, masks)


def walk(roots: Iterable[Expression]) -> Iterator[Expression]:
    """Yield everything below ``roots`` once, operands first, without recursion."""
    seen: set[int] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            e, done = stack.pop()
            if done:
                yield e
            elif e.id not in seen:
                seen.add(e.id)
                stack.append((e, True))
                stack.extend((operand, False) for operand in reversed(e.operands))


def total(expressions: Iterable[Expression]) -> Expression:
    """Return the sum of many."""
    return add(*expressions)
