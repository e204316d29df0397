"""What a contraction is in the limit: weights against values, and products of values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpc.exact import Coefficient
from tpc.limit.expressions import Slice
from tpc.limit.forms import Data, Entry, Form, Function, Gaussian, Index, Mean, Polynomial
from tpc.limit.moment import block_size
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ir.types import Dim
    from tpc.limit.moments import MomentContext

Labels = tuple[int, ...]
PLACE = -5
"""Marks, in the index of a part of an entry, an input's."""


def contraction(node: Node, index: Index, context: MomentContext) -> Form:
    """Return the form of an entry of ``contract`` (attributes as there).

    Raises:
        MissingRule: a product of two matrices.
    """
    if node.attrs["sum_batch"]:
        raise MissingRule(node, "limit", "a sum over the samples of a batch")
    x, y = node.operands
    left, right = node.attrs["left"], node.attrs["right"]
    weights = [_random_weight(operand, context) for operand in (x, y)]
    if all(weights) and x.type.sort == y.type.sort == 2:
        raise MissingRule(node, "limit", "a product of two weights")
    if weights[0] and not (weights[1] and y.type.sort > x.type.sort):
        return _against_weight(node, index, context, (x, left), (y, right))
    if weights[1]:
        return _against_weight(node, index, context, (y, right), (x, left))
    rows = [_looked_up(operand, context) for operand in (x, y)]
    for own, operand, labels, value in (
        (rows[0], x, left, (y, right)),
        (rows[1], y, right, (x, left)),
    ):
        if own is not None and not (all(rows) and value[0].type.sort > operand.type.sort):
            found = _against_rows(node, index, context, (operand, labels, own), value)
            if found is not None:
                return found
    return _of_values(node, index)


def summed(x: Node, axes: tuple[int, ...], index: Index) -> Form:
    """Return the form of an entry of the sum of x over axes."""
    size, averaged = Coefficient.of(1), False
    for axis in axes:
        if x.type.dims[axis].width:
            size, averaged = size * block_size(x.type.dims[axis].count), True
    kept = iter(index)
    runs = [
        range(dim.concrete(1)) if axis in axes else (next(kept),)
        for axis, dim in enumerate(x.type.dims)
    ]
    terms = tuple((size, ((x, place),)) for place in itertools.product(*runs))
    return Mean(terms) if averaged else Polynomial(terms)


def lookup(node: Node, index: Index, context: MomentContext) -> Form:
    """Return the form of an entry of ``gather``: a weight against a token's indicator vector.

    Raises:
        MissingRule: a table that is no weight, or integers that are no input's.
    """
    from tpc.ops.param import PARAM

    table, ids = node.operands
    if table.op is not PARAM:
        raise MissingRule(node, "limit", "a look-up in something else than a weight")
    spec = context.params[table.attrs["name"]]
    if spec.init == "zero":
        return Polynomial(())
    if spec.init == "one":
        return Polynomial(((Coefficient.of(1), ()),))
    place = token(ids, index[: ids.type.rank], context)
    return Gaussian(spec.name, data=place, weight=(None, *index[ids.type.rank :]))


def _looked_up(node: Node, context: MomentContext) -> Node | None:
    """Return the random weight whose rows a node looks up, or None."""
    from tpc.ops.gather import GATHER

    if node.op is not GATHER:
        return None
    table = weight_below(node.operands[0])
    found = table is node.operands[0] and _random_weight(table, context)
    return table if found else None


def _against_rows(
    node: Node,
    index: Index,
    context: MomentContext,
    rows: tuple[Node, Labels, Node],
    value: tuple[Node, Labels],
) -> Form | None:
    """Return the form of looked-up rows against values over the width, None for other sums."""
    operand, labels, table = rows
    ids = operand.operands[1]
    summed = {label for label in _dims(node) if label not in node.attrs["out"]}
    places, rest = labels[: ids.type.rank], labels[ids.type.rank :]
    dims = _dims(node)
    if summed & set(places) or not any(dims[label].width for label in summed & set(rest)):
        return None
    spec = context.params[table.attrs["name"]]
    if spec.init == "zero":
        return Polynomial(())
    contracted = tuple(
        axis for axis, label in enumerate(rest, 1) if label in summed and dims[label].width
    )
    terms = []
    for place in _assignments(node, index):
        entry: Entry = (value[0], _at(value[1], place))
        if context.form(entry) != Polynomial(()):
            terms.append(((-1, *_at(rest, place)), entry))
    fixed = dict(zip(node.attrs["out"], index, strict=True))
    return Gaussian(
        spec.name, tuple(terms), contracted, row=token(ids, _at(places, fixed), context)
    )


def token(ids: Node, index: Index, context: MomentContext) -> Slice:
    """Return where a token stands in an integer input.

    Raises:
        MissingRule: the integers are not entries of an input.
    """
    from tpc.ops.index_map import IndexMap
    from tpc.ops.input import INPUT

    while isinstance(ids.op, IndexMap):
        source = context.source(ids, index)
        assert source is not None
        ids, index = source
    if ids.op is not INPUT:
        raise MissingRule(ids, "limit", "integers that are computed")
    return Slice(ids.attrs["name"], index, tokens=True)


def scattered(node: Node, index: Index, context: MomentContext) -> Form:
    """Return the form of an entry of ``scatter_add``: a sum of the rows whose token this is.

    Raises:
        MissingRule: integers that are no input's, or a sum over the samples of a batch.
    """
    if node.attrs["sum_batch"]:
        raise MissingRule(node, "limit", "a sum over the samples of a batch")
    x, ids = node.operands
    terms = []
    for place in itertools.product(*(range(int(dim.count)) for dim in ids.type.dims)):
        chosen = is_token(context, (node, index), token(ids, place, context), index[0])
        terms.append((Coefficient.of(1), (chosen, (x, (*place, *index[1:])))))
    return Polynomial(tuple(terms))


def is_token(context: MomentContext, owner: Entry, place: Slice, value: int) -> Entry:
    """Return an entry that is one where an input's token is the 0-based ``value``, else zero."""
    from tpc.ops.one_hot import indicator

    inside = tuple(axis for axis in place.place if axis is not None)
    where: Entry = (owner[0], (*owner[1], PLACE, *inside))
    context.define(where, Data(place.name, inside))
    found: Entry = (owner[0], (*owner[1], PLACE, *inside, PLACE, value))
    context.define(found, Function(indicator(value), where))
    return found


def _random_weight(node: Node, context: MomentContext) -> bool:
    param = weight_below(node)
    return param is not None and context.params[param.attrs["name"]].init != "one"


def _of_values(node: Node, index: Index) -> Form:
    """Sums over finite axes are sums, those over a width are averages."""
    x, y = node.operands
    left, right = node.attrs["left"], node.attrs["right"]
    size = Coefficient.of(1)
    averaged = False
    for label, dim in _dims(node).items():
        if dim.width and label not in node.attrs["out"]:
            size, averaged = size * block_size(dim.count), True
    terms = tuple(
        (size, ((x, _at(left, place)), (y, _at(right, place))))
        for place in _assignments(node, index)
    )
    return Mean(terms) if averaged else Polynomial(terms)


def weight_below(node: Node) -> Node | None:
    """Return the param whose entries these are, moved about at most, or None."""
    from tpc.ops.index_map import IndexMap
    from tpc.ops.param import PARAM

    while isinstance(node.op, IndexMap) and len(node.operands) == 1:
        node = node.operands[0]
    return node if node.op is PARAM else None


def readout_below(node: Node) -> Node | None:
    """Return the param whose entries, or looked-up rows, these are, or None."""
    from tpc.ops.gather import GATHER

    return weight_below(node.operands[0] if node.op is GATHER else node)


def input_slice(node: Node) -> Slice | None:
    """Return the part of an input that a node is, or None: the input itself, or entries of it."""
    from tpc.ops.index import INDEX
    from tpc.ops.input import INPUT
    from tpc.ops.one_hot import ONE_HOT

    if node.op is ONE_HOT and node.operands[0].op is INPUT:
        ids = node.operands[0]
        return Slice(ids.attrs["name"], (None,) * ids.type.rank, tokens=True)
    taken = []
    while node.op is INDEX:
        taken.append((node.attrs["axis"], node.attrs["position"]))
        node = node.operands[0]
    if node.op is not INPUT or node.type.below is not None:
        return None
    place: list[int | None] = [None] * (node.type.rank - len(taken))
    for axis, position in taken:
        place.insert(axis, position)
    return Slice(node.attrs["name"], tuple(place))


def _dims(node: Node) -> dict[int, Dim]:
    found: dict[int, Dim] = {}
    for operand, labels in zip(
        node.operands, (node.attrs["left"], node.attrs["right"]), strict=True
    ):
        found.update(zip(labels, operand.type.dims, strict=True))
    return found


def _assignments(node: Node, index: Index) -> Iterator[dict[int, int]]:
    """Yield positions of all labels, those of the result fixed, the others running."""
    dims, out = _dims(node), node.attrs["out"]
    summed = [label for label in dims if label not in out]
    fixed = dict(zip(out, index, strict=True))
    for positions in itertools.product(*(range(dims[label].concrete(1)) for label in summed)):
        yield fixed | dict(zip(summed, positions, strict=True))


def _at(labels: Labels, place: dict[int, int]) -> Index:
    return tuple(place[label] for label in labels)


def _against_weight(
    node: Node,
    index: Index,
    context: MomentContext,
    weight: tuple[Node, Labels],
    value: tuple[Node, Labels],
) -> Form:
    holder, labels = weight
    param = weight_below(holder)
    assert param is not None
    spec = context.params[param.attrs["name"]]
    if spec.init == "zero":
        return Polynomial(())
    widths = [label for label, dim in zip(labels, holder.type.dims, strict=True) if dim.width]
    summed = {label for label in _dims(node) if label not in node.attrs["out"]}
    order = width_order(holder)
    contracted = tuple(sorted(order[i] for i, label in enumerate(widths) if label in summed))
    compact = _on_input(node, index, weight, value, summed)
    if compact is not None:
        data, pattern = compact
        return Gaussian(spec.name, contracted=contracted, data=data, weight=pattern)
    terms = []
    for place in _assignments(node, index):
        entry: Entry = (value[0], _at(value[1], place))
        position = _position(holder, _at(labels, place), context)
        if position is not None and context.form(entry) != Polynomial(()):
            terms.append((position, entry))
    return Gaussian(spec.name, tuple(terms), contracted)


def _on_input(
    node: Node,
    index: Index,
    weight: tuple[Node, Labels],
    value: tuple[Node, Labels],
    summed: set[int],
) -> tuple[Slice, tuple[int | None, ...]] | None:
    """Return input slice and weight pattern where a whole weight meets an input along all sums."""
    holder, labels = weight
    data = input_slice(value[0])
    if data is None or holder is not weight_below(holder):
        return None
    free = [label for label in value[1] if label in summed]
    if free != [label for label in labels if label in summed] or not free:
        return None
    if data.tokens and value[1][-1] not in summed:
        return None
    fixed = dict(zip(node.attrs["out"], index, strict=True))
    pattern = tuple(None if label in summed else fixed[label] for label in labels)
    positions = iter(None if label in summed else fixed[label] for label in value[1])
    place = tuple(next(positions) if axis is None else axis for axis in data.place)
    return Slice(data.name, place, data.tokens), pattern


def _position(holder: Node, index: Index, context: MomentContext) -> Index | None:
    """Return where an entry of a moved weight stands in the weight (None: a zero put there)."""
    while holder.operands:
        moves = context.source(holder, index)
        if moves is None:
            return None
        holder, index = moves
    return index


def width_order(holder: Node) -> list[int]:
    """Return which axis of the weight each width axis of a moved weight is."""
    from tpc.ops.transpose import TRANSPOSE

    chain = [holder]
    while chain[-1].operands:
        chain.append(chain[-1].operands[0])
    order = list(chain[-1].type.width_axes)
    for before, after in itertools.pairwise(reversed(chain)):
        if after.op is TRANSPOSE:
            widths = list(before.type.width_axes)
            moved = [axis for axis in after.attrs["order"] if axis in widths]
            order = [order[widths.index(axis)] for axis in moved]
    return order
