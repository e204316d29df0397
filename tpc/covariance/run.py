"""Running a plan: numbers of single samples first, then pairs of samples, block by block."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.covariance.arrays import Array, Block, Quantity, Step
from tpc.covariance.steps import Reshape
from tpc.limit.samples import checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.covariance.kernel import PositionKernel

    Numbers = NDArray[np.float64]

CACHE = 2_097_152
"""Numbers that the arrays of one block may hold together where they can be that few (16 MB).

Short blocks that stay in a core's own cache are slower: the threads wait for each other's Python.
"""
MOST = 4096
"""Pairs per block at most."""


class Run:
    """Kernels on samples: what belongs to one sample is computed at the start."""

    def __init__(self, kernel: PositionKernel, X: Any, X2: Any, tolerance: float) -> None:
        self.kernel = kernel
        self.tolerance = tolerance
        data = checked(kernel.inputs, X)
        other = data if X2 is None else checked(kernel.inputs, X2)
        self.data = (data, None if X2 is None else other)
        self.count, self.count2 = (len(next(iter(d.values()))) for d in (data, other))
        self.roots = [root.array for root in kernel.roots if root is not None]
        steps = ordered(self.roots)
        cross = [s for s in steps if not s.single]
        needed = list(dict.fromkeys(side for s in cross for side in s.sides))
        singles = ordered(needed)
        self.left = describe(singles, needed, data, self.count, tolerance)
        self.right = self.left
        if X2 is not None:
            self.right = describe(singles, needed, other, self.count2, tolerance)
        self.program = Program(cross, self.roots)
        self.kept: dict[Any, Any] = {}
        self.lock = threading.Lock()

    def pairs(self, rows: Any, columns: Any, put: Any) -> None:
        """Call ``put(rows, columns, values)`` for blocks of pairs; values (kinds, P, kept axes)."""

        def part(where: slice) -> None:
            one, two = rows[where], columns[where]
            block = Block(one, two, self.left, self.right, {}, self.tolerance, self.kept, self.lock)
            with self.program.run(block) as values:
                kept = [self._kept(root, values, len(one)) for root in self.kernel.roots]
                put(one, two, np.stack(kept))

        in_threads(part, blocks(len(rows), self.program.size))

    def _kept(self, root: Quantity | None, values: dict[Array, Numbers], count: int) -> Numbers:
        """Return the kept axes of a kernel, those of x first."""
        kept = self.kernel.kept
        wide = (count, *kept, *kept)
        if root is None:
            return np.zeros(wide)
        first: tuple[Any, ...] = (slice(None),)
        for mode in self.kernel.modes:
            first += (0,) if mode == "D" else (slice(None), slice(None))
        rank = len(kept)
        axes = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2))
        array = root.factor * values[root.array][first]
        return np.broadcast_to(array.transpose(axes), wide)


def describe(
    singles: Sequence[Step],
    needed: Sequence[Array],
    data: Mapping[str, Any],
    count: int,
    tol: float,
) -> dict[Array, Numbers]:
    """Return the numbers of single samples that pairs look up, a row for every sample."""
    program = Program(singles, needed)
    found = {array: np.empty((count, *array.shape)) for array in needed}

    def part(where: slice) -> None:
        own = np.arange(where.stop - where.start)
        inside = {name: values[where] for name, values in data.items()}
        table: dict[Array, Numbers] = {}
        with program.run(Block(own, own, table, table, inside, tol), table) as values:
            for array in needed:
                found[array][where] = values[array]

    in_threads(part, blocks(count, program.size))
    return found


class Program:
    """Steps in order. Buffers are used again after the last step that reads them."""

    def __init__(self, steps: Sequence[Step], results: Iterable[Array]) -> None:
        self.steps = list(steps)
        last: dict[Array, int] = {}
        for number, step in enumerate(self.steps):
            for array in step.outputs:
                last[memory(array)] = number
            for array in (*step.inputs, *(step.sides if step.single else ())):
                last[memory(array)] = number
        for array in results:
            last[memory(array)] = len(self.steps)
        self.ending: list[list[Array]] = [[] for _ in range(len(self.steps) + 1)]
        for array, number in last.items():
            self.ending[number].append(array)
        self.size = self._peak()
        self._stocks: list[_Stock] = []

    def _peak(self) -> int:
        """Return how many numbers per pair live at the same time, at most."""
        live = most = 1
        for number, step in enumerate(self.steps):
            if not isinstance(step, Reshape):
                live += sum(array.size for array in step.outputs)
            most = max(most, live)
            live -= sum(array.size for array in self.ending[number])
        return most

    @contextmanager
    def run(
        self, block: Block, table: dict[Array, Numbers] | None = None
    ) -> Iterator[dict[Array, Numbers]]:
        """Yield the arrays that are left after the last step; their memory is used again."""
        stock = self._stocks.pop() if self._stocks else _Stock()
        stock.all_are_free()
        count = block.rows.size
        values: dict[Array, Numbers] = {} if table is None else table
        for number, step in enumerate(self.steps):
            if isinstance(step, Reshape):
                (array,) = step.outputs
                values[array] = values[step.inputs[0]].reshape(count, *array.shape)
            else:
                self._compute(step, block, values, stock)
            for array in self.ending[number]:
                stock.give_back(array.size, values[array])
        yield values
        self._stocks.append(stock)

    def _compute(
        self,
        step: Step,
        block: Block,
        values: dict[Array, Numbers],
        stock: _Stock,
    ) -> None:
        outs = [stock.take(block.rows.size, array) for array in step.outputs]
        step.run(block, [values[array] for array in step.inputs], outs)
        values.update(zip(step.outputs, outs, strict=True))


class _Stock:
    """Buffers that one thread uses again from block to block: fresh memory is slow."""

    def __init__(self) -> None:
        self._owned: list[tuple[int, Numbers]] = []
        self._free: dict[int, list[Numbers]] = {}

    def all_are_free(self) -> None:
        self._free = {}
        for size, flat in self._owned:
            self._free.setdefault(size, []).append(flat)

    def take(self, count: int, array: Array) -> Numbers:
        found = self._free.get(array.size)
        while found:
            flat = found.pop()
            if flat.size >= count * array.size:
                return flat[: count * array.size].reshape(count, *array.shape)
        flat = np.empty(count * array.size)
        self._owned.append((array.size, flat))
        return flat.reshape(count, *array.shape)

    def give_back(self, size: int, array: Numbers) -> None:
        flat = array if array.base is None else array.base
        self._free.setdefault(size, []).append(flat.reshape(-1))


def memory(array: Array) -> Array:
    """Return the array whose memory this one uses."""
    while isinstance(array.step, Reshape):
        array = array.step.inputs[0]
    return array


def ordered(roots: Sequence[Array]) -> list[Step]:
    """Return all steps behind arrays, each after those that it needs."""
    found: dict[Step, None] = {}
    stack = [(root.step, False) for root in reversed(roots)]
    while stack:
        step, ready = stack.pop()
        if step in found:
            continue
        if ready:
            found[step] = None
            continue
        stack.append((step, True))
        stack += [(a.step, False) for a in (*step.inputs, *step.sides) if a.step not in found]
    return list(found)


def blocks(count: int, size: int) -> list[slice]:
    """Return ranges of pairs, as long as their arrays stay in a cache; at least one for a core."""
    length = max(1, min(MOST, CACHE // size, -(-count // threads())))
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]


def threads() -> int:
    """Return the number of threads that may run."""
    return int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)


def in_threads(function: Any, parts: Sequence[slice]) -> None:
    """Run a function on all parts, on all cores: compiled code and NumPy hold no lock."""
    if threads() == 1 or len(parts) == 1:
        for part in parts:
            function(part)
        return
    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(function, parts):
            pass
