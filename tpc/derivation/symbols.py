"""Expressions of the recursion: sums of products of Z's, scalars, data and expectations.

An expression is a sum of terms ``constant * sum over bound labels of a product of factors``. Axes
of finite size, samples and past steps are labels; a width axis has none: Z stands for a coordinate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from tpc.exact import Constant

if TYPE_CHECKING:
    from tpc.ops.activations import Activation

ONE = Constant.of(1)
_COUNT = itertools.count()


@dataclass(frozen=True)
class Label:
    """What runs over a finite axis, over the samples of a batch, or over earlier steps.

    Labels with a ``name`` are printed as such; others get a letter where they are printed.
    """

    kind: Literal["axis", "sample", "step"]
    number: int = -1
    name: str = ""
    bound: str = ""


def fresh(kind: Literal["axis", "sample"]) -> Label:
    """Return a label that occurs nowhere else."""
    return Label(kind, next(_COUNT))


SAMPLE = Label("sample", name="i")
OTHER = Label("sample", name="j")
NOW = Label("step", name="t")
NEXT = Label("step", name="t+1")
PREVIOUS = Label("step", name="t-1")
PAST = Label("step", name="s", bound="s < t")
PAST_OR_NOW = Label("step", name="s", bound="s <= t")
S = Label("step", name="s")


def step(number: int) -> Label:
    """Return the label of a definite step."""
    return Label("step", name=str(number))


Labels = Mapping[Label, Label]


@dataclass(frozen=True)
class Symbol:
    """A value of the program at a step and a sample: its Z where ``kind`` is "Z".

    A "copy" is the Z of another coordinate, independent of the first.
    """

    name: str
    kind: Literal["Z", "copy", "scalar", "data", "number"]
    step: Label | None = None
    sample: Label | None = None
    axes: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Image:
    """The hat or dot part of Z of an initial weight, or its transpose, on a vector."""

    part: Literal["hat", "dot"]
    weight: str
    transposed: bool
    argument: Symbol


@dataclass(frozen=True)
class Applied:
    """A nonlinearity of an expression."""

    function: Activation
    inside: Expression


@dataclass(frozen=True)
class Power:
    """A power of an expression; exponent one puts a sum into brackets."""

    base: Expression
    exponent: Fraction


@dataclass(frozen=True)
class Mean:
    """The expectation of an expression."""

    inside: Expression


@dataclass(frozen=True)
class CopyMean:
    """The expectation over copies alone; what belongs to the first coordinate is held."""

    inside: Expression


@dataclass(frozen=True)
class Slope:
    """The expected derivative of a Z with respect to a hat, scalars held constant."""

    of: Symbol
    by: Image


@dataclass(frozen=True)
class Entry:
    """An entry of a function of whole tensors, as softmax: ``name(arguments)[axes]``."""

    name: str
    arguments: tuple[Expression, ...]
    axes: tuple[Label, ...] = ()


Factor = Symbol | Image | Applied | Power | Mean | CopyMean | Slope | Entry


@dataclass(frozen=True)
class Term:
    """``constant * sum over the bound labels of the product of the factors``."""

    constant: Constant
    factors: tuple[Factor, ...] = ()
    bound: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Expression:
    """A sum of terms; none is zero."""

    terms: tuple[Term, ...] = ()

    @property
    def is_zero(self) -> bool:
        """Whether nothing is left."""
        return not self.terms

    def __add__(self, other: Expression) -> Expression:
        found: dict[tuple[object, ...], Term] = {}
        for term in (*self.terms, *other.terms):
            key = (frozenset(term.factors), len(term.factors), term.bound)
            if key in found:
                term = replace(found[key], constant=found[key].constant + term.constant)
            found[key] = term
        return Expression(tuple(t for t in found.values() if not t.constant.is_zero))

    def scaled(self, constant: Constant) -> Expression:
        """Return a multiple."""
        if constant.is_zero:
            return ZERO
        return Expression(tuple(replace(t, constant=t.constant * constant) for t in self.terms))

    def by(self, factor: Factor) -> Expression:
        """Return the product with one factor, term by term."""
        return Expression(tuple(replace(t, factors=(factor, *t.factors)) for t in self.terms))

    def summed(self, *labels: Label) -> Expression:
        """Return the sum over labels."""
        return Expression(tuple(replace(t, bound=(*labels, *t.bound)) for t in self.terms))


ZERO = Expression()


def of(*factors: Factor) -> Expression:
    """Return a product of factors."""
    return Expression((Term(ONE, factors),))


def number(value: Constant) -> Expression:
    """Return a constant."""
    return ZERO if value.is_zero else Expression((Term(value),))


def times(x: Expression, y: Expression) -> Expression:
    """Return a product; sums of several terms stay in brackets."""
    if x.is_zero or y.is_zero:
        return ZERO
    left, right = _single(x), _single(y)
    if set(left.bound) & set(right.bound):
        right = renewed(right)
    return Expression(
        (
            Term(
                left.constant * right.constant,
                left.factors + right.factors,
                left.bound + right.bound,
            ),
        )
    )


def _single(x: Expression) -> Term:
    return x.terms[0] if len(x.terms) == 1 else Term(ONE, (Power(x, Fraction(1)),))


def renewed(term: Term) -> Term:
    """Return a term with bound labels of its own (earlier steps keep theirs)."""
    labels = {
        old: fresh("sample" if old.kind == "sample" else "axis")
        for old in term.bound
        if not old.name
    }
    (same,) = relabelled(Expression((term,)), labels).terms
    return replace(same, bound=tuple(labels.get(b, b) for b in term.bound))


def mean(x: Expression) -> Expression:
    """Return the expectation, with what is not random taken out of it."""
    found = ZERO
    for term in x.terms:
        random = tuple(f for f in term.factors if is_random(f))
        rest = tuple(f for f in term.factors if not is_random(f))
        inner: tuple[Factor, ...] = (Mean(of(*random)),) if random else ()
        found = found + Expression((replace(term, factors=(*rest, *inner)),))
    return found


def is_random(factor: Factor) -> bool:
    """Whether a factor is a random variable (scalars and expectations are numbers)."""
    match factor:
        case Symbol(kind=kind):
            return kind in ("Z", "copy")
        case Image() | CopyMean():
            return True
        case Applied(inside=inside) | Power(base=inside):
            return any(is_random(f) for term in inside.terms for f in term.factors)
        case Entry(arguments=arguments):
            return any(is_random(f) for a in arguments for t in a.terms for f in t.factors)
    return False


def relabelled(x: Expression, labels: Labels) -> Expression:
    """Return an expression with free labels replaced."""
    return Expression(
        tuple(replace(t, factors=tuple(_factor(f, labels) for f in t.factors)) for t in x.terms)
    )


def _factor(factor: Factor, labels: Labels) -> Factor:
    match factor:
        case Symbol(step=at, sample=sample, axes=axes):
            return replace(
                factor,
                step=None if at is None else labels.get(at, at),
                sample=None if sample is None else labels.get(sample, sample),
                axes=tuple(labels.get(a, a) for a in axes),
            )
        case Image(argument=argument):
            return replace(factor, argument=_symbol(argument, labels))
        case Applied(inside=inside) | Mean(inside=inside) | CopyMean(inside=inside):
            return replace(factor, inside=relabelled(inside, labels))
        case Power(base=base):
            return replace(factor, base=relabelled(base, labels))
        case Slope(of=symbol, by=by):
            return Slope(
                _symbol(symbol, labels), replace(by, argument=_symbol(by.argument, labels))
            )
        case Entry(arguments=arguments, axes=axes):
            return replace(
                factor,
                arguments=tuple(relabelled(a, labels) for a in arguments),
                axes=tuple(labels.get(a, a) for a in axes),
            )


def _symbol(symbol: Symbol, labels: Labels) -> Symbol:
    found = _factor(symbol, labels)
    assert isinstance(found, Symbol)
    return found


def symbols(x: Expression) -> Iterator[Symbol]:
    """Yield the symbols in an expression, from left to right."""
    for term in x.terms:
        for factor in term.factors:
            match factor:
                case Symbol():
                    yield factor
                case Image(argument=argument):
                    yield argument
                case Applied(inside=inside) | Power(base=inside):
                    yield from symbols(inside)
                case Mean(inside=inside) | CopyMean(inside=inside):
                    yield from symbols(inside)
                case Slope(of=symbol, by=by):
                    yield symbol
                    yield by.argument
                case Entry(arguments=arguments):
                    for argument_ in arguments:
                        yield from symbols(argument_)


def copied(x: Expression) -> Expression:
    """Return the same of another coordinate."""
    return Expression(
        tuple(replace(t, factors=tuple(_copied(f) for f in t.factors)) for t in x.terms)
    )


def _copied(factor: Factor) -> Factor:
    match factor:
        case Symbol(kind="Z"):
            return replace(factor, kind="copy")
        case Applied(inside=inside):
            return replace(factor, inside=copied(inside))
        case Power(base=base):
            return replace(factor, base=copied(base))
        case Symbol() | Mean():
            return factor
    raise TypeError(f"no copy of {factor}")
