"""Values with two width axes: never entries, only what acts on vectors.

A matrix is a sum of an initial Gaussian matrix, of outer products that training added, and (where
an optimizer acts entry by entry) of entries at all pairs of particles. Rows and columns are its
first and second width axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.value import Exponent, Value, largest, plus, rest_of_product, total, zero
from tpc.scaling.characters import TRIVIAL, Coset, intersects, odd_span, product

if TYPE_CHECKING:
    from tpc.feature.context import FeatureContext
    from tpc.feature.gaussian import GaussianMatrix
    from tpc.ops.base import Array


@dataclass(frozen=True, slots=True, eq=False)
class Initial:
    """``factor * n^power * W``, W an initial matrix: entries are of size ``n^(power - 1/2)``."""

    weight: GaussianMatrix
    factor: float
    power: Fraction
    signs: Coset
    transposed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Outer:
    """``n^power * sum_r factor_r left_r right_r^T``, left (R, rows) and right (R, columns).

    ``factor`` is one number for all r, or an array (R,).
    """

    left: Value
    right: Value
    factor: float | Array = 1.0
    power: Fraction = Fraction(0)

    @property
    def size(self) -> Exponent:
        """The power of the entries."""
        return plus(self.left.power, self.right.power, self.power)


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """``n^power * entries``, at all pairs of particles (rows, columns)."""

    entries: Array
    power: Fraction
    signs: Coset


Term = Initial | Outer | Dense


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """A sum of terms, of ``shape`` (rows, columns) in entries of the space."""

    shape: tuple[int, int]
    terms: tuple[Term, ...] = ()

    def scaled(self, factor: float, power: Fraction | int = 0) -> Matrix:
        """Return ``factor * n^power`` times the matrix."""
        if factor == 0.0:
            return Matrix(self.shape)
        return Matrix(self.shape, tuple(_scaled(term, factor, power) for term in self.terms))

    @property
    def transposed(self) -> Matrix:
        """The matrix with rows and columns exchanged."""
        return Matrix(self.shape[::-1], tuple(_transposed(term) for term in self.terms))

    def __add__(self, other: Matrix) -> Matrix:
        return Matrix(self.shape, self.terms + other.terms)

    @property
    def outer_only(self) -> tuple[Outer, ...] | None:
        """The terms where all are outer products, else None."""
        found = tuple(term for term in self.terms if isinstance(term, Outer))
        return found if len(found) == len(self.terms) else None


def act(matrix: Matrix, x: Value, context: FeatureContext) -> Value:
    """Return the product with vectors: ``x.array`` is (A, columns), the result (A, rows).

    Passing samples (see :class:`FeatureContext`) are (N, A, columns).
    """
    shape = (*x.array.shape[:-1], matrix.shape[0])
    parts = [zero(np.empty(shape))]
    if not x.is_zero or x.rest is not None:
        parts += [_act(term, x, shape, context) for term in matrix.terms]
    return total(parts)


def _act(term: Term, x: Value, shape: tuple[int, ...], context: FeatureContext) -> Value:
    if isinstance(term, Initial):
        return _act_initial(term, x, shape, context)
    if isinstance(term, Outer):
        return _act_outer(term, x, shape, context)
    power = plus(term.power, x.power, 1)
    rest = largest(plus(power, Fraction(-1, 2)), plus(term.power, x.rest, 1))
    if power is None:
        return zero(np.empty(shape), rest)
    array = (x.array @ term.entries.T) * context.space.weight
    return Value(array, power, rest, product(term.signs, x.signs))


def _act_initial(term: Initial, x: Value, shape: tuple[int, ...], context: FeatureContext) -> Value:
    rest = plus(x.rest, term.power)
    if x.power is None:
        return zero(np.empty(shape), rest)
    power = term.power + x.power
    if x.array.ndim == 3:
        array = term.weight.peek(x.array, term.transposed, context.local, context.stream)
    else:
        array = term.weight.apply(x.array, term.transposed)
    rest = largest(rest, power - Fraction(1, 2))
    return Value(array * term.factor, power, rest, product(term.signs, x.signs))


def _act_outer(term: Outer, x: Value, shape: tuple[int, ...], context: FeatureContext) -> Value:
    coefficients = expectation(term.right, x, context)
    size = plus(coefficients.power, term.left.power, term.power)
    rest = largest(
        plus(coefficients.rest, term.left.power, term.power),
        plus(coefficients.power, term.left.rest, term.power),
    )
    if size is None:
        return zero(np.empty(shape), rest)
    weights = np.moveaxis(coefficients.array, 0, -1) * term.factor
    array = weights @ term.left.array
    return Value(array, size, rest, term.left.signs)


def expectation(v: Value, x: Value, context: FeatureContext) -> Value:
    """Return the inner products of rows v (R, entries) and x (..., entries): (R, ...)."""
    flat = x.array.reshape(-1, x.array.shape[-1])
    shape = (len(v.array), *x.array.shape[:-1])
    if not aligned(v, x):
        return zero(np.empty(shape), rest_of_inner(v, x))
    array = context.space.inner(v.array, flat).reshape(shape)
    return Value(array, plus(v.power, x.power, 1), rest_of_inner(v, x))


def aligned(x: Value, y: Value) -> bool:
    """Whether an expectation of products need not vanish: neither by zero nor by signs."""
    return x.power is not None and y.power is not None and intersects(x.signs, y.signs)


def rest_of_inner(x: Value, y: Value) -> Exponent:
    """Return the power of what the limit of an inner product over the width leaves out.

    Fluctuations are ``n^(-1/2)`` of a mean (central limit theorem); what the operands left out
    counts as if it were aligned.
    """
    return largest(plus(x.power, y.power, Fraction(1, 2)), plus(rest_of_product(x, y), 1))


def entries(matrix: Matrix) -> Dense | None:
    """Return a sum of outer products and entries as entries; None if it is zero."""
    sizes = [t.size if isinstance(t, Outer) else t.power for t in matrix.terms]
    power = largest(*sizes)
    if power is None:
        return None
    result, signs = np.zeros(matrix.shape), []
    for term, size in zip(matrix.terms, sizes, strict=True):
        if size != power:
            continue
        assert not isinstance(term, Initial)
        if isinstance(term, Outer):
            factors = np.broadcast_to(term.factor, len(term.left.array))
            result += (term.left.array.T * factors) @ term.right.array
            signs.append(product(term.left.signs, term.right.signs))
        else:
            result += term.entries
            signs.append(term.signs)
    return Dense(result, power, odd_span(*signs) if signs else TRIVIAL)


def _scaled(term: Term, factor: float, power: Fraction | int) -> Term:
    if isinstance(term, Dense):
        return replace(term, entries=factor * term.entries, power=term.power + power)
    if isinstance(term, Outer):
        return replace(term, factor=factor * term.factor, power=term.power + power)
    return replace(term, factor=factor * term.factor, power=term.power + power)


def _transposed(term: Term) -> Term:
    if isinstance(term, Initial):
        return replace(term, transposed=not term.transposed)
    if isinstance(term, Outer):
        return replace(term, left=term.right, right=term.left)
    return replace(term, entries=term.entries.T)
