"""Sums of products in the limit: inner products, outer products, matrices on vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.family import Family, Operand, family
from tpc.feature.matrix import Matrix, Outer, act, rest_of_inner
from tpc.feature.value import HALF, Value, combine, join, largest, plus, total, zero
from tpc.ops.base import MissingRule
from tpc.scaling.characters import TRIVIAL, intersects

if TYPE_CHECKING:
    from tpc.feature.context import FeatureContext
    from tpc.ir.node import Node
    from tpc.ops.base import Array

STAGE = "feature-learning limit"
_BATCH = -1
Labels = tuple[int, ...]


def contraction(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return the limit of a contraction (see :class:`tpc.ops.contract.Contract`)."""
    x, y = operands
    left, right, out = labels = _labels(node)
    if isinstance(y, Value) and not isinstance(x, Value):
        return _action(node, 0, x, y, labels, context)
    if isinstance(x, Value) and not isinstance(y, Value):
        return _action(node, 1, y, x, (right, left, out), context)
    if not isinstance(x, Value) or not isinstance(y, Value):
        raise MissingRule(node, STAGE, "products of matrices with matrices")
    if node.type.sort > 1:
        return _outer(node, x, y, left, right, out)
    shared = _widths(node, 0, left) & _widths(node, 1, right)
    if shared and not shared & set(out):
        return _moment(node, x, y, context)
    return combine(x, y, lambda a, b: node.op.evaluate(node, [a, b], context.arrays))


def width_sum(node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
    """Return the limit of a sum over axes: over a width, n times an expectation."""
    (x,) = operands
    axes = node.attrs["axes"]
    if isinstance(x, Matrix):
        return _matrix_sum(node, x, context)
    if isinstance(x, Family):
        raise MissingRule(node, STAGE, "a sum over an axis of a matrix with finite axes")
    (operand,) = node.operands
    lead = int(operand.type.batched)
    wide = [axis for axis in axes if axis in operand.type.width_axes]
    if not wide:
        return x.mapped(lambda array: node.op.evaluate(node, [array], context.arrays))
    rest = largest(plus(x.power, HALF), plus(x.rest, 1))
    finite = tuple(axis + lead - (axis > wide[0]) for axis in axes if axis != wide[0])
    mean = context.space.mean(x.array, wide[0] + lead).sum(axis=finite)
    if x.power is None or not intersects(x.signs, TRIVIAL):
        return zero(mean, rest)
    return Value(mean, plus(x.power, 1), rest)


def _matrix_sum(node: Node, x: Matrix, context: FeatureContext) -> Value:
    (operand,) = node.operands
    axes = [axis for axis in node.attrs["axes"] if axis in operand.type.width_axes]
    first = axes[0] == operand.type.width_axes[0]
    over_rows = x.transposed if first else x
    length = over_rows.shape[1]
    ones = Value(context.space.constant((1, length), 1, 1.0))
    found = act(over_rows, ones, context)
    if len(axes) == 1:
        return found.mapped(lambda array: array[0])
    rest = largest(plus(found.power, HALF), plus(found.rest, 1))
    mean = context.space.mean(found.array[0], 0)
    if found.power is None or not intersects(found.signs, TRIVIAL):
        return zero(mean, rest)
    return Value(mean, plus(found.power, 1), rest)


def _labels(node: Node) -> tuple[Labels, Labels, Labels]:
    """Return the labels of operands and result, with the batch as one of them."""
    left, right, out = (node.attrs[name] for name in ("left", "right", "out"))
    lead = (_BATCH,)
    return (
        lead * node.operands[0].type.batched + left,
        lead * node.operands[1].type.batched + right,
        lead * node.type.batched + out,
    )


def _widths(node: Node, position: int, labels: Labels) -> set[int]:
    type_ = node.operands[position].type
    return {labels[axis + int(type_.batched)] for axis in type_.width_axes}


def _moment(node: Node, x: Value, y: Value, context: FeatureContext) -> Value:
    """An inner product over the width: a law of large numbers, exactly zero by signs, or small."""
    rest = rest_of_inner(x, y)
    power = plus(x.power, y.power, 1)
    if power is None or not intersects(x.signs, y.signs):
        return zero(np.empty(context.arrays.shape(node.type)), rest)
    masses, first = context.space.masses, x.array
    if masses is None:
        array = node.op.evaluate(node, [first, y.array], context.arrays) * context.space.weight
        return Value(array, power, rest)
    type_ = node.operands[0].type
    axis = first.ndim - type_.rank + type_.width_axes[0]
    first = first * masses.reshape(-1, *(1,) * (first.ndim - 1 - axis))
    return Value(node.op.evaluate(node, [first, y.array], context.arrays), power, rest)


def _outer(
    node: Node, x: Value, y: Value, left: Labels, right: Labels, out: Labels
) -> Matrix | Family:
    """Sums of outer products: what one training step adds to a matrix, or to several."""
    (row,) = _widths(node, 0, left)
    (column,) = _widths(node, 1, right)
    finite = [label for label in out if label not in (row, column)]
    if _BATCH in finite:
        raise MissingRule(node, STAGE, "a matrix for each sample")
    extents = _extents((x, left), (y, right))
    shape = [extents[label] for label in finite]
    found = []
    for position in np.ndindex(*shape):
        where = dict(zip(finite, position, strict=True))
        outer = _outer_at((*_at(x, left, where), row), (*_at(y, right, where), column))
        found.append(outer if out.index(row) < out.index(column) else outer.transposed)
    return family(shape, found)


def _outer_at(x: tuple[Value, Labels, int], y: tuple[Value, Labels, int]) -> Matrix:
    """Return a sum of outer products over all labels that are no width, the same in both."""
    (u, left, row), (v, right, column) = x, y
    summed = [label for label in left if label != row]
    u = u.mapped(lambda array: _rows(array, left, [*summed, row]))
    v = v.mapped(lambda array: _rows(array, right, [*summed, column]))
    shape = (u.array.shape[1], v.array.shape[1])
    return Matrix(shape, () if u.is_zero or v.is_zero else (Outer(u, v),))


def _at(x: Value, labels: Labels, where: Mapping[int, int]) -> tuple[Value, Labels]:
    """Return a value at given positions of some labels, and the labels that are left."""
    index = tuple(where.get(label, slice(None)) for label in labels)
    return x.mapped(lambda a: a[index]), tuple(label for label in labels if label not in where)


def _extents(*operands: tuple[Value, Labels]) -> dict[int, int]:
    return {
        label: extent
        for x, labels in operands
        for label, extent in zip(labels, x.array.shape, strict=True)
    }


def _rows(array: Array, labels: Labels, order: Sequence[int]) -> Array:
    moved = array.transpose([labels.index(label) for label in order])
    return np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))


def _action(
    node: Node,
    operand: int,
    matrix: Matrix | Family,
    x: Value,
    labels: tuple[Labels, Labels, Labels],
    context: FeatureContext,
) -> Value:
    """A matrix, or its transpose, on vectors that finite axes and samples index.

    ``labels`` are those of the matrix, of the vector and of the result.
    """
    of_matrix, of_vector, out = labels
    widths = _widths(node, operand, of_matrix)
    finite = tuple(label for label in of_matrix if label not in widths)
    if _BATCH in finite:
        raise MissingRule(node, STAGE, "a matrix for each sample")
    pair = tuple(label for label in of_matrix if label in widths)
    summed = [label for label in pair if label in of_vector and label not in out]
    if len(summed) != 1 or widths <= set(of_vector):
        raise MissingRule(node, STAGE, "entries of a matrix are multiplied by a vector's")
    if isinstance(matrix, Matrix):
        return _act(matrix, x, (pair, of_vector, out), summed[0], context)
    kept = [label for label in finite if label in out]
    inner = tuple(label for label in out if label not in kept)
    parts: dict[tuple[int, ...], list[Value]] = {}
    for position, each in matrix.items():
        where = dict(zip(finite, position, strict=True))
        vector, left = _at(x, of_vector, where)
        product = _act(each, vector, (pair, left, inner), summed[0], context)
        parts.setdefault(tuple(where[label] for label in kept), []).append(product)
    extents = [matrix.shape[finite.index(label)] for label in kept]
    final = [*kept, *inner]

    def stacked(*arrays: Array) -> Array:
        shaped = np.stack(arrays).reshape(*extents, *arrays[0].shape)
        return shaped.transpose([final.index(label) for label in out])

    return join([total(values) for values in parts.values()], stacked)


def _act(
    matrix: Matrix,
    x: Value,
    labels: tuple[Labels, Labels, Labels],
    summed: int,
    context: FeatureContext,
) -> Value:
    """One matrix on vectors."""
    of_matrix, of_vector, out = labels
    kept = of_matrix[1 - of_matrix.index(summed)]
    acting = matrix if of_matrix.index(summed) == 1 else matrix.transposed
    order = [label for label in of_vector if label != summed]
    moved = x.array.transpose([of_vector.index(label) for label in (*order, summed)])
    lead: tuple[int, ...] = (-1,)
    if context.passing and _BATCH in order:
        lead = (1, -1) if context.joint else (len(moved), -1)
    rows = moved.reshape(*lead, moved.shape[-1])
    found = act(acting, x.mapped(lambda _: rows), context)
    final = [*order, kept]

    def back(array: Array) -> Array:
        shaped = array.reshape(*moved.shape[:-1], -1)
        return shaped.transpose([final.index(label) for label in out])

    return found.mapped(back)
