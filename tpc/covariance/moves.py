"""Covariances of values whose entries are moved about: axes reordered, merged, cut, joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.covariance.arrays import Array, Quantity, Shape, Value, extents, pair_shape, slot
from tpc.covariance.steps import Join
from tpc.covariance.values import STAGE, both
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.covariance.engine import View
    from tpc.ir.node import Node

COUNT = {"D": 1, "F": 2}


def require_same(left: Node, right: Node) -> None:
    """Refuse two moves that differ.

    Raises:
        MissingRule: they do.
    """
    if left.attrs != right.attrs:
        raise MissingRule(left, STAGE, "covariances of values that were moved differently")


def gathered(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of any two moves of one operand each, entry by entry."""
    x, y = left.operands[0], right.operands[0]
    sizes, old = extents(left), extents(x)
    plain = set(modes) <= {"D"} and left.attrs == right.attrs
    inner = "".join("D" if plain or d.width or d.count == 1 else "F" for d in x.type.dims)
    value = view.request(x, y, inner)
    if value.is_zero:
        return value
    places = [node.op.sources(node)[1] for node in (left, right)]  # type: ignore[attr-defined]
    shape, full = pair_shape(sizes, modes), pair_shape(old, inner)
    one, two = (
        np.broadcast_to(places[side][_coordinates(sizes, modes, side)], shape) for side in (0, 1)
    )
    inside = (one >= 0) & (two >= 0)
    p, q = (np.unravel_index(np.maximum(where, 0), old) for where in (one, two))
    flat = np.zeros(shape, dtype=np.int64)
    for k, mode in enumerate(inner):
        if mode == "D":
            inside &= p[k] == q[k]
            flat = flat * old[k] + p[k]
        else:
            flat = (flat * old[k] + p[k]) * old[k] + q[k]

    def image(array: Any) -> Any:
        found = array.reshape(len(array), -1)[:, flat]
        return found * inside if not inside.all() else found

    return view.moved(value, image, shape, full)


def _coordinates(sizes: Shape, modes: str, side: int) -> tuple[Any, ...]:
    rank = sum(COUNT[m] for m in modes)
    found, k = [], 0
    for size, mode in zip(sizes, modes, strict=True):
        shape = [1] * rank
        shape[k + (side if mode == "F" else 0)] = size
        found.append(np.arange(size).reshape(shape))
        k += COUNT[mode]
    return tuple(found)


def transposed(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of values with their axes in another order."""
    require_same(left, right)
    order = left.attrs["order"]
    inner = [""] * len(order)
    for k, axis in enumerate(order):
        inner[axis] = modes[k]
    text = "".join(inner)
    value = view.request(left.operands[0], right.operands[0], text)
    moves: list[int] = []
    for axis in order:
        start = slot(text, axis)
        moves += range(start, start + COUNT.get(text[axis], 0))
    if moves == list(range(len(moves))):
        return value
    wide = [k for k in moves if pair_shape(extents(left.operands[0]), text)[k] > 1]
    if wide == sorted(wide):
        return view.seen(value, lambda shape: tuple(shape[k] for k in moves))
    axes = [0, *(1 + k for k in moves)]
    return view.moved(
        value, lambda a: a.transpose(axes), lambda shape: tuple(shape[k] for k in moves)
    )


def reshaped(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of values with axes merged or split."""
    require_same(left, right)
    x, y = left.operands[0], right.operands[0]
    inner, start, new = "", 0, 0
    groups = []
    for count, dims in left.attrs["groups"]:
        own = set(modes[new : new + len(dims)])
        wide = any(d.width for d in x.type.dims[start : start + count])
        sizes = extents(x)[start : start + count], extents(left)[new : new + len(dims)]
        if len(own) > 1 or (wide and own & {"F", "A"}) or np.prod(sizes[0]) != np.prod(sizes[1]):
            return _reduced_gather(left, right, modes, view)
        mode = modes[new]
        inner += mode * count
        groups.append((mode, *sizes))
        start, new = start + count, new + len(dims)
    value = view.request(x, y, inner)
    result = pair_shape(extents(left), modes)

    if "F" not in modes:
        full = pair_shape(extents(x), inner)
        grown = both(value, lambda q: None if q is None else q.moved(view.grown(q.array, full)))
        return view.seen(grown, lambda shape: result)

    def image(array: Any) -> Any:
        return _regrouped(array, groups).reshape(len(array), *result)

    return view.moved(value, image, result, pair_shape(extents(x), inner))


def _reduced_gather(left: Node, right: Node, modes: str, view: View) -> Value:
    plain = modes.replace("S", "D").replace("A", "F")
    value = gathered(left, right, plain, view)
    return view.reduced(value, extents(left), plain, modes)


def _regrouped(array: Any, groups: Sequence[tuple[str, Shape, Shape]]) -> Any:
    """Merge or split the axes of each group, p apart from q."""
    order, shape, split, at = [0], [len(array)], [len(array)], 1
    for mode, old, new in groups:
        if mode == "D":
            order += range(at, at + len(old))
            at += len(old)
            split += new
        elif mode == "F":
            order += [*range(at, at + 2 * len(old), 2), *range(at + 1, at + 2 * len(old), 2)]
            at += 2 * len(old)
            split += [*new, *new]
    del shape
    array = array.transpose(order).reshape(split)
    order, at = [0], 1
    for mode, _, new in groups:
        if mode == "D":
            order += range(at, at + len(new))
            at += len(new)
        elif mode == "F":
            for k in range(len(new)):
                order += [at + k, at + len(new) + k]
            at += 2 * len(new)
    return array.transpose(order)


def indexed(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of values at one position of an axis."""
    axis = left.attrs["axis"]
    if right.attrs["axis"] != axis:
        raise MissingRule(left, STAGE, "covariances of values that were moved differently")
    p, q = left.attrs["position"], right.attrs["position"]
    inner = modes[:axis] + ("D" if p == q else "F") + modes[axis:]
    value = view.request(left.operands[0], right.operands[0], inner)
    start = 1 + slot(inner, axis)
    count = COUNT[inner[axis]]

    def image(array: Any) -> Any:
        for position in (p, q)[:count]:
            array = array.take(min(position, array.shape[start] - 1), axis=start)
        return array

    return view.moved(value, image, lambda s: (*s[: start - 1], *s[start - 1 + count :]))


def repeated(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of values that are equal along new axes."""
    require_same(left, right)
    new = {position for position, _ in left.attrs["axes"]}
    inner = "".join(m for k, m in enumerate(modes) if k not in new)
    value = view.request(left.operands[0], right.operands[0], inner)
    factor, places, at = 1, [], 0
    for k, (mode, size) in enumerate(zip(modes, extents(left), strict=True)):
        if k in new:
            factor *= {"S": size, "A": size * size}.get(mode, 1)
            places += [at] * COUNT.get(mode, 0)
        at += 0 if k in new else COUNT.get(mode, 0)

    def shape(old: Shape) -> Shape:
        found = list(old)
        for k in reversed(places):
            found.insert(k, 1)
        return tuple(found)

    if places:
        value = view.seen(value, shape)
    if factor == 1:
        return value
    return both(value, lambda q: None if q is None else q.times(factor))


def stacked(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of values stacked along a new axis."""
    axis = left.attrs["axis"]
    if right.attrs["axis"] != axis or len(left.operands) != len(right.operands):
        raise MissingRule(left, STAGE, "covariances of values that were moved differently")
    inner = modes[:axis] + modes[axis + 1 :]
    mode, count = modes[axis], len(left.operands)
    found = {
        (t, u): view.request(left.operands[t], right.operands[u], inner)
        for t in range(count)
        for u in (range(count) if mode in "FA" else [t])
    }
    shape = pair_shape(extents(left), modes)
    if mode in "SA":
        return view.total(list(found.values()))
    start = 1 + slot(modes, axis)

    def put(out: Any, place: tuple[int, int], part: Any) -> None:
        lead = (slice(None),) * start
        out[(*lead, *(place if mode == "F" else place[:1]))] = part

    return joined(found, shape, put)


def concatenated(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of values one after the other along an axis."""
    axis = left.attrs["axis"]
    sizes = [extents(x)[axis] for x in left.operands]
    if right.attrs["axis"] != axis or sizes != [extents(x)[axis] for x in right.operands]:
        raise MissingRule(left, STAGE, "covariances of values that were moved differently")
    mode = modes[axis]
    count = len(sizes)
    found = {
        (t, u): _between(left.operands[t], right.operands[u], modes, view)
        for t in range(count)
        for u in (range(count) if mode in "FA" else [t])
    }
    shape = pair_shape(extents(left), modes)
    if mode in "SA":
        return view.total(list(found.values()))
    start = 1 + slot(modes, axis)
    ends = np.cumsum([0, *sizes])

    def put(out: Any, place: tuple[int, int], part: Any) -> None:
        lead = (slice(None),) * start
        ranges = [slice(ends[k], ends[k + 1]) for k in place]
        out[(*lead, *(ranges if mode == "F" else ranges[:1]))] = part

    return joined(found, shape, put)


def _between(x: Node, y: Node, modes: str, view: View) -> Value:
    engine = view.engine
    if extents(x) != extents(y) and not engine.sources(x) & engine.sources(y):
        means = engine.numbers.mean(x).quantity, engine.numbers.mean(y).quantity
        if None in means:
            return Value()
    return view.request(x, y, modes)


def joined(found: dict[tuple[int, int], Value], shape: Shape, put: Any) -> Value:
    """Return one array from those of many pairs; where there is none it is zero."""

    def part(quantities: dict[tuple[int, int], Quantity]) -> Quantity | None:
        if not quantities:
            return None
        top = max(q.power for q in quantities.values())
        kept = {place: q for place, q in quantities.items() if q.power == top}
        places = list(kept)
        factors = [kept[place].factor for place in places]

        def fill(parts: list[Any], out: Any) -> None:
            for place, factor, array in zip(places, factors, parts, strict=True):
                put(out, place, factor * array)

        arrays: list[Array] = [kept[place].array for place in places]
        return Quantity(Join(arrays, fill, shape).outputs[0], 1.0, top)

    return Value(
        part({k: v.kernel for k, v in found.items() if v.kernel is not None}),
        part({k: v.tangent for k, v in found.items() if v.tangent is not None}),
    )
