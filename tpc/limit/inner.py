"""Inner products of gradients: limits of ``<df(x)/dW, df(x')/dW>``."""

from __future__ import annotations

import itertools

from tpc.exact import Affine, Coefficient
from tpc.ir.node import Node
from tpc.limit import expressions as ex
from tpc.limit.contraction import input_slice, token, weight_below
from tpc.limit.forms import Entry
from tpc.limit.moment import (
    NOTHING,
    Moment,
    TooMany,
    block_size,
    product,
    scaled,
    total,
)
from tpc.limit.moments import MomentContext
from tpc.ops.base import MissingRule
from tpc.ops.contract import CONTRACT
from tpc.ops.gather import SCATTER_ADD

MAX_ENTRIES = 20_000


SMALLER = (
    "kernels of large images and long sequences are not supported yet: make the finite axes smaller"
)


def inner(g: Node, h: Node, context: MomentContext, cross: bool) -> Moment:
    """Return the limit of the inner product of g at x and h at x' (at x unless ``cross``).

    Raises:
        MissingRule: a matrix that is no sum of outer products.
    """
    if g.type.sort == g.type.rank == h.type.rank == 1:
        return _entrywise(g, h, context, cross)
    memo: dict[tuple[Node, Node], Moment] = {}
    parts_g, parts_h = _addends(g), _addends(h)
    found = []
    for c, a in parts_g:
        for d, b in parts_h:
            if (a, b) not in memo:
                memo[a, b] = _inner_of(a, b, context, cross)
            found.append(scaled(memo[a, b], c * d))
    return total(found)


def _addends(node: Node) -> list[tuple[Coefficient, Node]]:
    from tpc.ops.add import ADD
    from tpc.ops.scale import SCALE

    found, todo = [], [(Coefficient.of(1), node)]
    while todo:
        factor, each = todo.pop()
        if each.op is SCALE:
            todo.append((factor * each.attrs["coefficient"], each.operands[0]))
        elif each.op is ADD and all(o.type.dims == each.type.dims for o in each.operands):
            todo.extend((factor, operand) for operand in reversed(each.operands))
        else:
            found.append((factor, each))
    return found


def _inner_of(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    slices = input_slice(a), input_slice(b)
    if slices[0] is not None and slices[1] is not None:
        return Moment(ex.gram(slices[0], slices[1], cross), Affine.of(0))
    if _is_outer(a) and _is_outer(b) and _pattern(a) == _pattern(b):
        sides = zip(a.operands, b.operands, strict=True)
        return product(*(inner(u, v, context, cross) for u, v in sides))
    if a.op is b.op is SCATTER_ADD and not (a.attrs["sum_batch"] or b.attrs["sum_batch"]):
        return _scattered(a, b, context, cross)
    if _is_sum_of_outer(a) and _is_sum_of_outer(b) and _pattern(a) == _pattern(b):
        return _slices(a, b, context, cross)
    if a.type.sort == 2:
        return _matrices(a, b, context, cross)
    return _entrywise(a, b, context, cross)


def _pattern(node: Node) -> tuple[object, ...]:
    return tuple(node.attrs[key] for key in ("left", "right", "out"))


def _is_outer(node: Node) -> bool:
    if node.op is not CONTRACT or node.attrs["sum_batch"]:
        return False
    left, right = node.attrs["left"], node.attrs["right"]
    return not set(left) & set(right) and weight_below(node.operands[0]) is None


def _is_sum_of_outer(node: Node) -> bool:
    """Whether a node is a sum of vectors times whole parts of something without a width."""
    if node.op is not CONTRACT or node.attrs["sum_batch"]:
        return False
    left, right, out = _pattern_labels(node)
    x, y = node.operands
    sorts = {x.type.sort, y.type.sort}
    if weight_below(x) is not None or weight_below(y) is not None:
        return False
    summed = (set(left) | set(right)) - set(out)
    return sorts == {0, 1} and summed == set(left) & set(right) and not set(summed) & set(out)


def _slices(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    """Return ``sum over t, t' of <u_t, u_t'> <v_t, v_t'>`` for ``sum_t u_t v_t^T``."""
    left, right = (_parts(node) for node in (a, b))
    found = []
    for u, v in left:
        for w, z in right:
            found.append(product(inner(u, w, context, cross), inner(v, z, context, cross)))
    return total(found)


def _scattered(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    """Return ``sum over t, t' of [ids_t = ids'_t'] <u_t, u_t'>`` for rows added up by tokens."""
    from tpc.ops.index import index

    sides = []
    for x, ids in (a.operands, b.operands):
        rows = []
        for place in itertools.product(*(range(int(dim.count)) for dim in ids.type.dims)):
            row = x
            for position in place:
                row = index(row, 0, position)
            rows.append((token(ids, place, context), row))
        sides.append(rows)
    found = []
    for left, u in sides[0]:
        for right, v in sides[1]:
            same = Moment(ex.gram(left, right, cross), Affine.of(0))
            found.append(product(same, inner(u, v, context, cross)))
    return total(found)


def _parts(node: Node) -> list[tuple[Node, Node]]:
    from tpc.ops.index import index

    left, right, out = _pattern_labels(node)
    x, y = node.operands
    summed = [label for label in left if label not in out]
    extents = [range(int(x.type.dims[left.index(label)].count)) for label in summed]
    found = []
    for place in itertools.product(*extents):
        at = dict(zip(summed, place, strict=True))
        pair = []
        for operand, labels in ((x, left), (y, right)):
            for axis in reversed(range(len(labels))):
                if labels[axis] in at:
                    operand = index(operand, axis, at[labels[axis]])
            pair.append(operand)
        found.append((pair[0], pair[1]))
    return found


def _entrywise(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    extents = [range(dim.concrete(1)) for dim in a.type.dims]
    if a.type.dims != b.type.dims:
        raise MissingRule(a, "limit", "gradients of different axes")
    found = []
    for index in itertools.product(*extents):
        found.append(context.moment((a, index), (b, index), cross))
        if len(found) > MAX_ENTRIES:
            raise TooMany(f"a gradient with more than {MAX_ENTRIES} finite entries", a)
    size = Coefficient.of(1)
    for dim in a.type.dims:
        if dim.width:
            size = size * block_size(dim.count)
    return scaled(total(found), size)


def _matrices(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    """Return the inner product of sums of outer products, by finite positions."""
    found = []
    terms = _outer_terms(a), _outer_terms(b)
    if len(terms[0]) * len(terms[1]) > MAX_ENTRIES:
        raise TooMany(
            f"a gradient sums over {len(terms[0])} positions: {len(terms[0])}^2 pairs", a, SMALLER
        )
    for left, right in itertools.product(*terms):
        if left[0] != right[0]:
            continue
        rows = context.moment(left[1], right[1], cross)
        found.append(product(rows, context.moment(left[2], right[2], cross)))
    size = Coefficient.of(1)
    for axis in a.type.width_axes:
        size = size * block_size(a.type.dims[axis].count)
    return scaled(total(found), size) if found else NOTHING


def _outer_terms(node: Node) -> list[tuple[tuple[int, ...], Entry, Entry]]:
    """Return (position, row factor, column factor) of a contraction over finite axes."""
    if node.op is not CONTRACT or node.attrs["sum_batch"]:
        raise MissingRule(node, "limit", "a gradient that is no sum of outer products")
    x, y = node.operands
    left, right, out = _pattern_labels(node)
    dims = dict(zip(left, x.type.dims, strict=True)) | dict(zip(right, y.type.dims, strict=True))
    if (
        x.type.sort != 1
        or y.type.sort != 1
        or any(dims[label].width and label not in out for label in dims)
    ):
        raise MissingRule(node, "limit", "a gradient that is no sum of outer products")
    swapped = next(label for label in out if dims[label].width) not in left
    terms = []
    for place in itertools.product(*(range(dims[label].concrete(1)) for label in dims)):
        at = dict(zip(dims, place, strict=True))
        entries = [(x, tuple(at[i] for i in left)), (y, tuple(at[i] for i in right))]
        if swapped:
            entries.reverse()
        terms.append((tuple(at[i] for i in out), entries[0], entries[1]))
    return terms


def _pattern_labels(node: Node) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    return node.attrs["left"], node.attrs["right"], node.attrs["out"]
