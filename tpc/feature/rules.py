"""What each op does in the limit, given the limits of its operands.

An op that acts coordinate by coordinate, or on finite axes alone, does to samples of Z what it does
to coordinates: its own ``evaluate`` is reused. Here stands what happens to the powers of the width,
and what is different: sums over a width axis (:mod:`tpc.feature.contraction`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.contraction import contraction, width_sum
from tpc.feature.limits import settled
from tpc.feature.matrix import Matrix, Outer
from tpc.feature.value import Value, combine, join, largest, plus, zero
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.base import MissingRule, Op
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL
from tpc.ops.gather import GATHER, SCATTER_ADD
from tpc.ops.index_map import IndexMap
from tpc.ops.literal import LITERAL
from tpc.ops.logsumexp import LOGSUMEXP
from tpc.ops.multiply import MULTIPLY
from tpc.ops.one_hot import ONE_HOT
from tpc.ops.power import POWER
from tpc.ops.rate import RATE, step_coefficient
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.softmax import SOFTMAX
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.ops.sum import SUM
from tpc.ops.transpose import TRANSPOSE
from tpc.scaling.characters import TRIVIAL, even_span, odd_span, span

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.feature.context import FeatureContext
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.scaling.characters import Coset

Operand = Value | Matrix
Rule = Callable[["Node", Sequence[Operand], "FeatureContext"], Operand]
STAGE = "feature-learning limit"


def apply_rule(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return the limit of a node from those of its operands.

    Raises:
        MissingRule: the op, or this use of it, has no rule.
        TpcError: the value that it needs has no deterministic limit of order one.
    """
    rule = RULES.get(node.op)
    if rule is None and isinstance(node.op, IndexMap):
        rule = _moved
    if rule is None:
        raise MissingRule(node, STAGE)
    return rule(node, operands, context)


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


def _evaluate(node: Node, arrays: Sequence[Array], context: FeatureContext) -> Array:
    with np.errstate(all="ignore"):
        return node.op.evaluate(node, arrays, context.arrays)


# -- linear ----------------------------------------------------------------------------------------


def _scale(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    return _by(node, operands[0], node.attrs["coefficient"])


def _rate(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    return _by(node, operands[0], step_coefficient(context.params[node.attrs["param"]]))


def _by(node: Node, operand: Operand, coefficient: Coefficient) -> Operand:
    return operand.scaled(coefficient.constant.value, exact_power(coefficient, node))


def _per_sample(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    return operands[0].scaled(1.0 / context.batch)


def _same(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    return operands[0]


def _add(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    x, y = operands
    if isinstance(x, Matrix) and isinstance(y, Matrix):
        return x + y
    values = [_lifted(node, value, k, context) for k, value in enumerate(vectors(node, operands))]
    return join(values, lambda *arrays: _evaluate(node, arrays, context))


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


def _moved(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Entries moved about, several operands put side by side, or axes summed over."""
    if len(operands) == 1 and isinstance(operands[0], Matrix):
        if node.op is TRANSPOSE:
            return operands[0].transposed
        raise MissingRule(node, STAGE, "it moves the entries of a matrix")
    values = vectors(node, operands)
    return join(values, lambda *arrays: _evaluate(node, arrays, context))


def _looked_up(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    table, ids = vectors(node, operands)
    return table.mapped(lambda array: _evaluate(node, [array, ids.array], context))


def _repeat(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    (x,) = vectors(node, operands)
    if node.type.sort > 1:
        raise MissingRule(node, STAGE, "a vector is repeated as a matrix")
    added = [axis for axis, dim in node.attrs["axes"] if dim.width]
    result = x.mapped(lambda array: _evaluate(node, [array], context))
    if not added:
        return result
    lead = int(node.type.batched)
    index = (*(slice(None),) * (added[0] + lead), slice(0, 1))
    return result.mapped(lambda a: _ones(a, index, added[0] + lead, context))


def _ones(array: Array, index: tuple[slice, ...], axis: int, context: FeatureContext) -> Array:
    lifted = context.space.lifted(array[index], axis)
    return array if lifted.shape[axis] == 1 else lifted


# -- leaves ----------------------------------------------------------------------------------------


def _fill(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    coefficient = node.attrs["coefficient"]
    shape = context.arrays.shape(node.type)
    if node.type.sort > 1:
        if coefficient.is_zero:
            rows, columns = (shape[axis] for axis in node.type.width_axes)
            return Matrix((rows, columns))
        raise MissingRule(node, STAGE, "a matrix of equal entries")
    if coefficient.is_zero:
        return zero(np.empty(shape))
    level, power = coefficient.constant.value, exact_power(coefficient, node)
    if not node.type.sort:
        return Value(np.full(shape, level), power)
    return Value(context.space.constant(shape, node.type.width_axes[0], level), power)


def _data(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    arrays = [value.array for value in vectors(node, operands)]
    return Value(_evaluate(node, arrays, context))


# -- nonlinear -------------------------------------------------------------------------------------


def _multiply(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    x, y = operands
    if isinstance(x, Value) and isinstance(y, Value):
        return combine(x, y, lambda a, b: _evaluate(node, [a, b], context))
    for matrix, factor in ((x, y), (y, x)):
        if isinstance(matrix, Matrix) and isinstance(factor, Value) and factor.array.ndim == 0:
            if factor.is_zero:
                return Matrix(matrix.shape)
            return matrix.scaled(float(factor.array), factor.power or 0)
    if isinstance(x, Matrix) and isinstance(y, Matrix):
        return _entry_product(node, x, y)
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


def _apply(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    (x,) = vectors(node, operands)
    activation = node.attrs["activation"]
    array, rest = settled(x, node)
    signs = _function_signs(x.signs, activation.parity)
    return Value(_evaluate(node, [array], context), Fraction(0), rest, signs)


def _function_signs(signs: Coset, parity: str) -> Coset:
    return {"odd": odd_span, "even": even_span}.get(parity, span)(signs)


def _power(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    exponent: Fraction = node.attrs["exponent"]
    (x,) = operands
    if isinstance(x, Matrix):
        if exponent == 2:
            return _entry_product(node, x, x)
        raise MissingRule(node, STAGE, "a power of the entries of a matrix")
    if x.power is None:
        if exponent < 0 or (x.rest is not None and exponent < 1):
            raise MissingRule(node, STAGE, "a power of what vanishes in the limit")
        return zero(x.array, None if x.rest is None else x.rest * exponent)
    parity = "none"
    if exponent.denominator == 1:
        parity = "odd" if exponent.numerator % 2 else "even"
    rest = None if x.rest is None else largest(plus(x.rest, x.power * (exponent - 1)))
    array = _evaluate(node, [x.array], context)
    return Value(array, x.power * exponent, rest, _function_signs(x.signs, parity))


def _softmax(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    x, *mask = vectors(node, operands)
    array, rest = settled(x, node)
    found = _evaluate(node, [array, *(m.array for m in mask)], context)
    return Value(found, Fraction(0), rest, TRIVIAL if not node.type.sort else span(x.signs))


RULES: dict[Op, Rule] = {
    SCALE: _scale,
    RATE: _rate,
    PER_SAMPLE: _per_sample,
    STOP_GRADIENT: _same,
    ADD: _add,
    BATCH_SUM: _moved,
    BATCH_MEAN: _moved,
    GATHER: _looked_up,
    SCATTER_ADD: _looked_up,
    REPEAT: _repeat,
    FILL: _fill,
    LITERAL: _data,
    BERNOULLI: _data,
    ONE_HOT: _data,
    MULTIPLY: _multiply,
    APPLY: _apply,
    POWER: _power,
    SOFTMAX: _softmax,
    LOGSUMEXP: _softmax,
    CONTRACT: contraction,
    SUM: width_sum,
}
