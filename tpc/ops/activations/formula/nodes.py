"""Formulas of one real variable: immutable trees in a canonical form.

A formula is built by the functions :func:`add`, :func:`multiply`, :func:`power`, :func:`apply`,
:func:`where`, :func:`minimum` and :func:`maximum`, which collect like terms and powers, fold
constants and move signs outwards, so that equal formulas are often equal objects. Nothing here
evaluates text: the elaborator walks the syntax tree and calls these functions.

Canonical form: a sum is ``constant + sum_i coefficient_i * term_i`` with distinct terms; a product
is ``prod_i base_i ^ exponent_i`` with distinct bases and carries no coefficient (a scaled product
is a sum of one term); a comparison is ``test > 0`` or ``test >= 0``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from tpc.exact import Constant

if TYPE_CHECKING:
    from tpc.ops.activations.base import Activation

ConstantLike = Constant | Fraction | int
ZERO = Constant.of(0)
ONE = Constant.of(1)
MAX_DEPTH = 200  # walks over formulas recurse; the constructors refuse deeper trees


class FormulaError(ValueError):
    """A formula that cannot be built: too deep, or a constant part that is not real."""


class Formula:
    """Base of the seven kinds of nodes. Compared by structure; hashes are computed once."""

    @property
    def children(self) -> tuple[Formula, ...]:
        """The formulas directly below this one."""
        return ()

    @cached_property
    def depth(self) -> int:
        """Number of levels; at most ``MAX_DEPTH``."""
        depth = 1 + max((child.depth for child in self.children), default=0)
        if depth > MAX_DEPTH:
            raise FormulaError(f"the formula is nested more than {MAX_DEPTH} levels deep")
        return depth

    @cached_property
    def key(self) -> str:
        """The text of the formula: a deterministic order of terms and factors."""
        from tpc.ops.activations.formula.printing import text

        return text(self)

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Variable(Formula):
    """The argument of the activation."""


@dataclass(frozen=True)
class Number(Formula):
    """An exact constant."""

    value: Constant


@dataclass(frozen=True)
class Sum(Formula):
    """``constant + sum of coefficient * term``; at least one term, coefficients nonzero."""

    constant: Constant
    terms: tuple[tuple[Formula, Constant], ...]

    @property
    def children(self) -> tuple[Formula, ...]:
        return tuple(term for term, _ in self.terms)


@dataclass(frozen=True)
class Product(Formula):
    """``product of base ^ exponent``; at least one factor, exponents nonzero rationals."""

    factors: tuple[tuple[Formula, Fraction], ...]

    @property
    def children(self) -> tuple[Formula, ...]:
        return tuple(base for base, _ in self.factors)


@dataclass(frozen=True)
class Apply(Formula):
    """A primitive nonlinearity of a formula."""

    function: Activation
    argument: Formula

    @property
    def children(self) -> tuple[Formula, ...]:
        return (self.argument,)


@dataclass(frozen=True)
class Where(Formula):
    """``then`` where ``test > 0`` (``test >= 0`` unless ``strict``), else ``otherwise``."""

    test: Formula
    strict: bool
    then: Formula
    otherwise: Formula

    @property
    def children(self) -> tuple[Formula, ...]:
        return (self.test, self.then, self.otherwise)


@dataclass(frozen=True)
class Extremum(Formula):
    """The smaller (``min``) or larger (``max``) of two formulas."""

    kind: Literal["min", "max"]
    left: Formula
    right: Formula

    @property
    def children(self) -> tuple[Formula, ...]:
        return (self.left, self.right)


Z = Variable()


def number(value: ConstantLike) -> Formula:
    """Return a constant formula."""
    return Number(Constant.of(value))


def _checked(formula: Formula) -> Formula:
    _ = formula.depth
    return formula


def _linear(formula: Formula) -> tuple[Constant, tuple[tuple[Formula, Constant], ...]]:
    """Return the formula as a constant and weighted terms."""
    if isinstance(formula, Number):
        return formula.value, ()
    if isinstance(formula, Sum):
        return formula.constant, formula.terms
    return ZERO, ((formula, ONE),)


def _from_linear(constant: Constant, terms: dict[Formula, Constant]) -> Formula:
    kept = [(term, weight) for term, weight in terms.items() if not weight.is_zero]
    if not kept:
        return Number(constant)
    if constant.is_zero and len(kept) == 1 and kept[0][1].is_one:
        return kept[0][0]
    kept.sort(key=lambda pair: pair[0].key)
    return _checked(Sum(constant, tuple(kept)))


def add(*formulas: Formula) -> Formula:
    """Return the sum, like terms collected."""
    constant = ZERO
    terms: dict[Formula, Constant] = {}
    for formula in formulas:
        offset, addends = _linear(formula)
        constant = constant + offset
        for term, weight in addends:
            terms[term] = terms.get(term, ZERO) + weight
    return _from_linear(constant, terms)


def scale(formula: Formula, factor: ConstantLike) -> Formula:
    """Return ``factor * formula``, multiplied into a sum's coefficients."""
    factor = Constant.of(factor)
    constant, terms = _linear(formula)
    return _from_linear(constant * factor, {term: weight * factor for term, weight in terms})


def negate(formula: Formula) -> Formula:
    """Return ``-formula``."""
    return scale(formula, -1)


def subtract(left: Formula, right: Formula) -> Formula:
    """Return ``left - right``."""
    return add(left, negate(right))


def leading_sign(formula: Formula) -> int:
    """Return the sign by which a formula is printed: that of its first coefficient."""
    constant, terms = _linear(formula)
    return terms[0][1].sign if terms else constant.sign


def _split(formula: Formula) -> tuple[Constant, Formula]:
    """Return ``(c, g)`` with ``formula = c * g`` and no number or sign to take out of g."""
    if isinstance(formula, Number):
        return formula.value, number(1)
    if isinstance(formula, Sum):
        if formula.constant.is_zero and len(formula.terms) == 1:
            term, weight = formula.terms[0]
            return weight, term
        if leading_sign(formula) < 0:
            return Constant.of(-1), negate(formula)
    return ONE, formula


def multiply(*formulas: Formula) -> Formula:
    """Return the product, powers of equal bases collected, numbers taken out."""
    coefficient = ONE
    powers: dict[Formula, Fraction] = {}
    for formula in formulas:
        weight, rest = _split(formula)
        coefficient = coefficient * weight
        factors = rest.factors if isinstance(rest, Product) else ((rest, Fraction(1)),)
        for base, exponent in factors:
            if not isinstance(base, Number):
                powers[base] = powers.get(base, Fraction(0)) + exponent
    kept = sorted(((b, e) for b, e in powers.items() if e), key=lambda pair: pair[0].key)
    if coefficient.is_zero or not kept:
        return Number(coefficient)
    if len(kept) == 1 and kept[0][1] == 1:
        return scale(kept[0][0], coefficient)
    return scale(_checked(Product(tuple(kept))), coefficient)


def divide(left: Formula, right: Formula) -> Formula:
    """Return ``left / right``.

    Raises:
        FormulaError: the divisor is the number zero.
    """
    return multiply(left, power(right, Fraction(-1)))


def power(base: Formula, exponent: Fraction | int) -> Formula:
    """Return ``base ^ exponent`` for a rational exponent.

    Raises:
        FormulaError: a number without such a power.
    """
    exponent = Fraction(exponent)
    if exponent == 0:
        return number(1)
    if exponent == 1:
        return base
    whole = exponent.denominator == 1
    try:
        weight, rest = _split(base)
        if isinstance(base, Number):
            return Number(weight**exponent)
        if whole and isinstance(rest, Product):
            raised = tuple((b, e * exponent) for b, e in rest.factors)
            return scale(Product(raised), weight**exponent)
        if whole or weight.sign > 0:
            return scale(_checked(Product(((rest, exponent),))), weight**exponent)
    except (ZeroDivisionError, ValueError, OverflowError) as error:
        raise FormulaError(str(error)) from error
    return _checked(Product(((base, exponent),)))


def sqrt(argument: Formula) -> Formula:
    """Return the square root."""
    return power(argument, Fraction(1, 2))


def apply(function: Activation, argument: Formula) -> Formula:
    """Return ``function(argument)``, composite activations written out, signs taken out.

    Raises:
        FormulaError: a number outside of the function's domain.
    """
    from tpc.ops.activations.formula.calculus import substitute

    if not function.primitive:
        return substitute(function.formula(), argument)
    if isinstance(argument, Number):
        try:
            exact = function.exact_value(argument.value)
        except (ZeroDivisionError, ValueError, OverflowError) as error:
            raise FormulaError(str(error)) from error
        if exact is not None:
            return Number(exact)
    elif leading_sign(argument) < 0:
        reflected = function.reflected(negate(argument))
        if reflected is not None:
            return reflected
    return _checked(Apply(function, argument))


def where(test: Formula, then: Formula, otherwise: Formula, *, strict: bool = True) -> Formula:
    """Return ``then`` where ``test > 0`` (or ``>= 0``), else ``otherwise``.

    ``a < b`` is ``where(subtract(b, a), ...)``; ``a >= b`` is ``where(subtract(a, b), ...,
    strict=False)``.
    """
    if isinstance(test, Number):
        holds = test.value.sign > 0 or (test.value.is_zero and not strict)
        return then if holds else otherwise
    if then == otherwise:
        return then
    if leading_sign(test) < 0:
        return where(negate(test), otherwise, then, strict=not strict)
    return _checked(Where(test, strict, then, otherwise))


def maximum(left: Formula, right: Formula) -> Formula:
    """Return the larger of two formulas."""
    return _extremum("max", left, right)


def minimum(left: Formula, right: Formula) -> Formula:
    """Return the smaller of two formulas."""
    return _extremum("min", left, right)


def _extremum(kind: Literal["min", "max"], left: Formula, right: Formula) -> Formula:
    if left == right:
        return left
    other: Literal["min", "max"] = "max" if kind == "min" else "min"
    if isinstance(left, Number) and isinstance(right, Number):
        return left if ((left.value - right.value).sign > 0) == (kind == "max") else right
    if leading_sign(left) < 0 and leading_sign(right) < 0:
        return negate(_extremum(other, negate(left), negate(right)))
    if isinstance(right, Number) or (not isinstance(left, Number) and right.key < left.key):
        left, right = right, left
    if isinstance(left, Number) and leading_sign(right) < 0:
        return negate(_extremum(other, negate(left), negate(right)))
    # a clipped value has one form: max(low, min(high, g))
    if kind == "min" and isinstance(left, Number) and isinstance(right, Extremum):
        inner = right.left
        if right.kind == "max" and isinstance(inner, Number):
            if (left.value - inner.value).sign >= 0:
                return _extremum("max", inner, _extremum("min", left, right.right))
            return left
    return _checked(Extremum(kind, left, right))


def from_polynomial(coefficients: Iterable[ConstantLike]) -> Formula:
    """Return ``sum_k coefficients[k] z^k``."""
    return add(*(scale(power(Z, k), c) for k, c in enumerate(coefficients)))
