"""Norms of gradients, from inner products alone: right for samples and for coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.family import Operand, members
from tpc.feature.matrix import Matrix, Outer, expectation, rest_of_inner
from tpc.feature.value import Value, combine, plus, rest_of_product, total, zero
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.feature.context import FeatureContext
    from tpc.ir.node import Node

_NOTHING = np.empty(())


def square_norm(
    gradients: Sequence[Operand], leaves: Sequence[Node], context: FeatureContext
) -> Value:
    """Return the sum of squares of all entries of gradients of the types of ``leaves``.

    A matrix of outer products ``sum_r u_r v_r^T`` has the square norm
    ``sum_rs (u_r . u_s) (v_r . v_s)``, so its entries are never formed.

    Raises:
        MissingRule: a matrix is no sum of outer products.
    """
    parts = [_square(x, leaf, context) for x, leaf in zip(gradients, leaves, strict=True)]
    return total(parts)


def _square(x: Operand, leaf: Node, context: FeatureContext) -> Value:
    if not isinstance(x, Value):
        return total([_matrix(each, leaf, context) for each in members(x)])
    wide = leaf.type.sort > 0
    rest = rest_of_inner(x, x) if wide else rest_of_product(x, x)
    if x.power is None:
        return zero(_NOTHING, rest)
    flat = x.array.ravel(order="K")
    square = np.asarray(np.dot(flat, flat) * (context.space.weight if wide else 1.0))
    return Value(square, plus(x.power, x.power, int(wide)), rest)


def _matrix(x: Matrix, leaf: Node, context: FeatureContext) -> Value:
    terms = x.outer_only
    if terms is None:
        raise MissingRule(leaf, "feature-learning limit", "the norm of initial matrices")
    pairs = [_pair(a, b, context) for a in terms for b in terms]
    return total([zero(_NOTHING), *pairs])


def _pair(a: Outer, b: Outer, context: FeatureContext) -> Value:
    """Return the sum over entries of the product of two sums of outer products."""
    left = expectation(a.left, b.left, context)
    right = expectation(a.right, b.right, context)
    weights = np.multiply.outer(_factors(a), _factors(b))
    product = combine(left, right, lambda u, v: np.asarray((u * v * weights).sum()))
    return product.scaled(1.0, a.power + b.power)


def _factors(term: Outer) -> np.ndarray:
    return np.broadcast_to(np.asarray(term.factor, dtype=float), len(term.left.array))
