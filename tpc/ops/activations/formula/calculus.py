"""Exact calculus on formulas: substitution, derivative, polynomial form, parity."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from tpc.exact import Constant
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
    Z,
    add,
    apply,
    maximum,
    minimum,
    multiply,
    negate,
    number,
    power,
    scale,
    subtract,
    where,
)

MAX_DEGREE = 64
MAX_ADDENDS = 512


def rebuild(formula: Formula, change: Callable[[Formula], Formula]) -> Formula:
    """Return the formula with ``change`` applied to each child, in canonical form again."""
    match formula:
        case Sum(constant, terms):
            return add(Number(constant), *(scale(change(t), weight) for t, weight in terms))
        case Product(factors):
            return multiply(*(power(change(base), exponent) for base, exponent in factors))
        case Apply(function, argument):
            return apply(function, change(argument))
        case Where(test, strict, then, otherwise):
            return where(change(test), change(then), change(otherwise), strict=strict)
        case Extremum(kind, left, right):
            join = maximum if kind == "max" else minimum
            return join(change(left), change(right))
    return formula


@lru_cache(maxsize=4096)
def substitute(formula: Formula, argument: Formula) -> Formula:
    """Return the formula with ``argument`` in place of the variable."""
    if isinstance(argument, Variable):
        return formula
    if isinstance(formula, Variable):
        return argument
    return rebuild(formula, lambda child: substitute(child, argument))


@lru_cache(maxsize=4096)
def derivative(formula: Formula) -> Formula:
    """Return the derivative with respect to the variable.

    At a kink (``where``, ``min``, ``max``, ``relu``) it is the derivative of the branch that is
    taken there. Jumps contribute nothing: their delta functions are dropped.
    """
    match formula:
        case Variable():
            return number(1)
        case Sum(_, terms):
            return add(*(scale(derivative(term), weight) for term, weight in terms))
        case Product(factors):
            return add(*(_product_term(factors, i) for i in range(len(factors))))
        case Apply(function, argument):
            return multiply(apply(function.derivative(), argument), derivative(argument))
        case Where(test, strict, then, otherwise):
            return where(test, derivative(then), derivative(otherwise), strict=strict)
        case Extremum(kind, left, right):
            larger, smaller = (left, right) if kind == "max" else (right, left)
            test = subtract(larger, smaller)
            return where(test, derivative(left), derivative(right))
    return number(0)


def _product_term(factors: tuple[tuple[Formula, object], ...], i: int) -> Formula:
    base, exponent = factors[i]
    others = [power(b, e) for j, (b, e) in enumerate(factors) if j != i]  # type: ignore[arg-type]
    lowered = scale(power(base, exponent - 1), Constant.of(exponent))  # type: ignore[operator, arg-type]
    return multiply(lowered, derivative(base), *others)


Polynomial = tuple[Constant, ...]


def polynomial(formula: Formula) -> Polynomial | None:
    """Return the coefficients, lowest first, or None where the formula is not a polynomial.

    Polynomials of a degree above ``MAX_DEGREE`` are not expanded either.
    """
    match formula:
        case Number(value):
            return _trim((value,))
        case Variable():
            return (ZERO, ONE)
        case Sum(constant, terms):
            total: Polynomial = (constant,)
            for term, weight in terms:
                part = polynomial(term)
                if part is None:
                    return None
                total = _add(total, tuple(weight * c for c in part))
            return _trim(total)
        case Product(factors):
            product: Polynomial = (ONE,)
            for base, exponent in factors:
                part = polynomial(base)
                if part is None or exponent.denominator != 1 or exponent < 0:
                    return None
                for _ in range(int(exponent)):
                    if len(product) + len(part) > MAX_DEGREE + 2:
                        return None
                    product = _convolve(product, part)
            return _trim(product)
    return None


def _add(p: Polynomial, q: Polynomial) -> Polynomial:
    length = max(len(p), len(q))
    padded = [c + (ZERO,) * (length - len(c)) for c in (p, q)]
    return tuple(a + b for a, b in zip(*padded, strict=True))


def _convolve(p: Polynomial, q: Polynomial) -> Polynomial:
    out = [ZERO] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] = out[i + j] + a * b
    return tuple(out)


def _trim(p: Polynomial) -> Polynomial:
    last = len(p)
    while last > 1 and p[last - 1].is_zero:
        last -= 1
    return p[:last]


@lru_cache(maxsize=4096)
def almost(formula: Formula) -> Formula:
    """Return the formula with every comparison strict: equal almost everywhere."""
    if isinstance(formula, Where):
        branches = almost(formula.then), almost(formula.otherwise)
        return where(almost(formula.test), *branches, strict=True)
    return rebuild(formula, almost)


@lru_cache(maxsize=4096)
def expand(formula: Formula) -> Formula:
    """Return the formula with products of sums multiplied out (up to ``MAX_ADDENDS`` addends)."""
    formula = rebuild(formula, expand)
    if not isinstance(formula, Product):
        if not isinstance(formula, Sum):
            return formula
        return add(Number(formula.constant), *(scale(_spread(t), w) for t, w in formula.terms))
    return _spread(formula)


def _spread(formula: Formula) -> Formula:
    if not isinstance(formula, Product):
        return formula
    addends: list[Formula] = [number(1)]
    for base, exponent in formula.factors:
        whole = exponent.denominator == 1 and exponent > 0
        if not isinstance(base, Sum) or not whole:
            addends = [multiply(a, power(base, exponent)) for a in addends]
            continue
        parts = [Number(base.constant), *(scale(t, w) for t, w in base.terms)]
        if len(addends) * len(parts) ** int(exponent) > MAX_ADDENDS:
            return formula
        for _ in range(int(exponent)):
            addends = [multiply(a, part) for a in addends for part in parts]
    return add(*addends)


@lru_cache(maxsize=4096)
def parity(formula: Formula) -> int | None:
    """Return 1 for an even, -1 for an odd formula, None where neither is found.

    The answer is exact where it is given: the reflected formula has the same canonical form (up
    to the values on a set of measure zero). The zero formula counts as even.
    """
    coefficients = polynomial(formula)
    if coefficients is not None:
        if all(c.is_zero for c in coefficients[1::2]):
            return 1
        return -1 if all(c.is_zero for c in coefficients[0::2]) else None
    reflected = expand(almost(substitute(formula, negate(Z))))
    plain = expand(almost(formula))
    if reflected == plain:
        return 1
    if reflected == negate(plain):
        return -1
    return _structural_parity(formula)


def _structural_parity(formula: Formula) -> int | None:
    match formula:
        case Sum(constant, terms):
            found = {parity(term) for term, _ in terms} | ({1} if not constant.is_zero else set())
            return found.pop() if len(found) == 1 else None
        case Product(factors):
            sign = 1
            for base, exponent in factors:
                inner = parity(base)
                if inner is None or (inner < 0 and exponent.denominator != 1):
                    return None
                sign *= inner if exponent.numerator % 2 else 1
            return sign
        case Apply(_, argument) if parity(argument) == 1:
            return 1
    return None
