"""How a formula behaves at minus and plus infinity: exact leading terms, or upper bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tpc.exact import Constant
from tpc.ops.activations.formula.intervals import image
from tpc.ops.activations.formula.nodes import (
    ONE,
    ZERO,
    Apply,
    Extremum,
    Formula,
    Number,
    Product,
    Sum,
    Variable,
    Where,
    subtract,
)

_SLOW = Fraction(1, 64)  # a logarithm grows more slowly than this power
_BEYOND = Fraction(10**6)  # the order of exp(exp(z)): beyond every power


@dataclass(frozen=True)
class Tail:
    """``|f(z)| <= C |z|^degree exp(speed |z|^order)`` far out on one side.

    ``sign`` is f's sign there where the bound is sharp to leading logarithmic order, else None.
    ``size`` is the coefficient C (signed) where ``f(z) / (|z|^degree exp(...))`` tends to it.
    """

    degree: Fraction = Fraction(0)
    speed: Constant = ZERO
    order: Fraction = Fraction(0)
    size: Constant | None = None
    sign: int | None = None

    @property
    def rank(self) -> tuple[float, float, float, Fraction]:
        """Key by which a faster growing tail is larger."""
        sign = self.speed.sign
        return (sign, sign * float(self.order), self.speed.value, self.degree)

    @property
    def explosive(self) -> bool:
        """Whether ``E f(z)^2`` may be infinite for some Gaussian variance."""
        return self.speed.sign > 0 and self.order >= 2

    @property
    def unbounded(self) -> bool:
        """Whether the bound tends to infinity."""
        return self.speed.sign > 0 or (self.speed.is_zero and self.degree > 0)

    @property
    def vanishing(self) -> bool:
        """Whether the bound tends to zero."""
        return self.speed.sign < 0 or (self.speed.is_zero and self.degree < 0)


UNKNOWN = Tail(speed=ONE, order=_BEYOND)
BOUNDED = Tail()


def _limit(value: Constant) -> Tail:
    return BOUNDED if value.is_zero else Tail(size=value, sign=value.sign)


@lru_cache(maxsize=4096)
def tail(formula: Formula, side: int) -> Tail:
    """Return the tail at plus (``side = 1``) or minus (``side = -1``) infinity."""
    match formula:
        case Variable():
            return Tail(degree=Fraction(1), size=Constant.of(side), sign=side)
        case Number(value):
            return _limit(value)
        case Sum(constant, terms):
            parts = [_times(_limit(w), tail(t, side)) for t, w in terms]
            return _sum([*parts, *([] if constant.is_zero else [_limit(constant)])])
        case Product(factors):
            result = Tail(size=ONE, sign=1)
            for base, exponent in factors:
                result = _times(result, _power(base, exponent, side))
            return result
        case Apply(function, argument):
            return function.tail(tail(argument, side))
        case Where(test, _, then, otherwise):
            return _where(tail(test, side), tail(then, side), tail(otherwise, side))
        case Extremum(kind, left, right):
            larger, smaller = (left, right) if kind == "max" else (right, left)
            gap = tail(subtract(larger, smaller), side)
            return _where(gap, tail(left, side), tail(right, side))
    raise TypeError(f"not a formula: {formula!r}")


def _where(test: Tail, then: Tail, otherwise: Tail) -> Tail:
    if test.sign is not None:
        return then if test.sign > 0 else otherwise
    larger = max(then, otherwise, key=lambda t: t.rank)
    return Tail(larger.degree, larger.speed, larger.order)


def _sum(tails: Iterable[Tail]) -> Tail:
    ordered = sorted(tails, key=lambda t: t.rank, reverse=True)
    top = [t for t in ordered if t.rank == ordered[0].rank]
    bound = Tail(top[0].degree, top[0].speed, top[0].order)
    if len(top) == 1:
        return top[0]
    if any(t.size is None for t in top):
        signs = {t.sign for t in top}
        return bound if len(signs) > 1 else Tail(*_growth(bound), sign=signs.pop())
    total = ZERO
    for t in top:
        total = total + (t.size or ZERO)
    return bound if total.is_zero else Tail(*_growth(bound), size=total, sign=total.sign)


def _growth(t: Tail) -> tuple[Fraction, Constant, Fraction]:
    return (t.degree, t.speed, t.order)


def _times(a: Tail, b: Tail) -> Tail:
    size = None if a.size is None or b.size is None else a.size * b.size
    sign = None if a.sign is None or b.sign is None else a.sign * b.sign
    degree = a.degree + b.degree
    if a.order == b.order:
        speed = a.speed + b.speed
        return Tail(degree, speed, a.order if not speed.is_zero else Fraction(0), size, sign)
    top, low = (a, b) if a.order > b.order else (b, a)
    return Tail(degree, top.speed, top.order, size if low.speed.is_zero else None, sign)


def _power(base: Formula, exponent: Fraction, side: int) -> Tail:
    t = tail(base, side)
    if exponent < 0 and t.sign is None:
        low, high = image(base)
        return BOUNDED if low > 0 or high < 0 else UNKNOWN
    whole = exponent.denominator == 1
    sign = 1 if (whole and exponent.numerator % 2 == 0) or t.sign == 1 else t.sign
    size = t.size**exponent if t.size is not None and (whole or t.size.sign > 0) else None
    return Tail(t.degree * exponent, t.speed * exponent, t.order, size, sign)


def exponential(inner: Tail) -> Tail:
    """Return the tail of ``exp(g)`` from that of g."""
    if inner.vanishing:
        return Tail(size=ONE, sign=1)
    if not inner.unbounded:
        limit = None if inner.size is None else Constant.exp(inner.size)
        return Tail(size=limit, sign=1)
    if inner.speed.sign > 0:
        return Tail(speed=Constant.of(-1), order=_BEYOND, sign=1) if inner.sign == -1 else UNKNOWN
    if inner.size is None:
        return BOUNDED if inner.sign == -1 else Tail(speed=ONE, order=inner.degree)
    return Tail(speed=inner.size, order=inner.degree, sign=1)


def logarithm(inner: Tail) -> Tail:
    """Return a bound for the tail of ``log(g)``."""
    return Tail(degree=inner.order if inner.order else _SLOW)


def polynomial_growth(
    inner: Tail, below: tuple[int, int] | None, above: tuple[int, int] | None
) -> Tail:
    """Return the tail of ``h(g)`` for an h with known asymptotes.

    ``below`` and ``above`` are ``(degree, coefficient)`` with ``h(u) ~ coefficient |u|^degree`` at
    minus and plus infinity; None says only that h is bounded by its largest degree there.
    """
    known = [pair for pair in (below, above) if pair is not None]
    top = Fraction(max((degree for degree, _ in known), default=0))
    if not inner.unbounded:
        return BOUNDED
    branch = None if inner.sign is None else (above if inner.sign > 0 else below)
    if branch is None:
        return Tail(inner.degree * top, inner.speed * top, inner.order if top else Fraction(0))
    degree, coefficient = Fraction(branch[0]), Constant.of(branch[1])
    if degree == 0:
        return _limit(coefficient)
    size = None if inner.size is None else coefficient * (inner.size * inner.size.sign) ** degree
    return Tail(inner.degree * degree, inner.speed * degree, inner.order, size, coefficient.sign)
