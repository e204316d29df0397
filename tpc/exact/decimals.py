"""Numerical values of exact constants, in decimal arithmetic of fixed precision."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.exact.constant import Atom, Constant

_DIGITS = 50
# without traps: what is too large becomes infinite instead of raising
_CONTEXT = Context(prec=_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


def to_float(number: Constant) -> float:
    """Return the nearest float; infinite or zero outside the range of floats."""
    return float(_evaluate(number))


def sign_of_sum(terms: Iterable[Constant]) -> int:
    """Return the sign of a sum of unlike terms, by its value to 50 digits.

    A sum that cancels to 40 digits is taken as positive: its sign does not show, and the form
    stays well defined.
    """
    values = [_evaluate(term) for term in terms]
    total = Decimal(0)
    for value in values:
        total = _CONTEXT.add(total, value)
    largest = max(abs(value) for value in values)
    if total.is_nan() or abs(total) <= _CONTEXT.scaleb(largest, -40):
        return 1
    return -1 if total < 0 else 1


def content(rationals: Iterable[Fraction]) -> Fraction:
    """Return the positive rational that leaves coprime integers when it divides all of them."""
    numbers = list(rationals)
    return Fraction(gcd(*(q.numerator for q in numbers)), lcm(*(q.denominator for q in numbers)))


def _evaluate(number: Constant) -> Decimal:
    result = _ratio(number.rational)
    for atom, exponent in number.factors:
        result = _CONTEXT.multiply(result, _power(_atom(atom), exponent))
    return result


def _ratio(value: Fraction) -> Decimal:
    return _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _power(base: Decimal, exponent: Fraction) -> Decimal:
    if exponent == Fraction(1, 2):
        return _CONTEXT.sqrt(base)
    return _CONTEXT.power(base, _ratio(exponent))


def _atom(atom: Atom) -> Decimal:
    if isinstance(atom, int):
        return Decimal(atom)
    match atom.kind:
        case "pi":
            return _PI
        case "exp":
            return _CONTEXT.exp(_evaluate(atom.args[0]))
        case "log":
            return _CONTEXT.ln(_evaluate(atom.args[0]))
    total = Decimal(0)
    for term in atom.args:
        total = _CONTEXT.add(total, _evaluate(term))
    return total
