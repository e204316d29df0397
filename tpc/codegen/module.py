"""A kernel recursion as the text of a Python module that needs only NumPy and Numba."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from tpc.codegen.rows import Rows
from tpc.codegen.schedule import Schedule, schedule
from tpc.codegen.single import Single
from tpc.codegen.text import closure
from tpc.limit.kernels import Kernels

_NUMPY_ONLY = {
    "panel_nodes",
    "panel_edges",
    "hermite_basis",
    "series_at_level",
    "hermite_series",
    "series_sum",
    "adaptive_series",
    "paired_sum",
    "input_slice",
    "own_gram",
    "own_matches",
    "pair_matches",
    "softmax_share",
    "pair_gram",
}

_HEADER = """\
import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

OPTIONS = {{"cache": True, "nogil": True, "error_model": "numpy"}}
OPTIONS["fastmath"] = {{"contract", "nsz"}}
THREADS = int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)
INPUTS = {inputs!r}  # shape of one sample, by input
AXES = {kept!r}  # output axes that the kernel keeps
TOLERANCE = {tolerance!r}
"""

_SELECT = """\
@overload(select)
def _compiled_select(condition, yes, no):
    return lambda condition, yes, no: yes if condition else no
"""

_MIRROR = '''\
@njit(**OPTIONS)
def mirror(first, stride, result):
    """Copy blocks of the upper triangle of every matrix to the lower one."""
    size, block = result.shape[1], 64
    for top in range(first * block, size, stride * block):
        for side in range(top, size, block):
            for e in range(result.shape[0]):
                for j in range(side, min(side + block, size)):
                    for i in range(top, min(top + block, j)):
                        result[e, j, i] = result[e, i, j]
'''

_THREADS = '''\
def in_threads(function, *arguments):
    """Run ``function(first, stride, *arguments)`` on all cores: compiled code holds no lock."""
    if THREADS == 1:
        function(0, 1, *arguments)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(function, first, THREADS, *arguments) for first in range(THREADS)]
        for job in jobs:
            job.result()
'''

_EVALUATE = '''\
def evaluate(X, X2=None, tolerance=TOLERANCE, strict=True):
    """Return the kernel, shape (N, N2) followed by the kept output axes twice.

    X: samples of shape (N, *input shape), or a dict of them by input name; X2 likewise (X itself by
    default). Raises ValueError for wrong shapes, and ArithmeticError where an expectation without a
    closed form misses the tolerance (relative to the second moments of what is averaged);
    without ``strict`` such entries are NaN.
    """
    data, data2 = samples(X), samples(X if X2 is None else X2)
    left, left_series, diagonal = describe(data, tolerance)
    right, right_series = left, left_series
    if X2 is not None:
        right, right_series, _ = describe(data2, tolerance)
    result = np.empty(({entries}, left.shape[1], right.shape[1]))
    symmetric = X2 is None and {symmetric}
    in_threads(pairs, {grams}symmetric, tolerance, left, right, {series}result)
    if symmetric:
        in_threads(mirror, result)
    if X2 is None:
        for entry, values in enumerate(diagonal):
            np.fill_diagonal(result[entry], values)
    if strict and np.isnan(result).any():
        raise ArithmeticError(f"an expectation was not computed to {{tolerance:g}}")
    if not AXES:
        return result[0]
    return np.moveaxis(result, 0, -1).reshape(*result.shape[1:], *AXES, *AXES)
'''

_SAMPLES = '''\
def samples(X):
    """Return samples by input name, checked: finite, of the right shapes, equally many."""
    if not isinstance(X, dict):
        if len(INPUTS) != 1:
            raise ValueError(f"several inputs: give a dict with {sorted(INPUTS)}")
        X = {next(iter(INPUTS)): X}
    if sorted(X) != sorted(INPUTS):
        raise ValueError(f"inputs are {sorted(INPUTS)}, not {sorted(X)}")
    data = {name: np.asarray(X[name], dtype=np.float64) for name in INPUTS}
    for name, shape in INPUTS.items():
        if data[name].shape[1:] != tuple(shape):
            raise ValueError(f"{name} has shape {data[name].shape}, not (N, *{tuple(shape)})")
        if not np.isfinite(data[name]).all():
            raise ValueError(f"{name} contains NaN or infinity")
    if len({len(values) for values in data.values()}) != 1:
        raise ValueError("the inputs have different numbers of samples")
    return data
'''


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
    needed = {*single.runtime, *rows.runtime, "pair_gram", "own_gram", "pair_matches"}
    for phi in single.functions:
        needed.update(phi.helpers)
    parts = [
        f'"""{_docstring(title, equations)}"""',
        _HEADER.format(inputs=inputs, kept=kernels.kept, tolerance=tolerance).rstrip(),
        *runtime_source(needed),
        *_activations(single),
        *_row_functions(rows),
        main,
        _MIRROR.rstrip(),
        _THREADS.rstrip(),
        describe,
        _SAMPLES.rstrip(),
        _evaluate(plan, single, kernels),
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
    arguments = ", ".join([*grams, "symmetric", "tolerance", "left", "right", *series, "result"])
    calls = [
        f"row_{call.function}({', '.join(['start', 'count', *map(str.strip, call.arguments)])})"
        for call in rows.calls
    ]
    stores = [
        f"result[{n}, i, start:] = {_tail(rows.value(root))}" for n, root in enumerate(plan.roots)
    ]
    body = "\n".join(f"    {line}" for line in [*calls, *stores])
    return (
        f"@njit(**OPTIONS)\ndef one_row(i, rows, {arguments}):\n"
        '    """Fill row i of the result (from the diagonal on where it is symmetric)."""\n'
        "    start, count = i if symmetric else 0, result.shape[2]\n"
        f"{body}\n\n\n"
        f"@njit(**OPTIONS)\ndef pairs(first, stride, {arguments}):\n"
        '    """Fill every stride-th row of the result."""\n'
        f"    rows = np.empty(({max(rows.buffers, 1)}, result.shape[2]))\n"
        "    for i in range(first, result.shape[1], stride):\n"
        f"        one_row(i, rows, {arguments})"
    )


def _tail(row: str) -> str:
    return row if not row.endswith("]") else f"{row}[start:]"


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
        f"    return table, ({series}{',' if series else ''}), ({diagonal},)",
    ]
    return "\n".join(lines)


def _evaluate(plan: Schedule, single: Single, kernels: Kernels) -> str:
    grams = "".join(
        f"{'pair_matches' if g.left.tokens else 'pair_gram'}(data, data2, "
        f"{g.left.name!r}, {g.left.place!r}, {g.right.name!r}, {g.right.place!r}), "
        for g in plan.grams
    )
    count = len(single.series)
    series = "".join(f"left_series[{i}], " for i in range(count))
    series += "".join(f"right_series[{i}], " for i in range(count))
    return (
        textwrap.dedent(_EVALUATE)
        .format(
            entries=len(kernels.entries), symmetric=not kernels.kept, grams=grams, series=series
        )
        .rstrip()
    )
