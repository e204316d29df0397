"""Interval arithmetic on formulas: where they are defined, and where they are not smooth."""

from __future__ import annotations

import math
from fractions import Fraction

from tpc.ops.activations.formula.calculus import polynomial
from tpc.ops.activations.formula.nodes import (
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
from tpc.ops.activations.formula.roots import real_roots

Interval = tuple[float, float]
LINE: Interval = (-math.inf, math.inf)


def image(formula: Formula, domain: Interval = LINE) -> Interval:
    """Return an interval that contains the formula's values on ``domain``."""
    match formula:
        case Variable():
            return domain
        case Number(value):
            return (value.value, value.value)
        case Sum(constant, terms):
            low = high = constant.value
            for term, weight in terms:
                part = _scaled(image(term, domain), weight.value)
                low, high = low + part[0], high + part[1]
            return (low, high)
        case Product(factors):
            result: Interval = (1.0, 1.0)
            for base, exponent in factors:
                result = _times(result, _power(image(base, domain), exponent))
            return result
        case Apply(function, argument):
            return function.interval(*image(argument, domain))
        case Where(test, _, then, otherwise):
            a = image(then, narrowed(domain, test, True))
            b = image(otherwise, narrowed(domain, test, False))
            return (min(a[0], b[0]), max(a[1], b[1]))
        case Extremum(kind, left, right):
            a, b = image(left, domain), image(right, domain)
            join = min if kind == "min" else max
            return (join(a[0], b[0]), join(a[1], b[1]))
    return LINE


def _scaled(interval: Interval, factor: float) -> Interval:
    a, b = interval[0] * factor, interval[1] * factor
    return (min(a, b), max(a, b))


def _times(a: Interval, b: Interval) -> Interval:
    products = [0.0 if x == 0 or y == 0 else x * y for x in a for y in b]
    return (min(products), max(products))


def _raise(x: float, exponent: float) -> float:
    try:
        return math.inf if x == 0 and exponent < 0 else x**exponent
    except OverflowError:
        return math.inf


def _power(interval: Interval, exponent: Fraction) -> Interval:
    low, high = interval
    if exponent.denominator == 1 and exponent.numerator % 2 == 0:
        inner = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        low, high = inner, max(abs(low), abs(high))
    elif exponent.denominator != 1:
        low, high = max(low, 0.0), max(high, 0.0)
    elif low < 0:
        if exponent < 0 and high >= 0:
            return LINE
        ends = sorted(
            -_raise(-x, float(exponent)) if x < 0 else _raise(x, float(exponent))
            for x in (low, high)
        )
        return (ends[0], ends[1])
    ends = sorted((_raise(low, float(exponent)), _raise(high, float(exponent))))
    return (ends[0], ends[1])


def narrowed(domain: Interval, test: Formula, holds: bool) -> Interval:
    """Return the part of ``domain`` where an affine test holds (or does not)."""
    coefficients = polynomial(test)
    if coefficients is None or len(coefficients) != 2:
        return domain
    root = -coefficients[0].value / coefficients[1].value
    above = (coefficients[1].sign > 0) == holds
    return (max(domain[0], root), domain[1]) if above else (domain[0], min(domain[1], root))


def undefined(formula: Formula, domain: Interval = LINE) -> str | None:
    """Return why the formula may be undefined or infinite on ``domain``, or None."""
    if isinstance(formula, Where):
        return (
            undefined(formula.test, domain)
            or _undefined_inside(formula.then, narrowed(domain, formula.test, True))
            or _undefined_inside(formula.otherwise, narrowed(domain, formula.test, False))
        )
    if isinstance(formula, Product):
        for base, exponent in formula.factors:
            low, high = image(base, domain)
            if exponent < 0 and low <= 0 <= high:
                return f"it divides by `{base}`, which may be zero"
            if exponent.denominator != 1 and low < 0:
                return f"it takes a root of `{base}`, which may be negative"
    if isinstance(formula, Apply):
        reason = formula.function.undefined_on(*image(formula.argument, domain))
        if reason is not None:
            return f"it takes {reason} `{formula.argument}`"
    for child in formula.children:
        reason = undefined(child, domain)
        if reason is not None:
            return reason
    return None


def _undefined_inside(formula: Formula, domain: Interval) -> str | None:
    return undefined(formula, domain) if domain[0] < domain[1] else None


def kinks(formula: Formula) -> tuple[float, ...]:
    """Return the points where the formula may fail to be smooth, sorted.

    Roots of affine and polynomial conditions are found as such; those of other conditions by a
    scan of [-64, 64] for changes of sign.
    """
    found: set[float] = set()
    stack = [formula]
    while stack:
        node = stack.pop()
        if isinstance(node, Where):
            found.update(_roots(node.test))
        elif isinstance(node, Extremum):
            found.update(_roots(subtract(node.left, node.right)))
        elif isinstance(node, Apply):
            for point in node.function.kinks():
                shifted = subtract(node.argument, Number(_exact(point)))
                found.update(_roots(shifted))
        elif isinstance(node, Product):
            for base, exponent in node.factors:
                if exponent.denominator != 1:
                    found.update(_roots(base))
        stack.extend(node.children)
    return tuple(sorted(found))


def _exact(point: float):  # type: ignore[no-untyped-def]
    from tpc.exact import Constant

    return Constant.of(Fraction(point))


def _roots(formula: Formula) -> tuple[float, ...]:
    coefficients = polynomial(formula)
    if coefficients is None:
        return _scan(formula)
    if len(coefficients) == 2:
        return (0.0 - coefficients[0].value / coefficients[1].value,)
    if len(coefficients) < 2:
        return ()
    return real_roots(coefficients)


def _scan(formula: Formula) -> tuple[float, ...]:
    import numpy as np
    from scipy.optimize import brentq

    from tpc.ops.activations.formula.evaluation import evaluate

    grid = np.linspace(-64.0, 64.0, 4097)
    values = evaluate(formula, grid)
    zero = np.pad(values == 0, 1)
    zeros = [float(x) for x in grid[zero[1:-1] & ~(zero[:-2] & zero[2:])]]  # ends of plateaus
    changes = np.flatnonzero(np.signbit(values[:-1]) != np.signbit(values[1:]))

    def at(x: float) -> float:
        return float(evaluate(formula, np.asarray(x)))

    ends = [(float(grid[i]), float(grid[i + 1])) for i in changes]
    return tuple(zeros + [brentq(at, a, b, xtol=1e-15) for a, b in ends if at(a) * at(b) < 0])
