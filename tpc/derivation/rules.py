"""The Z of a node in terms of those of its operands: one rule for each op.

Nonlin: an op that acts coordinate by coordinate does to Z what it does to coordinates. What
differs, sums over a width and products with matrices, is in :mod:`tpc.derivation.products`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.derivation.products import BATCH_SIZE
from tpc.derivation.sheet import Sheet
from tpc.derivation.symbols import (
    SAMPLE,
    ZERO,
    Applied,
    Entry,
    Expression,
    Label,
    Power,
    Symbol,
    fresh,
    number,
    of,
    relabelled,
    times,
)
from tpc.exact import Constant
from tpc.feature.rules import exact_power
from tpc.ops.base import MissingRule
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from tpc.derivation.walking import Axes, Walk
    from tpc.exact import Coefficient
    from tpc.ir.node import Node

STAGE = "feature-learning equation"
_ALL = Label("axis", name=".")


def written(node: Node, walk: Walk) -> Expression | Sheet:
    """Return the Z of a node.

    Raises:
        MissingRule: the op, or this use of it, has no rule.
    """
    if not node.op.takes_matrices and any(walk.sheet(x) is not None for x in node.operands):
        raise MissingRule(node, STAGE, "it is applied to the entries of a matrix")
    return node.op.equation(node, walk)


def _last(node: Node, operand: Node, walk: Walk) -> Axes:
    """Return the labels of an operand whose axes are matched from the last one."""
    axes = walk.axes[node]
    return axes[len(axes) - operand.type.rank :]


def by(node: Node, coefficient: Coefficient, walk: Walk) -> Expression | Sheet:
    """Return a multiple."""
    (x,) = node.operands
    sheet = walk.sheet(x)
    if sheet is not None:
        return sheet.scaled(coefficient.constant, exact_power(coefficient, node))
    return walk.entry(x, walk.axes[node]).scaled(coefficient.constant)


def per_sample(node: Node, walk: Walk) -> Expression | Sheet:
    """Return the share of one sample."""
    (x,) = node.operands
    sheet, share = walk.sheet(x), Power(BATCH_SIZE, Fraction(-1))
    if sheet is not None:
        return sheet.at({}, factor=share)
    return walk.entry(x, walk.axes[node]).by(share)


def same(node: Node, walk: Walk) -> Expression | Sheet:
    """Return the operand."""
    (x,) = node.operands
    return walk.sheet(x) or walk.entry(x, walk.axes[node])


def added(node: Node, walk: Walk) -> Expression | Sheet:
    """Return a sum of what is of its order."""
    sheets = [walk.sheet(x) for x in node.operands]
    if all(sheet is not None for sheet in sheets):
        return sum((sheet for sheet in sheets if sheet is not None), Sheet())
    if any(sheet is not None for sheet in sheets):
        raise MissingRule(node, STAGE, "it is applied to the entries of a matrix")
    found = ZERO
    for x in node.operands:
        if walk.is_kept(x, node):
            found = found + walk.entry(x, _last(node, x, walk))
    return found


def batch_sum(node: Node, walk: Walk) -> Expression:
    """Return a sum over the samples of a batch."""
    (x,) = node.operands
    found = walk.entry(x, walk.axes[node])
    if not x.type.batched:
        return times(BATCH_SIZE, found)
    bound = fresh("sample")
    return relabelled(found, {SAMPLE: bound}).summed(bound)


def batch_mean(node: Node, walk: Walk) -> Expression:
    """Return a mean over the samples of a batch."""
    if not node.operands[0].type.batched:
        return walk.entry(node.operands[0], walk.axes[node])
    return batch_sum(node, walk).by(Power(BATCH_SIZE, Fraction(-1)))


def multiplied(node: Node, walk: Walk) -> Expression:
    """Return an entrywise product."""
    x, y = node.operands
    return times(
        walk.entry(x, _last(node, x, walk)),
        walk.entry(y, _last(node, y, walk)),
    )


def _settled(x: Node, axes: Axes | None, walk: Walk) -> Expression:
    """Return what a nonlinearity sees: a value of negative power tends to zero."""
    return walk.entry(x, axes) if walk.powers.of(x) == 0 else ZERO


def applied(node: Node, walk: Walk) -> Expression:
    """Return a nonlinearity, coordinate by coordinate."""
    activation, (x,) = node.attrs["activation"], node.operands
    inside = _settled(x, walk.axes[node], walk)
    if activation.is_linear:
        return inside.scaled(activation.polynomial()[1])
    if inside.is_zero and activation.parity == "odd":
        return ZERO
    return of(Applied(activation, inside))


def raised(node: Node, walk: Walk) -> Expression:
    """Return a power."""
    inside = walk.entry(node.operands[0], walk.axes[node])
    return inside if inside.is_zero else of(Power(inside, node.attrs["exponent"]))


def filled(node: Node) -> Expression | Sheet:
    """Return a constant."""
    if node.type.sort > 1:
        return Sheet()
    return number(node.attrs["coefficient"].constant)


def transposed(node: Node, walk: Walk) -> Expression | Sheet:
    """Return axes in another order."""
    (x,) = node.operands
    sheet = walk.sheet(x)
    if sheet is not None:
        return sheet.transposed
    axes: list[Label | None] = [None] * x.type.rank
    for label, axis in zip(walk.axes[node], node.attrs["order"], strict=True):
        axes[axis] = label
    return walk.entry(x, tuple(axes))


def entry(node: Node, walk: Walk) -> Expression:
    """An entry of a function of whole tensors."""
    arguments = tuple(
        walk.entry(x, tuple(None if a is None else _ALL for a in walk.axes[x]))
        for x in node.operands
    )
    return of(Entry(_title(node), arguments, _finite(walk.axes[node])))


def settled_entry(node: Node, walk: Walk) -> Expression:
    """Return an entry of a nonlinear function of whole tensors."""
    arguments = tuple(
        _settled(x, tuple(None if a is None else _ALL for a in walk.axes[x]), walk)
        for x in node.operands
    )
    return of(Entry(_title(node), arguments, _finite(walk.axes[node])))


def gathered(node: Node, walk: Walk) -> Expression:
    """A row of a table: the sum over all rows times an indicator."""
    table, ids = node.operands
    axes = walk.axes[node]
    row = None if table.type.dims[0].count == 1 else fresh("axis")
    found = walk.entry(table, (row, *axes[ids.type.rank :]))
    return found if row is None else found.by(_is(row, ids, axes, walk)).summed(row)


def scattered(node: Node, walk: Walk) -> Expression:
    """Rows added to those of a table that integers name."""
    x, ids = node.operands
    axes = tuple(None if dim.count == 1 else fresh("axis") for dim in ids.type.dims)
    row, *rest = walk.axes[node]
    found = walk.entry(x, (*axes, *rest))
    if row is not None:
        found = found.by(_is(row, ids, axes, walk))
    bound = _finite(axes)
    if node.attrs["sum_batch"]:
        sample = fresh("sample")
        found, bound = relabelled(found, {SAMPLE: sample}), (sample, *bound)
    return found.summed(*bound)


def _is(row: Label, ids: Node, axes: Axes, walk: Walk) -> Entry:
    """Return the indicator of the row that an integer names."""
    return Entry("delta", (walk.entry(ids, axes[: ids.type.rank]),), (row,))


def _title(node: Node) -> str:
    described = node.op.describe(node.attrs)
    return (
        f"{node.op.name}<{described}>"
        if isinstance(node.op, IndexMap) and described
        else (node.op.name)
    )


def _finite(axes: Axes) -> tuple[Label, ...]:
    return tuple(label for label in axes if label is not None)


def given(node: Node, walk: Walk) -> Expression:
    """Return an input or target."""
    name = node.attrs["name"]
    at = walk.now if walk.module.inputs[name].role == "noise" else None
    return of(Symbol(name, "data", at, SAMPLE, _finite(walk.axes[node])))


def literal(node: Node, walk: Walk) -> Expression:
    """Return a constant table."""
    if node.type.rank == 0:
        return number(Constant.of(Fraction(float(node.attrs["table"].array))))
    return of(Entry("constant", (), _finite(walk.axes[node])))
