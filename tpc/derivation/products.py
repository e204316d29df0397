"""Sums of products: moments over the width, matrices on vectors, outer products."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.derivation.sheet import Grown, Sheet, Start, Step
from tpc.derivation.symbols import (
    PAST,
    PAST_OR_NOW,
    SAMPLE,
    ZERO,
    CopyMean,
    Expression,
    Image,
    Label,
    S,
    Slope,
    Symbol,
    Term,
    copied,
    fresh,
    mean,
    of,
    relabelled,
    step,
    times,
)
from tpc.derivation.walking import Use
from tpc.exact import Constant
from tpc.feature.matrix import Matrix, Outer
from tpc.feature.value import Value, plus
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.derivation.walking import Walk
    from tpc.ir.node import Node

BATCH_SIZE = of(Symbol("B", "number"))
_STAGE = "feature-learning equation"


def contraction(node: Node, walk: Walk) -> Expression | Sheet:
    """Return the Z of a contraction (see :class:`tpc.ops.contract.Contract`)."""
    x, y = node.operands
    if walk.sheet(x) is not None or walk.sheet(y) is not None:
        return _action(node, walk)
    labels = _labels(node, walk)
    left, right = (
        walk.entry(operand, tuple(labels[a] for a in node.attrs[side]))
        for operand, side in ((x, "left"), (y, "right"))
    )
    if node.type.sort > 1:
        return _outer(node, walk, left, right, labels)
    found = times(left, right)
    wide = _contracted_width(node)
    if wide is not None:
        found = mean(found).scaled(wide)
    summed = _summed(node, labels)
    if node.attrs["sum_batch"]:
        bound = fresh("sample")
        found, summed = relabelled(found, {SAMPLE: bound}), (bound, *summed)
    return found.summed(*summed)


def width_sum(node: Node, walk: Walk) -> Expression:
    """Return the Z of a sum over axes: over a width, n times an expectation."""
    (x,) = node.operands
    kept = iter(walk.axes[node])
    axes, summed, wide = list[Label | None](), list[Label](), None
    for axis, (own, dim) in enumerate(zip(walk.axes[x], x.type.dims, strict=True)):
        if axis not in node.attrs["axes"]:
            axes.append(next(kept))
            continue
        label = None if own is None else fresh("axis")
        axes.append(label)
        summed += [] if label is None else [label]
        wide = Constant.of(dim.count) if dim.width else wide
    found = walk.entry(x, tuple(axes))
    return (found if wide is None else mean(found).scaled(wide)).summed(*summed)


def shared(node: Node) -> set[int]:
    """Return the labels of a contraction that are summed over."""
    found: set[int] = (set(node.attrs["left"]) & set(node.attrs["right"])) - set(node.attrs["out"])
    return found


def _dims(node: Node) -> dict[int, tuple[Fraction | int, bool]]:
    found: dict[int, tuple[Fraction | int, bool]] = {}
    for operand, side in zip(node.operands, ("left", "right"), strict=True):
        for label, dim in zip(node.attrs[side], operand.type.dims, strict=True):
            found[label] = (dim.count, dim.width)
    return found


def _labels(node: Node, walk: Walk) -> dict[int, Label | None]:
    """Return what stands for the labels of a contraction: those of the result, or fresh ones."""
    found = dict(zip(node.attrs["out"], walk.axes[node], strict=True))
    for label, (count, wide) in _dims(node).items():
        if label not in found:
            found[label] = None if wide or count == 1 else fresh("axis")
    return found


def _summed(node: Node, labels: dict[int, Label | None]) -> tuple[Label, ...]:
    return tuple(label for a in sorted(shared(node)) if (label := labels[a]) is not None)


def _contracted_width(node: Node) -> Constant | None:
    dims = _dims(node)
    counts = [dims[a][0] for a in shared(node) if dims[a][1]]
    return Constant.of(Fraction(counts[0])) if counts else None


def _outer(
    node: Node, walk: Walk, left: Expression, right: Expression, labels: dict[int, Label | None]
) -> Sheet:
    """A sum of outer products: what a training step adds to a matrix."""
    value = walk.powers.at(node, None)
    assert isinstance(value, Matrix)
    if not value.terms or left.is_zero or right.is_zero:
        return Sheet()
    (sample,) = value.terms
    assert isinstance(sample, Outer)
    bound = _summed(node, labels)
    if node.attrs["sum_batch"]:
        each = fresh("sample")
        left, right = (relabelled(x, {SAMPLE: each}) for x in (left, right))
        bound = (each, *bound)
    row = next(a for a in node.attrs["left"] if _dims(node)[a][1])
    if node.attrs["out"][0] != row:
        left, right = right, left
    return Sheet((Step(left, right, Constant.of(1), bound, sample),))


def _action(node: Node, walk: Walk) -> Expression:
    """MatMul: a matrix, or its transpose, on a vector."""
    x, y = node.operands
    first = walk.sheet(x) is not None
    matrix, vector = (x, y) if first else (y, x)
    sheet = walk.sheet(matrix)
    of_matrix, of_vector = node.attrs["left"], node.attrs["right"]
    if not first:
        of_matrix, of_vector = of_vector, of_matrix
    if sheet is None or walk.sheet(vector) is not None or vector.type.sort != 1:
        raise MissingRule(node, _STAGE, "products of matrices with matrices")
    if of_matrix[1] not in shared(node):
        sheet = sheet.transposed
    labels = _labels(node, walk)
    argument = walk.entry(vector, tuple(labels[a] for a in of_vector))
    value, found = walk.powers.at(vector, None), ZERO
    assert isinstance(value, Value)
    count = _contracted_width(node)
    assert count is not None
    for term in sheet.terms:
        if isinstance(term, Start):
            if plus(term.power, value.power) == walk.powers.of(node) and not argument.is_zero:
                found = found + _revealed(node, walk, term, vector, argument, count)
        elif isinstance(term, Grown):
            if term.on(value) == walk.powers.of(node) and not argument.is_zero:
                found = found + _grown(term, argument).scaled(term.constant * count)
        elif term.on(value) == walk.powers.of(node):
            overlap = mean(times(term.right, argument))
            found = found + times(term.left, overlap).scaled(term.constant * count).summed(
                *term.bound
            )
    return found


def _grown(term: Grown, argument: Expression) -> Expression:
    """Entries of updates on a vector: an expectation over the coordinates that are summed."""
    symbol = replace(term.symbol, name=term.symbol.name + "'") if term.transposed else term.symbol
    return of(CopyMean(times(of(symbol), copied(argument))))


def _revealed(
    node: Node, walk: Walk, start: Start, vector: Node, argument: Expression, count: Constant
) -> Expression:
    """Z of an initial matrix on a vector: the hat part, and the dot part where there is one."""
    (term,) = argument.terms
    (symbol,) = term.factors
    assert isinstance(symbol, Symbol)
    use = Use(start, node, vector, symbol)
    walk.met.append(use)
    hat = Image("hat", start.weight, start.transposed, symbol)
    found = of(hat)
    if walk.partners(use):
        found = found + of(Image("dot", start.weight, start.transposed, symbol))
    if start.factor is not None:
        found = found.by(start.factor)
    return found.scaled(start.constant)


def dot_part(use: Use, walk: Walk, variance: Constant) -> Expression:
    """Return the dot part of a product: ``sigma^2 sum Z^y E[dZ^x / dZhat^{W^T y}]``.

    The sum is over all vectors y that the transpose has acted on before.
    """
    found = ZERO
    for other, steps in walk.partners(use):
        for at, present in steps:
            found = found + _correction(use, other, at, present).scaled(variance)
    return found


def _correction(use: Use, other: Use, at: int | None, present: bool) -> Expression:
    bound: list[Label] = []
    here = S if at is None else step(at)
    if at is None:
        bound.append(PAST_OR_NOW if present else PAST)
    symbol = other.symbol
    sample = None
    if symbol.sample is not None:
        sample = fresh("sample")
        bound.append(sample)
    axes = tuple(fresh("axis") for _ in symbol.axes)
    bound += axes
    y = Symbol(symbol.name, symbol.kind, here, sample, axes)
    hat = Image("hat", other.start.weight, other.start.transposed, y)
    return Expression((Term(Constant.of(1), (y, Slope(use.symbol, hat)), tuple(bound)),))
