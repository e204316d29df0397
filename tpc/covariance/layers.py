"""A convolution over two axes and the nonlinearity behind it in one loop.

Sums over windows, the sum of weights' shares, and expectations are taken tile by tile, so that an
array is read once and written once per layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.codegen.load import load
from tpc.covariance.arrays import Array, Block, Quantity, Shape, Step
from tpc.covariance.expectations import header, pair_calls
from tpc.covariance.steps import (
    Combine,
    Constant,
    DiagonalSums,
    Reshape,
    WindowSums,
    flattened,
    window_runs,
)

if TYPE_CHECKING:
    from tpc.covariance.arrays import Numbers
    from tpc.ops.activations import DualForm

_LOOP = """\
@njit(**OPTIONS)
def layer(x, y, scales, first, second, runs, left, right, rows, columns, value, tangent):
    fk, kc, ta, tb, tc = scales[0], scales[1], scales[2], scales[3], scales[4]
    n, old, m = second.shape[0], x.shape[-1], first.shape[0]
    tile, more = np.empty(({tall}, old)), np.empty(({tall}, old))
    total, slope = np.empty(({count}, n)), np.empty(({count}, n))
    for b in range(rows.size):
        one, two = left[rows[b]], right[columns[b]]
{tiles}
"""

_ALL_PAIRS = """\
for d in range(1 - m, m):
    for o in range(max(0, -d), min(m, m - d)):
        u = o + d
        tile[:] = 0.0
        {more_zero}
        for w in range(first.shape[1]):
            p, q = first[o, w], first[u, w]
            if p >= 0 and q >= 0:
                source = x[b, p, q]
                for j in range(tile.shape[0]):
                    for i in range(old):
                        tile[j, i] += source[j, i]
                {more_source}
                {more_sum}
        {inside}"""

_EQUAL = """\
source, u = x[b], 0
{more_source}
for o in range(m):
    for i in range(old):
        tile[o, i] = 0.0
    {more_zero_row}
    for w in range(first.shape[1]):
        p = first[o, w]
        if p >= 0:
            for i in range(old):
                tile[o, i] += source[p, i]
            {more_sum_row}
{inside}"""

_INSIDE = """\
total[:] = 0.0
{slope_zero}
for k in range(runs.shape[0]):
    w, step = runs[k, 0], runs[k, 4]
    part, given = total[:, runs[k, 1] : runs[k, 2]], tile[:, runs[k, 3] :]
    {slope_part}
    for j in range(total.shape[0]):
        r = {r}
        if r >= 0:
            if step == 1:
                for i in range(part.shape[1]):
                    part[j, i] += given[r, i]
                {slope_sum}
            else:
                for i in range(part.shape[1]):
                    part[j, i] += given[r, i * step]
                {slope_step}
out = {out}
{bent}
for j in range(total.shape[0]):
    {levels}
    for i in range(n):
        c = fk * total[j, i] + kc
        {reads}
        out[j, i] = {call}
        {bend}"""


@dataclass(frozen=True)
class Window:
    """Where a covariance comes from: sums of ``array`` over windows of both axes."""

    array: Array
    tables: tuple[Any, Any]


class Layer(Step):
    """A convolution, the shares of its weights, and a nonlinearity."""

    def __init__(
        self,
        inputs: Sequence[Array],
        scales: Sequence[float],
        windows: Window,
        sides: tuple[Array, Array],
        source: str,
        shapes: Sequence[Shape],
    ) -> None:
        super().__init__(inputs, sides, shapes, inputs[0].single)
        self.scales = np.array(scales)
        self.tables = windows.tables
        self.runs = window_runs(windows.tables[1])
        self.source = source
        self.loop: Any = load(source).layer

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        m, n = (len(table) for table in self.tables)
        shape = (-1, m, m, n, n) if inputs[0].ndim == 5 else (-1, m, n)
        sides = (
            table[side] for table, side in zip((block.left, block.right), self.sides, strict=True)
        )
        self.loop(
            inputs[0],
            inputs[-1],
            self.scales,
            *self.tables,
            self.runs,
            *(side.reshape(*side.shape[:2], m, n) for side in sides),
            block.rows,
            block.columns,
            outs[0].reshape(shape),
            outs[-1].reshape(shape),
        )


def layer(
    kernel: Quantity,
    tangent: Quantity | None,
    sides: tuple[Array, Array],
    forms: tuple[DualForm, DualForm | None],
    shape: Shape,
) -> Step | None:
    """Return the step of a nonlinearity of a convolution, or None where it is none."""
    own = _parts(kernel.array)
    if own is None or len(own[1]) != 1:
        return None
    ((factor, window),) = own[1]
    inputs, scales = [window.array], [kernel.factor * factor, kernel.factor * own[0], 0.0, 0.0, 0.0]
    kind = "none" if tangent is None else "same"
    if tangent is not None:
        found = _tangent(tangent, window)
        if found is None:
            return None
        scales[2:], other = found
        if other is not None:
            inputs.append(other)
            kind = "both"
    source = layer_source(forms, kind, len(window.array.shape) == 4)
    count = 1 if tangent is None else 2
    return Layer(inputs, scales, window, sides, source, [shape] * count)


def _tangent(tangent: Quantity, window: Window) -> tuple[list[float], Array | None] | None:
    """Return factors of the tangent and kernel below and a constant, and the tangent below."""
    parts = _parts(tangent.array)
    if parts is None:
        return None
    scales, other = [0.0, 0.0, parts[0]], None
    for factor, below in parts[1]:
        if not _same_tables(below, window):
            return None
        if below.array is window.array:
            scales[1] += factor
        elif other is None or other is below.array:
            scales[0] += factor
            other = below.array
        else:
            return None
    return scales, other


def _same_tables(a: Window, b: Window) -> bool:
    pairs = zip(a.tables, b.tables, strict=True)
    same = all(np.array_equal(one, two) for one, two in pairs)
    return same and a.array.shape == b.array.shape


def _parts(array: Array) -> tuple[float, list[tuple[float, Window]]] | None:
    """Write an array as a constant and multiples of sums over windows."""
    array = _bare(array)
    if not isinstance(array.step, Combine):
        window = _window(array)
        return None if window is None else (0.0, [(1.0, window)])
    constant, found = 0.0, []
    for factor, each in zip(array.step.factors, array.step.inputs, strict=True):
        bare = _bare(each)
        if isinstance(bare.step, Constant):
            constant += factor * bare.step.value
            continue
        inner = _parts(bare)
        if inner is None:
            return None
        constant += factor * inner[0]
        found += [(factor * own, window) for own, window in inner[1]]
    return constant, found


def _bare(array: Array) -> Array:
    while isinstance(array.step, Reshape):
        array = array.step.inputs[0]
    return array


def _window(array: Array) -> Window | None:
    step = array.step
    inner = _bare(step.inputs[0]).step if step.inputs else None
    if isinstance(step, DiagonalSums) and isinstance(inner, DiagonalSums):
        outer_first = {step.dimension: step.table, inner.dimension: inner.table}
        if set(outer_first) != {0, 2} or _wide(inner.inputs[0]) != 4:
            return None
        below = flattened(inner.inputs[0], inner.inputs[0].shape[:4])
        return Window(below, (outer_first[0], outer_first[2]))
    if isinstance(step, WindowSums) and isinstance(inner, WindowSums):
        tables = {step.dimension: step.table, inner.dimension: inner.table}
        if set(tables) != {0, 1} or _wide(inner.inputs[0]) != 2:
            return None
        below = flattened(inner.inputs[0], inner.inputs[0].shape[:2])
        return Window(below, (tables[0], tables[1]))
    return None


def _wide(array: Array) -> int:
    """Return the number of leading dimensions, all others being of extent one."""
    shape = list(array.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return len(shape)


def layer_source(forms: tuple[DualForm, DualForm | None], tangent: str, pairs: bool) -> str:
    """Return the loop over tiles for a closed form.

    ``tangent`` says of which arrays the tangent below is made: "none", "same" (the kernel's), or
    "both". ``pairs``: over all pairs of positions, else over equal ones.
    """
    used = [form for form in forms if form is not None] if tangent != "none" else [forms[0]]
    columns, calls = pair_calls(used)
    both = tangent == "both"
    own = [f"x{c} = one[{c}, o, j]" if pairs else f"x{c} = one[{c}, j, i]" for c in range(columns)]
    other = [f"y{c} = two[{c}, {'u' if pairs else 'j'}, i]" for c in range(columns)]
    slope = "ta * slope[j, i] + tb * total[j, i] + tc" if both else "tb * total[j, i] + tc"

    def only(condition: bool, *lines: str) -> list[str]:
        return list(lines) if condition else ["pass"]

    walk = "for j in range(tile.shape[0]):", "    for i in range(old):"
    reach = "for i in range(part.shape[1]):"
    inside = filled(
        _INSIDE,
        slope_zero=only(both, "slope[:] = 0.0"),
        slope_part=only(
            both, "rise, risen = slope[:, runs[k, 1] : runs[k, 2]], more[:, runs[k, 3] :]"
        ),
        r=["second[j, w]" if pairs else "j"],
        slope_sum=only(both, reach, "    rise[j, i] += risen[r, i]"),
        slope_step=only(both, reach, "    rise[j, i] += risen[r, i * step]"),
        out=["value[b, o, u]" if pairs else "value[b]"],
        bent=only(tangent != "none", f"bent = tangent[b{', o, u' if pairs else ''}]"),
        levels=own if pairs else ["pass"],
        reads=other if pairs else own + other,
        call=[calls[0]],
        bend=only(tangent != "none", f"bent[j, i] = ({slope}) * {calls[-1]}"),
    )
    tiles = filled(
        _ALL_PAIRS if pairs else _EQUAL,
        more_zero=only(both, "more[:] = 0.0"),
        more_zero_row=only(both, *(walk[1][4:], "    more[o, i] = 0.0")),
        more_source=only(both, f"second_source = y[b{', p, q' if pairs else ''}]"),
        more_sum=only(both, *walk, "        more[j, i] += second_source[j, i]"),
        more_sum_row=only(both, walk[1][4:], "    more[o, i] += second_source[p, i]"),
        inside=inside,
    )
    size = ("x.shape[-2]", "n") if pairs else ("m", "m")
    loop = filled(_LOOP, tall=[size[0]], count=[size[1]], tiles=["    " * 2 + t for t in tiles])
    return "\n\n\n".join([*header([form.pair for form in used]), "\n".join(loop)]) + "\n"


def filled(template: str, **parts: list[str]) -> list[str]:
    """Return the lines of a template, its fields replaced; lines of a field keep its indent."""
    found = []
    for line in template.splitlines():
        name = line.strip()[1:-1]
        if line.strip().startswith("{") and name in parts:
            indent = line[: len(line) - len(line.lstrip())]
            found += [indent + part for part in parts[name]]
        else:
            for key, part in parts.items():
                line = line.replace("{" + key + "}", part[0])
            found.append(line)
    return found
