"""Covariances of windows along an axis, and of windows added back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.covariance.arrays import Array, Quantity, Shape, Value, extents, pair_shape, slot
from tpc.covariance.moves import COUNT, require_same
from tpc.covariance.steps import DiagonalSums, WindowSums
from tpc.covariance.values import both

if TYPE_CHECKING:
    from tpc.covariance.engine import View
    from tpc.ir.node import Node


def windowed(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of windows along an axis.

    Sums over the positions inside of windows are taken at once: sums along diagonals p + w, q + w
    (convolutions), or over all pairs (pooling).
    """
    require_same(left, right)
    axis, layout = left.attrs["axis"], left.attrs["layout"]
    place, inside = modes[axis], modes[axis + 1]
    x, y = left.operands[0], right.operands[0]
    if inside in "DF" or place in "SA":
        plain = modes[:axis] + modes[axis : axis + 2].replace("S", "D").replace("A", "F")
        plain += modes[axis + 2 :]
        if inside in "DF" and place in "DF":
            return _windows(left, right, modes, view)
        if inside == "S" and place == "S":
            plain = modes[:axis] + "DS" + modes[axis + 2 :]
        elif inside == "A" and place == "A":
            plain = modes[:axis] + "FA" + modes[axis + 2 :]
        value = view.request(left, right, plain)
        sizes = extents(left)
        kept = [k for k in range(len(modes)) if plain[k] not in "SA"]
        return view.reduced(
            value,
            tuple(sizes[k] for k in kept),
            "".join(plain[k] for k in kept),
            "".join(modes[k] for k in kept),
        )
    inner = modes[:axis] + ("F" if inside == "A" else place) + modes[axis + 2 :]
    value = view.request(x, y, inner)
    start = slot(inner, axis)
    full = extents(x)[axis]

    def summed(q: Quantity | None) -> Quantity | None:
        if q is None:
            return None
        shape = q.array.shape
        wide = (*shape[:start], *(full for _ in range(COUNT[inner[axis]])))
        wide = (*wide, *shape[start + COUNT[inner[axis]] :])
        array = view.grown(q.array, wide)
        if inside == "A" and place == "D":
            array = _pooled_diagonal(array, start, layout, view)
        elif inside == "A":
            array = WindowSums(array, start, layout).outputs[0]
            array = WindowSums(array, start + 1, layout).outputs[0]
        elif place == "F":
            array = DiagonalSums(array, start, layout).outputs[0]
        else:
            array = WindowSums(array, start, layout).outputs[0]
        return q.moved(array)

    return both(value, summed)


def _pooled_diagonal(array: Array, start: int, layout: Any, view: View) -> Array:
    """Return ``sum over w, v of K[table[o, w], table[o, v]]`` for every window o."""
    from tpc.covariance.steps import Move

    one = WindowSums(array, start, layout).outputs[0]
    two = WindowSums(one, start + 1, layout).outputs[0]
    shape = (*two.shape[:start], layout.count, *two.shape[start + 2 :])

    def image(a: Any) -> Any:
        return np.moveaxis(np.diagonal(a, axis1=1 + start, axis2=2 + start), -1, 1 + start)

    return Move(two, image, shape).outputs[0]


def _windows(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances at every place and position inside."""
    axis, layout = left.attrs["axis"], left.attrs["layout"]
    place, inside = modes[axis], modes[axis + 1]
    mode = "D" if place == inside == "D" else "F"
    inner = modes[:axis] + mode + modes[axis + 2 :]
    value = view.request(left.operands[0], right.operands[0], inner)
    table = np.array(layout.positions())
    start = 1 + slot(inner, axis)
    p, q = _window_places(table, place, inside)
    outside = (p < 0) | (q < 0)
    full = extents(left.operands[0])[axis]

    def image(array: Any) -> Any:
        lead = (slice(None),) * start
        count = COUNT[mode]
        wide = (*array.shape[:start], *(full,) * count, *array.shape[start + count :])
        array = np.broadcast_to(array, wide)
        where = (np.maximum(p, 0), np.maximum(q, 0))[:count]
        found = array[(*lead, *where)]
        if outside.any():
            rest = (1,) * (found.ndim - start - outside.ndim)
            found = found * ~outside.reshape(*outside.shape, *rest)
        return found

    def shape(old: Shape) -> Shape:
        return (*old[: start - 1], *p.shape, *old[start - 1 + COUNT[mode] :])

    return view.moved(value, image, shape)


def _window_places(table: Any, place: str, inside: str) -> tuple[Any, Any]:
    """Return p and q by (place p, place q, inside p, inside q), equal ones once."""
    o, w = np.arange(table.shape[0]), np.arange(table.shape[1])
    rank = COUNT[place] + COUNT[inside]

    def along(values: Any, k: int) -> Any:
        shape = [1] * rank
        shape[k] = len(values)
        return values.reshape(shape)

    last = COUNT[place] + COUNT[inside] - 1
    p = table[along(o, 0), along(w, COUNT[place])]
    q = table[along(o, COUNT[place] - 1), along(w, last)]
    shape = np.broadcast_shapes(p.shape, q.shape)
    return np.broadcast_to(p, shape), np.broadcast_to(q, shape)


def folded(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of windows added back where they were read."""
    require_same(left, right)
    axis, layout = left.attrs["axis"], left.attrs["layout"]
    x, y = left.operands[0], right.operands[0]
    table = np.array(layout.positions())
    count, size, extent = len(table), table.shape[1], layout.extent
    apart = x is y and x.op.independent(x, axis + 1)
    single = modes[axis] == "D" and apart
    inner = modes[:axis] + ("DD" if single else ("FD" if apart else "FF")) + modes[axis + 1 :]
    value = view.request(x, y, inner)
    reads = np.zeros((extent, count, size))
    for o, row in enumerate(table):
        for j, p in enumerate(row):
            if p >= 0:
                reads[p, o, j] = 1.0
    start = 1 + slot(inner, axis)
    text = {"DD": "poj,Zojr->Zpr", "FD": "poj,quj,Zoujr->Zpqr", "FF": "poj,qui,Zoujir->Zpqr"}
    kind = inner[axis : axis + 2]
    subscripts = text[kind]
    if modes[axis] == "D" and kind != "DD":
        subscripts = subscripts.replace("qu", "pu").replace("->Zpqr", "->Zpr")
    given = [reads] if kind == "DD" else [reads, reads]
    old = sum(COUNT[m] for m in kind)
    new = (extent,) * COUNT[modes[axis]]
    full = pair_shape(extents(x), inner)

    def image(array: Any) -> Any:
        lead, tail = array.shape[:start], array.shape[start + old :]
        flat = array.reshape(-1, *array.shape[start : start + old], int(np.prod(tail, dtype=int)))
        return np.einsum(subscripts, *given, flat, optimize=True).reshape(*lead, *new, *tail)

    result = (*full[: start - 1], *new, *full[start - 1 + old :])
    return view.moved(value, image, result, full)
