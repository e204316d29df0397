"""The words in which ops say what they do in the limit, given the limits of their operands.

An op that acts coordinate by coordinate, or on finite axes alone, does to samples of Z what it does
to coordinates: its own ``evaluate`` is reused. Here stands what happens to the powers of the width,
and what is different: sums over a width axis (:mod:`tpc.feature.contraction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.family import Family, family, rearranged, spread
from tpc.feature.family import Operand as Operand
from tpc.feature.limits import settled
from tpc.feature.matrix import Matrix, Outer
from tpc.feature.value import Value, combine, join, largest, plus, zero
from tpc.ops.base import MissingRule
from tpc.scaling.characters import TRIVIAL, even_span, odd_span, span

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.feature.context import FeatureContext
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.scaling.characters import Coset

STAGE = "feature-learning limit"


def vectors(node: Node, operands: Sequence[Operand]) -> list[Value]:
    """Return the operands where none has two width axes.

    Raises:
        MissingRule: one has.
    """
    found = [operand for operand in operands if isinstance(operand, Value)]
    if len(found) != len(operands):
        raise MissingRule(node, STAGE, "it is applied to the entries of a matrix")
    return found


def exact_power(coefficient: Coefficient, node: Node) -> Fraction:
    """Return the power of the width in a coefficient.

    Raises:
        MissingRule: it still has symbols.
    """
    power = coefficient.power.as_fraction()
    if power is None:
        raise MissingRule(node, STAGE, f"the exponent {coefficient.power} has no value")
    return power


def evaluated(node: Node, arrays: Sequence[Array], context: FeatureContext) -> Array:
    """Return what the op's own meaning does to samples."""
    with np.errstate(all="ignore"):
        return node.op.evaluate(node, arrays, context.arrays)


# -- linear ----------------------------------------------------------------------------------------


def by(node: Node, operand: Operand, coefficient: Coefficient) -> Operand:
    """Return a multiple."""
    return operand.scaled(coefficient.constant.value, exact_power(coefficient, node))


def added(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return a sum; a scalar is the same in all coordinates of a vector."""
    x, y = operands
    if isinstance(x, Matrix) and isinstance(y, Matrix):
        return x + y
    if isinstance(x, Family) and isinstance(y, Family):
        return x + y
    values = [_lifted(node, value, k, context) for k, value in enumerate(vectors(node, operands))]
    return join(values, lambda *arrays: evaluated(node, arrays, context))


def _lifted(node: Node, value: Value, position: int, context: FeatureContext) -> Value:
    """Return a scalar operand of a vector result as a vector: equal in all coordinates."""
    operand = node.operands[position].type
    if operand.sort == node.type.sort:
        return value
    axis = node.type.width_axes[0] - node.type.rank
    if -axis > operand.rank + 1:
        raise MissingRule(node, STAGE, "a scalar with finite axes is repeated along a width")
    return value.mapped(
        lambda a: context.space.lifted(np.expand_dims(a, axis), axis % (a.ndim + 1))
    )


def moved(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Entries moved about, several operands put side by side, or axes summed over."""
    matrices = [operand for operand in operands if not isinstance(operand, Value)]
    if matrices:
        found = rearranged(node, matrices) if len(matrices) == len(operands) else None
        if found is None:
            raise MissingRule(node, STAGE, "it moves the entries of a matrix")
        return found
    values = vectors(node, operands)
    return join(values, lambda *arrays: evaluated(node, arrays, context))


def transposed(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return axes in another order; those of a matrix too."""
    (x,) = operands
    if isinstance(x, Matrix):
        return x.transposed
    found = moved(node, operands, context)
    widths = node.operands[0].type.width_axes
    kept = [axis for axis in node.attrs["order"] if axis in widths]
    if isinstance(found, Family) and kept != sorted(kept):
        return found.mapped(lambda matrix: matrix.transposed)
    return found


def looked_up(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return rows of a table that integers name, or rows added to them."""
    table, ids = vectors(node, operands)
    return table.mapped(lambda array: evaluated(node, [array, ids.array], context))


def repeated(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return a value repeated along new axes."""
    if not isinstance(operands[0], Value):
        if any(dim.width for _, dim in node.attrs["axes"]):
            raise MissingRule(node, STAGE, "a matrix is repeated along a width")
        return spread(node, operands[0])
    (x,) = vectors(node, operands)
    if node.type.sort > 1:
        raise MissingRule(node, STAGE, "a vector is repeated as a matrix")
    added = [axis for axis, dim in node.attrs["axes"] if dim.width]
    result = x.mapped(lambda array: evaluated(node, [array], context))
    if not added:
        return result
    lead = int(node.type.batched)
    index = (*(slice(None),) * (added[0] + lead), slice(0, 1))
    return result.mapped(lambda a: _ones(a, index, added[0] + lead, context))


def _ones(array: Array, index: tuple[slice, ...], axis: int, context: FeatureContext) -> Array:
    lifted = context.space.lifted(array[index], axis)
    return array if lifted.shape[axis] == 1 else lifted


# -- leaves ----------------------------------------------------------------------------------------


def filled(node: Node, context: FeatureContext) -> Operand:
    """Return equal entries."""
    coefficient = node.attrs["coefficient"]
    shape = context.arrays.shape(node.type)
    if node.type.sort > 1:
        if coefficient.is_zero:
            rows, columns = (shape[axis] for axis in node.type.width_axes)
            extents = [int(dim.count) for dim in node.type.dims if not dim.width]
            return family(extents, [Matrix((rows, columns))] * node.type.finite_count)
        raise MissingRule(node, STAGE, "a matrix of equal entries")
    if coefficient.is_zero:
        return zero(np.empty(shape))
    level, power = coefficient.constant.value, exact_power(coefficient, node)
    if not node.type.sort:
        return Value(np.full(shape, level), power)
    return Value(context.space.constant(shape, node.type.width_axes[0], level), power)


def data(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return what does not depend on the width."""
    arrays = [value.array for value in vectors(node, operands)]
    return Value(evaluated(node, arrays, context))


# -- nonlinear -------------------------------------------------------------------------------------


def multiplied(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return an entrywise product."""
    x, y = operands
    if isinstance(x, Value) and isinstance(y, Value):
        return combine(x, y, lambda a, b: evaluated(node, [a, b], context))
    for matrix, factor in ((x, y), (y, x)):
        if isinstance(matrix, Value) or not isinstance(factor, Value) or factor.array.ndim:
            continue
        level = 0.0 if factor.is_zero else float(factor.array)
        return matrix.scaled(level, factor.power or 0)
    if isinstance(x, Matrix) and isinstance(y, Matrix):
        return _entry_product(node, x, y)
    if isinstance(x, Family) and isinstance(y, Family):
        return x.joined(y, lambda a, b: _entry_product(node, a, b))
    raise MissingRule(node, STAGE, "entries of a matrix are multiplied by a vector's")


def _entry_product(node: Node, x: Matrix, y: Matrix) -> Matrix:
    """Return the product of entries of two sums of outer products: sums over pairs of terms."""
    left, right = x.outer_only, y.outer_only
    if left is None or right is None:
        raise MissingRule(node, STAGE, "a product of entries of initial matrices")
    terms = tuple(
        Outer(
            combine(a.left, b.left, _pairs),
            combine(a.right, b.right, _pairs),
            np.multiply.outer(_each(a), _each(b)).ravel(),
            a.power + b.power,
        )
        for a in left
        for b in right
    )
    return Matrix(x.shape, terms)


def _each(term: Outer) -> Array:
    return np.broadcast_to(term.factor, len(term.left.array))


def _pairs(a: Array, b: Array) -> Array:
    return (a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[-1])


def applied(
    node: Node, operands: Sequence[Operand], context: FeatureContext, parity: str
) -> Operand:
    """Return a nonlinearity of given parity, coordinate by coordinate."""
    (x,) = vectors(node, operands)
    array, rest = settled(x, node)
    signs = _function_signs(x.signs, parity)
    return Value(evaluated(node, [array], context), Fraction(0), rest, signs)


def _function_signs(signs: Coset, parity: str) -> Coset:
    return {"odd": odd_span, "even": even_span}.get(parity, span)(signs)


def raised(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return a power of every coordinate."""
    exponent: Fraction = node.attrs["exponent"]
    (x,) = operands
    if not isinstance(x, Value):
        if exponent == 2:
            return multiplied(node, [x, x], context)
        raise MissingRule(node, STAGE, "a power of the entries of a matrix")
    if x.power is None:
        if exponent < 0 or (x.rest is not None and exponent < 1):
            raise MissingRule(node, STAGE, "a power of what vanishes in the limit")
        return zero(x.array, None if x.rest is None else x.rest * exponent)
    parity = "none"
    if exponent.denominator == 1:
        parity = "odd" if exponent.numerator % 2 else "even"
    rest = None if x.rest is None else largest(plus(x.rest, x.power * (exponent - 1)))
    array = evaluated(node, [x.array], context)
    return Value(array, x.power * exponent, rest, _function_signs(x.signs, parity))


def mixed(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return a nonlinear function of whole finite axes."""
    x, *mask = vectors(node, operands)
    array, rest = settled(x, node)
    found = evaluated(node, [array, *(m.array for m in mask)], context)
    return Value(found, Fraction(0), rest, TRIVIAL if not node.type.sort else span(x.signs))
