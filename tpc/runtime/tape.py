"""Averages of straight-line programs over Gaussians, in compiled loops.

A *tape* is a list of instructions, each of which fills one register from earlier ones, at a block
of points at a time: one compiled interpreter serves every integrand, so nothing is compiled for a
new program. Needs NumPy and Numba.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

from tpc.runtime.elementary import decay, exponential, exponential_parts, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BLOCK = 128
FEW_STEPS = 4_000_000  # register writes that take less than threads to start
(LEAF, SCALAR, NUMBER, ADD, SCALE, SHIFT, MULTIPLY, DIVIDE, POWER, WHOLE, MAXIMUM, MINIMUM) = range(
    12
)
(WHERE, WHERE_EQUAL, KEPT, EXP, LOG, TANH, SIGMOID, ERF, RELU, ABS, SIGN, STEP) = range(12, 24)
(SIN, COS, SOFTPLUS, ROOT) = range(24, 28)
FUNCTIONS = {
    "exp": EXP,
    "log": LOG,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "erf": ERF,
    "relu": RELU,
    "abs": ABS,
    "sign": SIGN,
    "step": STEP,
    "sin": SIN,
    "cos": COS,
    "softplus": SOFTPLUS,
}
"""Opcodes of primitive nonlinearities by name."""

OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz"},
}


@overload(select)  # type: ignore[untyped-decorator]
def _select(condition: Any, yes: Any, no: Any) -> Any:
    def chosen(condition: Any, yes: Any, no: Any) -> Any:
        return yes if condition else no

    return chosen


for _function in (exponential_parts, exponential, decay):  # inlined, loops are vectorised
    register_jitable(forceinline=True)(_function)


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def _unary(op: int, x: Array, c: float, out: Array, count: int) -> None:
    if op == SCALE:
        for j in range(count):
            out[j] = c * x[j]
    elif op == SHIFT:
        for j in range(count):
            out[j] = c + x[j]
    elif op == POWER:
        for j in range(count):
            out[j] = x[j] ** c
    elif op == WHOLE:
        for j in range(count):
            out[j] = x[j] ** int(c)
    elif op == ROOT:
        for j in range(count):
            out[j] = math.sqrt(x[j])
    elif op == KEPT:
        for j in range(count):
            out[j] = 1.0 if x[j] != 0.0 else 0.0
    elif op == EXP:
        for j in range(count):
            out[j] = exponential(x[j])
    elif op == LOG:
        for j in range(count):
            out[j] = math.log(x[j])
    elif op == TANH:
        for j in range(count):
            e, rest = decay(2.0 * abs(x[j]))
            out[j] = math.copysign(rest / (1.0 + e), x[j])
    elif op == SIGMOID:
        for j in range(count):
            e, _ = decay(abs(x[j]))
            out[j] = select(x[j] >= 0.0, 1.0, e) / (1.0 + e)
    elif op == ERF:
        for j in range(count):
            out[j] = math.erf(x[j])
    elif op == RELU:
        for j in range(count):
            out[j] = max(x[j], 0.0)
    elif op == ABS:
        for j in range(count):
            out[j] = abs(x[j])
    elif op == SIGN:
        for j in range(count):
            out[j] = (1.0 if x[j] > 0.0 else 0.0) - (1.0 if x[j] < 0.0 else 0.0)
    elif op == STEP:
        for j in range(count):
            out[j] = 0.5 * (1.0 if x[j] > 0.0 else 0.0) + 0.5 * (1.0 if x[j] >= 0.0 else 0.0)
    elif op == SIN:
        for j in range(count):
            out[j] = math.sin(x[j])
    elif op == COS:
        for j in range(count):
            out[j] = math.cos(x[j])
    elif op == SOFTPLUS:
        for j in range(count):
            out[j] = max(x[j], 0.0) + math.log1p(exponential(-abs(x[j])))


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def _binary(op: int, x: Array, y: Array, z: Array, out: Array, count: int) -> None:
    if op == ADD:
        for j in range(count):
            out[j] = x[j] + y[j]
    elif op == MULTIPLY:
        for j in range(count):
            out[j] = x[j] * y[j]
    elif op == DIVIDE:
        for j in range(count):
            out[j] = x[j] / y[j]
    elif op == MAXIMUM:
        for j in range(count):
            out[j] = max(x[j], y[j])
    elif op == MINIMUM:
        for j in range(count):
            out[j] = min(x[j], y[j])
    elif op == WHERE:
        for j in range(count):
            out[j] = y[j] if x[j] > 0.0 else z[j]
    elif op == WHERE_EQUAL:
        for j in range(count):
            out[j] = y[j] if x[j] >= 0.0 else z[j]


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def _leaf(row: Array, nodes: Array, start: int, out: Array, count: int) -> None:
    for j in range(count):
        out[j] = 0.0
    for c in range(row.size):
        factor = row[c]
        if factor != 0.0:
            for j in range(count):
                out[j] += factor * nodes[c, start + j]


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def _run(
    first: int,
    stride: int,
    codes: Any,
    numbers: Array,
    roots: Array,
    scalars: Array,
    which: Any,
    nodes: Array,
    weights: Array,
    mean: Array,
    square: Array,
) -> None:
    """Average the last register for every stride-th problem."""
    registers = np.empty((codes.shape[0], BLOCK))
    last, size = codes.shape[0] - 1, nodes.shape[2]
    for p in range(first, roots.shape[0], stride):
        own = nodes[which[p]]
        total, total_square = 0.0, 0.0
        for start in range(0, size, BLOCK):
            count = min(BLOCK, size - start)
            for i in range(codes.shape[0]):
                op, a, b, c = codes[i]
                out = registers[i]
                if op == LEAF:
                    _leaf(roots[p, a], own, start, out, count)
                elif op == SCALAR:
                    out[:count] = scalars[p, a]
                elif op == NUMBER:
                    out[:count] = numbers[i]
                elif op in (ADD, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM, WHERE, WHERE_EQUAL):
                    _binary(op, registers[a], registers[b], registers[c], out, count)
                else:
                    _unary(op, registers[a], numbers[i], out, count)
            for j in range(count):
                value = registers[last, j]
                total += weights[start + j] * value
                total_square += weights[start + j] * value * value
        mean[p], square[p] = total, total_square


def averages(
    codes: Any,
    numbers: Array,
    roots: Array,
    scalars: Array,
    which: Any,
    nodes: Array,
    weights: Array,
) -> tuple[Array, Array]:
    """Return mean and mean square (P,) of a tape for P problems.

    ``codes`` (n, 4) are opcode and registers, ``numbers`` (n,) constants; ``roots`` (P, k, k) are
    lower-triangular roots of covariances, ``scalars`` (P, s) numbers; problem p is averaged over
    ``nodes[which[p]]`` of ``nodes`` (R, k, M) with ``weights`` (M,).
    """
    count = len(roots)
    mean, square = np.empty(count), np.empty(count)
    threads = int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)
    threads = max(1, min(threads, count))
    arguments = (codes, numbers, roots, scalars, which, nodes, weights, mean, square)
    if threads == 1 or count * weights.size * len(codes) < FEW_STEPS:
        _run(0, 1, *arguments)
        return mean, square
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(_run, first, threads, *arguments) for first in range(threads)]
        for job in jobs:
            job.result()
    return mean, square
