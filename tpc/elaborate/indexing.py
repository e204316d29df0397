"""``x[t]``, ``x[1..3]``, ``U[ids]``, ``W[l]``: positions count from 1 and are checked here."""

from __future__ import annotations

from collections.abc import Iterator

from tpc.diagnostics import Span
from tpc.elaborate import numbers
from tpc.elaborate.context import LONGEST_LOOP, Context, Scope
from tpc.elaborate.expressions import evaluate, tensor
from tpc.elaborate.values import Family, Value, describe
from tpc.exact import Coefficient
from tpc.ir.node import Node
from tpc.ops.base import OpTypeError
from tpc.ops.gather import gather
from tpc.ops.index import index as index_op
from tpc.ops.slice import slice_
from tpc.syntax import tree

Place = tree.Expression | tree.Range


def index(context: Context, scope: Scope, expression: tree.Index) -> Value:
    """The member of a family, or the part of a tensor.

    Raises:
        Failed: there is no such one; the reporter knows.
    """
    value = evaluate(context, scope, expression.value)
    if isinstance(value, Family):
        return _member(context, scope, value, expression)
    node = tensor(context, value, expression.value.span)
    axis = 0
    for place in expression.places:
        if axis >= node.type.rank:
            _too_many(context, node, expression)
        if isinstance(place, tree.Range):
            node = _slice(context, scope, node, axis, place, expression)
            axis += 1
        else:
            node, axis = _entry(context, scope, node, axis, place, expression)
    return node


def _too_many(context: Context, node: Node, expression: tree.Index) -> None:
    count = len(expression.places)
    raise context.reporter.failure(
        "E0304",
        f"{count} {'index' if count == 1 else 'indices'} for too few axes",
        expression.span,
        (expression.value.span, describe(node)),
        help="each index takes one axis, from the first on",
    )


def _entry(
    context: Context,
    scope: Scope,
    node: Node,
    axis: int,
    place: tree.Expression,
    expression: tree.Index,
) -> tuple[Node, int]:
    position = evaluate(context, scope, place)
    if isinstance(position, Node):
        return _look_up(context, node, axis, position, place, expression), axis
    _check_finite(context, node, axis, place.span, expression)
    at = numbers.integer(position, place.span, "an index", context.reporter)
    extent = int(node.type.dims[axis].count)
    _check_position(context, at, extent, place.span, expression.value.span, node)
    return index_op(node, axis, at - 1), axis


def _look_up(
    context: Context,
    node: Node,
    axis: int,
    ids: Node,
    place: tree.Expression,
    expression: tree.Index,
) -> Node:
    if axis or len(expression.places) > 1:
        raise context.reporter.failure(
            "E0304",
            "a look-up stands alone between the brackets",
            place.span,
            help="`U[ids]` takes rows of U; index the result: `U[ids][t]`",
        )
    try:
        return gather(node, ids)
    except OpTypeError as error:
        labels = [(expression.value.span, describe(node)), (place.span, describe(ids))]
        raise context.reporter.failure(
            "E0303", error.message, expression.span, *labels, help=error.help
        ) from error


def _check_finite(
    context: Context, node: Node, axis: int, span: Span, expression: tree.Index
) -> None:
    if node.type.dims[axis].width:
        raise context.reporter.failure(
            "E0305",
            "a width axis cannot be indexed",
            span,
            (expression.value.span, f"{describe(node)}; axis {axis + 1} is a width"),
            help="coordinates of the width are exchangeable: reduce them with `mean` or `@`",
        )


def _check_position(
    context: Context, at: int, extent: int, span: Span, owner: Span, node: Node
) -> None:
    if 1 <= at <= extent:
        return
    help = f"positions run from 1 to {extent}"
    if at <= 0:
        help = f"indices count from 1, so the first is 1 and the last {extent}"
    raise context.reporter.failure(
        "E0304", f"the index {at} is out of range", span, (owner, describe(node)), help=help
    )


def _slice(
    context: Context,
    scope: Scope,
    node: Node,
    axis: int,
    place: tree.Range,
    expression: tree.Index,
) -> Node:
    _check_finite(context, node, axis, place.span, expression)
    first, last = bounds(context, scope, place)
    extent = int(node.type.dims[axis].count)
    _check_position(context, first, extent, place.first.span, expression.value.span, node)
    _check_position(context, last, extent, place.last.span, expression.value.span, node)
    if last < first:
        raise context.reporter.failure(
            "E0304",
            f"the range {first}..{last} is empty",
            place.span,
            help="an axis has a position",
        )
    return slice_(node, axis, first - 1, last)


def bounds(context: Context, scope: Scope, extent: tree.Range) -> tuple[int, int]:
    """Both ends of a range, which are included."""
    reporter = context.reporter
    first = evaluate(context, scope, extent.first)
    last = evaluate(context, scope, extent.last)
    for value, side in ((first, extent.first), (last, extent.last)):
        if isinstance(value, Coefficient) and value.power != 0:
            raise reporter.failure(
                "E0703",
                "a range cannot run to the width: it would never end",
                side.span,
                help="ranges have finite ends, such as a `size`",
            )
    return (
        numbers.integer(first, extent.first.span, "the end of a range", reporter),
        numbers.integer(last, extent.last.span, "the end of a range", reporter),
    )


def positions(context: Context, scope: Scope, extent: tree.Range) -> range:
    """The values of a loop's index.

    Raises:
        Failed: there are too many; the reporter knows.
    """
    first, last = bounds(context, scope, extent)
    if last - first >= LONGEST_LOOP:
        raise context.reporter.failure(
            "E0703",
            f"this range has {last - first + 1:,} values; at most {LONGEST_LOOP:,} are unrolled",
            extent.span,
            help="loops are written out; make the range shorter",
        )
    return range(first, last + 1)


def key(context: Context, scope: Scope, places: tuple[Place, ...]) -> tuple[int, ...]:
    """The indices of a family's member."""
    return tuple(_key(context, scope, places))


def _key(context: Context, scope: Scope, places: tuple[Place, ...]) -> Iterator[int]:
    for place in places:
        if isinstance(place, tree.Range):
            raise context.reporter.failure(
                "E0401",
                "a family is indexed by one integer, not by a range",
                place.span,
                help="collect members: `stack(s[t] for t in 1..3)`",
            )
        value = evaluate(context, scope, place)
        yield numbers.integer(value, place.span, "the index of a family", context.reporter)


def _member(context: Context, scope: Scope, family: Family, expression: tree.Index) -> Value:
    wanted = key(context, scope, expression.places)
    if wanted in family.members:
        return family.members[wanted]
    shown = ", ".join(str(each) for each in wanted)
    raise context.reporter.failure(
        "E0401",
        f"there is no `{family.name}[{shown}]`",
        expression.span,
        help=_members_help(family, len(wanted)),
    )


def _members_help(family: Family, count: int) -> str:
    if not family.members:
        return f"`{family.name}` has no members: its range is empty"
    known = sorted(family.members)
    if len(known[0]) != count:
        return f"`{family.name}` takes {len(known[0])} indices"
    first, last = (", ".join(map(str, each)) for each in (known[0], known[-1]))
    return f"its members run from `{family.name}[{first}]` to `{family.name}[{last}]`"
