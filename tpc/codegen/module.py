"""A kernel recursion as the text of a Python module that needs only NumPy and Numba."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Iterable

from tpc.codegen.engine import BLAS, ENGINE
from tpc.codegen.rows import Rows
from tpc.codegen.schedule import Schedule, schedule
from tpc.codegen.single import Single
from tpc.codegen.text import closure, plain
from tpc.limit import samples
from tpc.limit.expressions import Slice
from tpc.limit.kernels import Kernels

_NUMPY_ONLY = {
    "panel_nodes",
    "panel_edges",
    "hermite_basis",
    "series_at_level",
    "hermite_series",
    "series_sum",
    "adaptive_series",
    "averages",
    "paired_sum",
    "input_slice",
    "own_gram",
    "own_matches",
    "softmax_share",
    "relative_tails",
    "enough_terms",
    "interpolated_series",
    "barycentric",
    "multiplied",
    "row_norms",
    "matched",
}

_LONG = {"wedge", "powers_above"}  # inlined, they would take long to compile

_HEADER = """\
import contextlib
import ctypes
import math
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

OPTIONS = {{"cache": True, "nogil": True, "error_model": "numpy"}}
OPTIONS["fastmath"] = {{"contract", "nsz"}}
THREADS = int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)
TILE = 384  # rows and columns that are computed at a time, at most
INPUTS = {inputs!r}  # shape of one sample, by input
AXES = {kept!r}  # output axes that the kernel keeps
TOLERANCE = {tolerance!r}
"""

_SELECT = """\
@overload(select)
def _compiled_select(condition, yes, no):
    return lambda condition, yes, no: yes if condition else no
"""

_PUT = """\
@njit(**OPTIONS)
def put(count, values, out):
    for j in range(count):  # assigning an array would compile a message on shapes: seconds
        out[j] = values[j]"""


def _samples() -> str:
    tree = ast.parse(inspect.getsource(samples)).body
    checked = next(node for node in tree if isinstance(node, ast.FunctionDef))
    return (
        f"{ast.unparse(plain(checked))}\n\n\ndef samples(X):\n"
        '    """Return samples by input name; raises ValueError where they do not fit."""\n'
        "    return checked(INPUTS, X)"
    )


SAMPLES = _samples()
"""How samples are checked, as definitions."""


def module_source(
    kernels: Kernels,
    inputs: dict[str, tuple[int, ...]],
    title: str,
    equations: str,
    tolerance: float = 1e-10,
) -> str:
    """Return the source of a module with the function ``evaluate(X, X2=None, tolerance=...)``.

    ``inputs`` are the shapes of one sample; ``title`` and ``equations`` are for the reader.
    """
    plan = schedule(kernels.entries, kernels.diagonal)
    single = Single(plan)
    rows = Rows(plan, single)
    main = _pairs(plan, rows, single)
    describe = _describe(plan, single)
    needed = {*single.runtime, *rows.runtime, "multiplied", "matched", "input_slice"}
    needed |= {"row_norms", "collinear_row"}
    for phi in single.functions:
        needed.update(phi.helpers)
    parts = [
        f'"""{_docstring(title, equations)}"""',
        _HEADER.format(inputs=inputs, kept=kernels.kept, tolerance=tolerance).rstrip(),
        *runtime_source(needed),
        *_activations(single),
        *_row_functions(rows),
        main,
        describe,
        _prepare(plan, kernels, inputs),
        *BLAS,
        ENGINE.rstrip(),
        SAMPLES,
    ]
    return "\n\n\n".join(parts) + "\n"


def _docstring(title: str, equations: str) -> str:
    safe = equations.replace("\\", "\\\\").replace('"""', "'''")
    return (
        f"{title}\n\n{safe}\n\n"
        "Usage: ``K = evaluate(X)`` for samples against themselves, ``evaluate(X, X2)`` for two"
        " sets.\nNeeds only numpy and numba. The first call compiles; __pycache__ keeps the code.\n"
    )


def runtime_source(needed: Iterable[str]) -> list[str]:
    """Return the source of runtime functions and of all they need, compiled ones decorated.

    They are inlined by force: a loop with a call in it is not vectorised.
    """
    out = []
    for name, source, is_function in closure(needed):
        if not is_function:
            out.append(source)
        elif name == "select":
            out.append(f"{source}\n\n\n{_SELECT.rstrip()}")
        elif name in _NUMPY_ONLY:
            out.append(source)
        elif name in _LONG:
            out.append(f"@register_jitable\n{source}")
        else:
            out.append(f"@register_jitable(forceinline=True)\n{source}")
    return out


def _activations(single: Single) -> list[str]:
    out = []
    for phi, name in single.functions.items():
        out.append(
            f"@njit(**OPTIONS)\ndef {name}(x):\n"
            f'    """Return {phi.text().replace(chr(34), "")} for every entry of x."""\n'
            "    flat = x.ravel()\n    values = np.empty(flat.size)\n"
            "    for i in range(flat.size):\n        z = flat[i]\n"
            f"        values[i] = {phi.numba_call('z')}\n    return values.reshape(x.shape)"
        )
    return out


def _row_functions(rows: Rows) -> list[str]:
    return [f"@njit(**OPTIONS)\ndef row_{number}{text}" for text, number in rows.bodies.items()]


def _series_names(single: Single, side: str) -> list[str]:
    return [f"{side}_series_{i}" for i in range(len(single.series))]


def _pairs(plan: Schedule, rows: Rows, single: Single) -> str:
    grams = [f"gram_{i}" for i in range(len(plan.grams))]
    series = [*_series_names(single, "left"), *_series_names(single, "right")]
    norms = ["norms1", "norms2"] if grams else []
    arguments = ", ".join([*grams, *norms, "tolerance", "left", "right", *series, "result"])
    calls = [
        f"collinear_row(count, gram_{n}[i][low - base : high - base], norms1[{n}, i], "
        f"norms2[{n}][low:high], SLACK[{n}])"
        for n, gram in enumerate(plan.grams)
        if not gram.left.tokens
    ]
    calls += [
        f"row_{call.function}({', '.join(['count', *map(str.strip, call.arguments)])})"
        for call in rows.calls
    ]
    stores = [
        f"result[{n}, top + i][low:high] = {value}"
        if value[0] in "(-0123456789"
        else f"put(count, {value}, result[{n}, top + i][low:high])"
        for n, value in enumerate(_tail(rows.value(root)) for root in plan.roots)
    ]
    body = "\n".join(f"    {line}" for line in [*calls, *stores])
    return (
        f"{_PUT}\n\n\n"
        f"@njit(**OPTIONS)\ndef one_row(i, top, base, low, high, rows, {arguments}):\n"
        '    """Fill columns low to high of row i of a band; loops from 0 on are vectorised."""\n'
        "    count = high - low\n"
        f"{body}\n\n\n"
        f"@njit(**OPTIONS)\ndef pairs(height, top, shift, base, end, {arguments}):\n"
        '    """Fill columns base to end of a tile, row i from column i + shift on."""\n'
        f"    rows = np.empty(({max(rows.buffers, 1)}, end - base))\n"
        "    for i in range(height):\n"
        "        low = max(base, i + shift)\n"
        "        if low < end:\n"
        f"            one_row(i, top, base, low, end, rows, {arguments})"
    )


def _tail(row: str) -> str:
    inner = row.endswith("]") and not row.endswith("[low:high]")
    return f"{row}[:count]" if inner else row


def _describe(plan: Schedule, single: Single) -> str:
    diagonal = ", ".join(single.name(e) for e in plan.diagonal)
    table = ", ".join(single.rows)
    series = ", ".join(single.series)
    lines = [
        "def describe(data, tolerance):",
        '    """Return what pairs need of every sample: a table, series, own kernel entries."""',
        "    count = len(next(iter(data.values())))",
        *(f"    {line}" for line in single.lines),
        f"    table = [np.broadcast_to(row, (count,)) for row in ({table}{',' if table else ''})]",
        "    table = np.array(table, dtype=np.float64).reshape(-1, count)",
        f"    series = [np.broadcast_to(s, (count, s.shape[-1])) for s in [{series}]]",
        f"    own = [np.broadcast_to(values, (count,)) for values in [{diagonal}]]",
        "    return table, series, own",
    ]
    return "\n".join(lines)


def _prepare(plan: Schedule, kernels: Kernels, inputs: dict[str, tuple[int, ...]]) -> str:
    leaves = [
        f"({'matched' if g.left.tokens else 'multiplied'}, "
        f"({g.left.name!r}, {g.left.place!r}), ({g.right.name!r}, {g.right.place!r}))"
        for g in plan.grams
    ]
    slack = [1.0 - 2.0**-52 * max(4.0, 2.0 * math.sqrt(_width(g.left, inputs))) for g in plan.grams]
    listed = "".join(f"    {leaf},\n" for leaf in leaves)
    return (
        f"GRAMS = [  # how two slices of inputs are multiplied, and which\n{listed}]\n"
        f"SLACK = ({''.join(f'{s!r}, ' for s in slack)})  # cosines above are rounding from 1\n"
        f"ENTRIES = {len(kernels.entries)}\n"
        f"SYMMETRIC = {not kernels.kept}  # whether x and x' may be exchanged in every entry"
    )


def _width(part: Slice, inputs: dict[str, tuple[int, ...]]) -> int:
    """Return how many entries of a sample a slice has."""
    shape = inputs[part.name]
    return math.prod(n for n, at in zip(shape, part.place, strict=True) if at is None)
