"""The steps of second-moment algebra on arrays of positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.covariance.arrays import Array, Block, Shape, Step, pair_shape
from tpc.ops.base import EvalContext
from tpc.runtime import positions as loops

if TYPE_CHECKING:
    from tpc.covariance.arrays import Numbers
    from tpc.ir.node import Node
    from tpc.ops.windows import Layout


class Constant(Step):
    """The same number everywhere."""

    def __init__(self, value: float, rank: int, single: bool) -> None:
        super().__init__((), (), [(1,) * rank], single)
        self.value = value

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        outs[0][...] = self.value


class Evaluate(Step):
    """A value that is a number for every sample, by the finite-width meaning of its op."""

    def __init__(self, node: Node, inputs: Sequence[Array], shape: Shape) -> None:
        super().__init__(inputs, (), [shape], single=True)
        self.node = node

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        given = [
            array if operand.type.batched else array[0]
            for array, operand in zip(inputs, self.node.operands, strict=True)
        ]
        name = self.node.attrs.get("name")
        if not self.node.operands and name in block.data:
            outs[0][...] = block.data[name].reshape(outs[0].shape)
            return
        context = EvalContext(width=1, batch=block.rows.size)
        outs[0][...] = self.node.op.evaluate(self.node, given, context)


class Combine(Step):
    """``sum of factor * array``; constants along an axis are repeated."""

    def __init__(self, terms: Sequence[tuple[float, Array]], shape: Shape) -> None:
        super().__init__([a for _, a in terms], (), [shape], terms[0][1].single)
        self.factors = [factor for factor, _ in terms]

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        (out,) = outs
        np.multiply(inputs[0], self.factors[0], out=out)
        for factor, x in zip(self.factors[1:], inputs[1:], strict=True):
            if factor == 1.0:
                np.add(out, x, out=out)
            else:
                out += factor * x


class Multiply(Step):
    """Entrywise products of arrays."""

    def __init__(self, factors: Sequence[Array], shape: Shape) -> None:
        super().__init__(factors, (), [shape], factors[0].single)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        (out,) = outs
        np.copyto(out, inputs[0])
        for x in inputs[1:]:
            np.multiply(out, x, out=out)


class Move(Step):
    """Entries moved about without arithmetic: ``function(array with its leading axis)``."""

    def __init__(self, x: Array, function: Any, shape: Shape) -> None:
        super().__init__([x], (), [shape], x.single)
        self.function = function

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        outs[0][...] = self.function(inputs[0])


class Reshape(Step):
    """The same numbers under another shape: the memory is that of the operand."""

    def __init__(self, x: Array, shape: Shape) -> None:
        super().__init__([x], (), [shape], x.single)


def flattened(x: Array, shape: Shape) -> Array:
    """Return an array under another shape."""
    if x.shape == shape:
        return x
    if isinstance(x.step, Reshape):
        return flattened(x.step.inputs[0], shape)
    return Reshape(x, shape).outputs[0]


class Join(Step):
    """Several arrays into one: ``function(list of arrays, out)``; None stands for zero."""

    def __init__(self, parts: Sequence[Array], function: Any, shape: Shape) -> None:
        super().__init__(parts, (), [shape], parts[0].single)
        self.function = function

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        outs[0][...] = 0.0
        self.function(inputs, outs[0])


class Outer(Step):
    """``sum of s[p] t[q]`` for numbers s of x and t of x', by modes (A is no mode here)."""

    def __init__(self, left: Array, right: Array, sizes: Shape, modes: str, single: bool) -> None:
        sides = [Channels(x, sizes, modes).outputs[0] for x in (left, right)]
        super().__init__((), sides, [pair_shape(sizes, modes)], single)
        kept = [size for size, mode in zip(sizes, modes, strict=True) if mode != "S"]
        self.places, self.length, self.step = row_places(kept, modes.replace("S", ""))

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        x, y = block.left[self.sides[0]], block.right[self.sides[1]]
        out = outs[0].reshape(block.rows.size, len(self.places), self.length)
        loops.products(x, y, block.rows, block.columns, self.places, self.step, out)


class Channels(Step):
    """Numbers as (summed positions, kept positions), repeated to full size."""

    def __init__(self, x: Array, sizes: Shape, modes: str) -> None:
        self.sizes = sizes
        summed = [k for k, mode in enumerate(modes) if mode == "S"]
        kept = [k for k, mode in enumerate(modes) if mode != "S"]
        self.order = [0, *(1 + k for k in (*summed, *kept))]
        counts = [int(np.prod([sizes[k] for k in part], dtype=int)) for part in (summed, kept)]
        super().__init__([x], (), [tuple(counts)], single=True)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        full = np.broadcast_to(inputs[0], (len(inputs[0]), *self.sizes)).transpose(self.order)
        outs[0][...] = full.reshape(outs[0].shape)


class Matches(Step):
    """One where tokens are equal, else zero, by modes D and F."""

    def __init__(self, left: Array, right: Array, sizes: Shape, modes: str, single: bool) -> None:
        super().__init__((), [left, right], [pair_shape(sizes, modes)], single)
        self.modes = modes

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        x = spread(block.left[self.sides[0]], self.modes, 0)[block.rows]
        y = spread(block.right[self.sides[1]], self.modes, 1)[block.columns]
        outs[0][...] = x == y


class Weigh(Step):
    """An array times numbers of x at p and numbers of x' at q."""

    def __init__(
        self, x: Array, given: tuple[Array | None, Array | None], modes: str, shape: Shape
    ) -> None:
        sides = [side for side in given if side is not None]
        super().__init__([x], sides, [shape], x.single)
        self.which = [k for k, side in enumerate(given) if side is not None]
        self.modes = modes

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        (out,) = outs
        np.copyto(out, inputs[0])
        for which, side in zip(self.which, self.sides, strict=True):
            table, rows = ((block.left, block.rows), (block.right, block.columns))[which]
            out *= spread(table[side], self.modes, which)[rows]


class Mix(Step):
    """``sum over p, q of s[o, p] K[p, q] t[u, q]``: an einsum of numbers and an array."""

    def __init__(
        self,
        x: Array,
        left: Array,
        right: Array,
        text: tuple[str, str, str, str],
        shape: Shape,
    ) -> None:
        super().__init__([x], [left, right], [shape], x.single)
        self.text = text

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        s, k, t, out = self.text
        if self._sandwich(block, inputs[0], outs[0]):
            return
        x = block.left[self.sides[0]]
        y = block.right[self.sides[1]]
        x = x[block.rows] if len(x) > 1 else x
        y = y[block.columns] if len(y) > 1 else y
        half = _middle(s, k, out + t)
        first = contract_pairs(x, s, inputs[0], k, half)
        outs[0][...] = contract_pairs(first, half, y, t, out)

    def _sandwich(self, block: Block, k: Numbers, out: Numbers) -> bool:
        """Compute ``s K t'`` per stacked letter in compiled code, where it is one."""
        s, letters, t, result = self.text
        lead, (p, o), (q, u) = s[:-2], (s[-1:], s[-2:-1]), (t[-1:], t[-2:-1])
        if not p or t[:-2] != lead or len({p, o, q, u} | set(lead)) != 4 + len(lead):
            return False
        if not letters.startswith(lead + p + q) or not result.startswith(lead + o + u):
            return False
        if any(extent != 1 for extent in k.shape[1 + len(lead) + 2 :]):
            return False
        x, y = block.left[self.sides[0]], block.right[self.sides[1]]
        stack = int(np.prod(k.shape[1 : 1 + len(lead)], dtype=int))
        loops.sandwiches(
            x.reshape(len(x), stack, *x.shape[-2:]),
            k.reshape(len(k), stack, x.shape[-1], y.shape[-1]),
            y.reshape(len(y), stack, *y.shape[-2:]),
            block.rows,
            block.columns,
            out.reshape(len(k), stack, x.shape[-2], y.shape[-2]),
        )
        return True


def _middle(s: str, k: str, later: str) -> str:
    return "".join(dict.fromkeys(c for c in s + k if c in later))


def contract_pairs(x: Numbers, left: str, y: Numbers, right: str, out: str) -> Numbers:
    """Return an einsum of two arrays, sample by sample, as stacked matrix products."""
    stacked = [c for c in left if c in right and c in out]
    summed = [c for c in left if c in right and c not in out]
    alone = [c for c in left if c not in right and c not in out]
    if alone or any(c not in left and c not in out for c in right):
        count = max(len(x), len(y))
        x = np.broadcast_to(x, (count, *x.shape[1:]))
        y = np.broadcast_to(y, (count, *y.shape[1:]))
        return np.asarray(np.einsum(f"Z{left},Z{right}->Z{out}", x, y))
    size: dict[str, int] = {}
    for letters, array in ((left, x), (right, y)):
        for c, extent in zip(letters, array.shape[1:], strict=True):
            size[c] = max(size.get(c, 1), extent)
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]

    def matrix(array: Numbers, letters: str, first: list[str], second: list[str]) -> Numbers:
        full = np.broadcast_to(array, (len(array), *(size[c] for c in letters)))
        moved = full.transpose(0, *(1 + letters.index(c) for c in (*stacked, *first, *second)))
        shape = [len(array), *(size[c] for c in stacked)]
        shape += [int(np.prod([size[c] for c in group], dtype=int)) for group in (first, second)]
        return moved.reshape(shape)

    product = matrix(x, left, rows, summed) @ matrix(y, right, summed, columns)
    order = [*stacked, *rows, *columns]
    result = product.reshape(len(product), *(size[c] for c in order))
    return result.transpose(0, *(1 + order.index(c) for c in out))


class Sums(Step):
    """Sums over dimensions of an array."""

    def __init__(self, x: Array, dimensions: Sequence[int]) -> None:
        shape = tuple(e for k, e in enumerate(x.shape) if k not in dimensions)
        super().__init__([x], (), [shape], x.single)
        self.dimensions = tuple(1 + k for k in dimensions)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        np.sum(inputs[0], axis=self.dimensions, out=outs[0])


def summed(x: Array, dimensions: Sequence[int]) -> Array:
    """Return the sums over dimensions of an array."""
    if all(x.shape[k] == 1 for k in dimensions):
        return flattened(x, tuple(e for k, e in enumerate(x.shape) if k not in dimensions))
    return Sums(x, dimensions).outputs[0]


class WindowSums(Step):
    """Sums over windows along one dimension."""

    def __init__(self, x: Array, dimension: int, layout: Layout) -> None:
        shape = (*x.shape[:dimension], layout.count, *x.shape[dimension + 1 :])
        super().__init__([x], (), [shape], x.single)
        self.dimension = dimension
        self.table = np.array(layout.positions())
        self.runs = window_runs(self.table)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        x, k = inputs[0], 1 + self.dimension
        rest = int(np.prod(x.shape[k + 1 :], dtype=int))
        if rest == 1:
            given, target = x.reshape(-1, x.shape[k]), outs[0].reshape(-1, len(self.table))
            loops.last_window_sums(given, self.runs, target)
            return
        loops.window_sums(
            x.reshape(-1, x.shape[k], rest), self.table, outs[0].reshape(-1, len(self.table), rest)
        )


class DiagonalSums(Step):
    """Sums over windows of pairs (p + w, q + w), along two dimensions."""

    def __init__(self, x: Array, dimension: int, layout: Layout) -> None:
        shape = (*x.shape[:dimension], layout.count, layout.count, *x.shape[dimension + 2 :])
        super().__init__([x], (), [shape], x.single)
        self.dimension = dimension
        self.table = np.array(layout.positions())
        self.runs = window_runs(self.table)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        x, k, count = inputs[0], 1 + self.dimension, len(self.table)
        rest = int(np.prod(x.shape[k + 2 :], dtype=int))
        if rest == 1:
            given = x.reshape(-1, x.shape[k], x.shape[k])
            target = outs[0].reshape(-1, count, count)
            loops.last_diagonal_sums(given, self.table, self.runs, target)
            return
        blocks = x.reshape(-1, x.shape[k], x.shape[k], rest)
        loops.diagonal_sums(blocks, self.table, outs[0].reshape(-1, count, count, rest))


def window_runs(table: Any) -> Any:
    """Return runs (w, first, stop, start, step) of windows that read equally spaced positions."""
    found = []
    for w in range(table.shape[1]):
        column = table[:, w]
        o = 0
        while o < len(column):
            if column[o] < 0:
                o += 1
                continue
            stop, step = o + 1, 1
            if stop < len(column) and column[stop] > column[o]:
                step = int(column[stop] - column[o])
                while stop < len(column) and column[stop] == column[stop - 1] + step:
                    stop += 1
            found.append((w, o, stop, int(column[o]), step))
            o = stop
    return np.array(found, dtype=np.int64).reshape(-1, 5)


def spread(array: Numbers, modes: str, side: int) -> Numbers:
    """Return numbers of one sample with the dimensions of an array over pairs of positions."""
    shape, k = [len(array)], 1
    for mode in modes:
        if mode == "D":
            shape.append(array.shape[k])
        elif mode == "F":
            shape += [array.shape[k], 1] if side == 0 else [1, array.shape[k]]
        k += 1
    return array.reshape(shape)


def row_places(sizes: Sequence[int], modes: str) -> tuple[Any, int, int]:
    """Return where the rows of an array begin in numbers of either sample.

    ``sizes`` are the extents of the axes. The result is (places (R, 2), length of a row, whether p
    runs along with q).
    """
    strides = [int(np.prod(sizes[k + 1 :], dtype=int)) for k in range(len(sizes))]
    wide = [k for k in range(len(sizes)) if sizes[k] > 1]
    if not wide:
        return np.zeros((1, 2), dtype=np.int64), 1, 1
    first = wide[-1]  # the axes from here on make up a row
    if modes[first] == "D":
        while first > 0 and (modes[first - 1] == "D" or sizes[first - 1] == 1):
            first -= 1
    places = np.zeros((1, 2), dtype=np.int64)
    for k, (size, mode) in enumerate(zip(sizes, modes, strict=True)):
        steps = np.arange(size) * strides[k]
        zero = np.zeros(size, dtype=np.int64)
        if mode == "D" and k < first:
            places = _crossed(places, np.stack([steps, steps], axis=1))
        elif mode == "F":
            places = _crossed(places, np.stack([steps, zero], axis=1))
            if k < first:
                places = _crossed(places, np.stack([zero, steps], axis=1))
    return places, int(np.prod(sizes[first:], dtype=int)), int(modes[wide[-1]] == "D")


def _crossed(places: Any, more: Any) -> Any:
    return (places[:, None, :] + more[None, :, :]).reshape(-1, 2)
