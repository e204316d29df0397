"""Expectations of nonlinearities, entry by entry: closed forms compiled, all others by series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.codegen.load import load
from tpc.codegen.text import closure
from tpc.covariance.arrays import Array, Block, Shape, Step
from tpc.covariance.steps import row_places
from tpc.runtime import duals

if TYPE_CHECKING:
    from tpc.covariance.arrays import Numbers
    from tpc.ops.activations import Activation, DualForm

SideKey = tuple[str, tuple[float, ...]]

_HEADER = '''\
"""Loops over expectations."""

import math

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
OPTIONS["fastmath"] = {"contract", "nsz"}'''

_SELECT = """\
@overload(select)
def _compiled_select(condition, yes, no):
    return lambda condition, yes, no: yes if condition else no"""

_LOOP = """\
@njit(**OPTIONS)
def expectations(k, factor, {t}x, y, rows, columns, places, step, value{tangent}):
    for b in range(k.shape[0]):
        left, right = x[rows[b]], y[columns[b]]
        for r in range(k.shape[1]):
            p, q = places[r]
            given, target = k[b, r], value[b, r]
            {more}
            {right}
            if step == 0:
                {level}
                for i in range(target.shape[0]):
                    c = factor * given[i]
                    {read}
                    {write}
            else:
                {left}
                for i in range(target.shape[0]):
                    c = factor * given[i]
                    {read_left}
                    {read}
                    {write}"""


class Sides(Step):
    """What closed forms need of a variance: (columns, positions) for every sample."""

    def __init__(self, q: Array, factor: float, sizes: Shape, keys: Sequence[SideKey]) -> None:
        self.keys, self.sizes, self.factor = tuple(keys), sizes, factor
        arities = [len(getattr(duals, side)(1.0, *given)) for side, given in keys]
        count = int(np.prod(sizes, dtype=int))
        super().__init__([q], (), [(sum(arities), count)], single=True)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        (q,) = inputs
        full = self.factor * np.broadcast_to(q, (len(q), *self.sizes)).reshape(len(q), -1)
        columns = [c for side, given in self.keys for c in getattr(duals, side)(full, *given)]
        for k, column in enumerate(columns):
            outs[0][:, k] = column


class ClosedForm(Step):
    """``E[phi(u) phi(v)]`` and, where a tangent is given, that times ``E[phi'(u) phi'(v)]``."""

    def __init__(
        self,
        k: tuple[Array, float],
        tangent: Array | None,
        sides: tuple[Array, Array],
        source: str,
        shape: tuple[Shape, Shape, str],
    ) -> None:
        full, sizes, modes = shape
        inputs = [k[0]] if tangent is None else [k[0], tangent]
        super().__init__(inputs, sides, [full] * len(inputs), k[0].single)
        self.factor, self.source = k[1], source
        self.places, self.length, self.step = row_places(sizes, modes)
        self.loop: Any = load(source).expectations

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        count = block.rows.size

        def rows(array: Numbers, shape: Shape) -> Numbers:
            full = np.broadcast_to(array, (count, *shape))
            return np.ascontiguousarray(full).reshape(count, len(self.places), self.length)

        shape = self.outputs[0].shape
        given = [rows(array, shape) for array in inputs]
        target = [out.reshape(count, len(self.places), self.length) for out in outs]
        tables = block.left[self.sides[0]], block.right[self.sides[1]]
        where = (block.rows, block.columns, self.places, self.step)
        self.loop(given[0], self.factor, *given[1:], *tables, *where, *target)


class Plain(Step):
    """A variance with its factor, repeated to full size: (1, positions) for every sample."""

    def __init__(self, q: Array, factor: float, sizes: Shape) -> None:
        self.sizes, self.factor = sizes, factor
        super().__init__([q], (), [(1, *sizes)], single=True)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        (q,) = inputs
        outs[0][:, 0] = self.factor * np.broadcast_to(q, (len(q), *self.sizes))


class Average(Step):
    """``E[phi(u)]`` for every variance."""

    def __init__(self, q: Array, factor: float, phi: Activation) -> None:
        super().__init__([q], (), [q.shape], single=True)
        self.factor, self.phi = factor, phi

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        from tpc.runtime.hermite import adaptive_series

        wide = self.phi.growth.kind != "polynomial"
        q = self.factor * inputs[0].ravel()
        terms = adaptive_series(self.phi.numpy, q, self.phi.kinks(), wide, block.tolerance)[0]
        outs[0][...] = terms[:, 0].reshape(outs[0].shape)


def side_keys(forms: Sequence[DualForm]) -> list[SideKey]:
    """Return the distinct preparations of a variance that closed forms need."""
    return list(dict.fromkeys((form.side, form.side_parameters) for form in forms))


def loop_source(value: DualForm, slope: DualForm | None) -> str:
    """Return the source of the loop over a closed form and, where given, that of the slope."""
    count, calls = pair_calls([value] if slope is None else [value, slope])
    write = [f"target[i] = {calls[0]}"]
    if slope is not None:
        write.append(f"bent[i] = tangent[i] * {calls[1]}")

    def lines(parts: list[str], indent: int) -> str:
        return f"\n{' ' * indent}".join(parts) if parts else "pass"

    both = range(count)
    loop = _LOOP.format(
        t="t, " if slope else "",
        tangent=", out" if slope else "",
        more="tangent, bent = t[b, r], out[b, r]" if slope else "pass",
        right=lines([f"b{c} = right[{c}, q:]" for c in both], 12),
        level=lines([f"x{c} = left[{c}, p]" for c in both], 16),
        left=lines([f"a{c} = left[{c}, p:]" for c in both], 16),
        read_left=lines([f"x{c} = a{c}[i]" for c in both], 20),
        read=lines([f"y{c} = b{c}[i]" for c in both], 20),
        write="@",
    )
    text = []
    for line in loop.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        text += [indent + w for w in write] if line.strip() == "@" else [line]
    names = [form.pair for form in (value, slope) if form is not None]
    return "\n\n\n".join([*header(names), "\n".join(text)]) + "\n"


def pair_calls(forms: Sequence[DualForm]) -> tuple[int, list[str]]:
    """Return how many columns sides x and y have, and the expression of each form at c."""
    columns: dict[SideKey, list[int]] = {}
    count = 0
    for form in forms:
        key = (form.side, form.side_parameters)
        if key not in columns:
            columns[key] = list(range(count, count + form.arity))
            count += form.arity
    calls = []
    for form in forms:
        own = columns[form.side, form.side_parameters]
        names = [f"x{c}" for c in own] + [f"y{c}" for c in own]
        calls.append(f"{form.pair}({', '.join(['c', *names, *map(repr, form.parameters)])})")
    return count, calls


def header(names: list[str]) -> list[str]:
    """Return the head of a module with the functions of these names."""
    found = [_HEADER]
    for name, source, is_function in closure(names):
        if not is_function:
            found.append(source)
        elif name == "select":
            found.append(f"{source}\n\n\n{_SELECT}")
        else:
            found.append(f"@register_jitable\n{source}")
    return found
