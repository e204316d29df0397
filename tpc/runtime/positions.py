"""Compiled loops over arrays of positions. Every array is contiguous; rows lead.

A table of windows has a row per window, the positions that it reads, and -1 for a zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
OPTIONS["fastmath"] = {"contract", "nsz", "reassoc"}


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def window_sums(x: Any, table: Any, out: Any) -> None:
    """``out[l, o, r] = sum_w x[l, table[o, w], r]``."""
    for l in range(x.shape[0]):
        for o in range(table.shape[0]):
            target = out[l, o]
            target[:] = 0.0
            for w in range(table.shape[1]):
                p = table[o, w]
                if p >= 0:
                    source = x[l, p]
                    for r in range(target.shape[0]):
                        target[r] += source[r]


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def diagonal_sums(x: Any, table: Any, out: Any) -> None:
    """``out[l, o, u, r] = sum_w x[l, table[o, w], table[u, w], r]``, for long rows r."""
    for l in range(x.shape[0]):
        for o in range(table.shape[0]):
            for u in range(table.shape[0]):
                target = out[l, o, u]
                target[:] = 0.0
                for w in range(table.shape[1]):
                    p, q = table[o, w], table[u, w]
                    if p >= 0 and q >= 0:
                        source = x[l, p, q]
                        for r in range(target.shape[0]):
                            target[r] += source[r]


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def last_diagonal_sums(x: Any, table: Any, runs: Any, out: Any) -> None:
    """``out[l, o, u] = sum_w x[l, table[o, w], table[u, w]]``.

    ``runs[w]`` holds rows (w, first, stop, start, step): windows first .. stop - 1 read the
    positions start, start + step, ...
    """
    for l in range(x.shape[0]):
        for o in range(table.shape[0]):
            target = out[l, o]
            target[:] = 0.0
            for k in range(runs.shape[0]):
                w, first, stop, start, step = runs[k]
                p = table[o, w]
                if p >= 0:
                    source = x[l, p, start:]
                    part = target[first:stop]
                    if step == 1:
                        for u in range(part.shape[0]):
                            part[u] += source[u]
                    else:
                        for u in range(part.shape[0]):
                            part[u] += source[u * step]


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def last_window_sums(x: Any, runs: Any, out: Any) -> None:
    """``out[l, o] = sum_w x[l, table[o, w]]``, with the runs of the table."""
    for l in range(x.shape[0]):
        target = out[l]
        target[:] = 0.0
        for k in range(runs.shape[0]):
            _, first, stop, start, step = runs[k]
            source = x[l, start:]
            part = target[first:stop]
            if step == 1:
                for u in range(part.shape[0]):
                    part[u] += source[u]
            else:
                for u in range(part.shape[0]):
                    part[u] += source[u * step]


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def products(x: Any, y: Any, rows: Any, columns: Any, places: Any, step: int, out: Any) -> None:
    """``out[b, r, l] = sum_c x[rows[b], c, p] y[columns[b], c, q]``.

    ``places[r]`` holds where p and q begin; q runs with l, and p too where ``step`` is one.
    """
    for b in range(rows.size):
        left, right = x[rows[b]], y[columns[b]]
        for r in range(places.shape[0]):
            p, q = places[r]
            target = out[b, r]
            target[:] = 0.0
            c, length = 0, target.shape[0]
            while c < left.shape[0]:
                # three channels at a time; where fewer are left, the last one counts as zero
                more, most = min(c + 1, left.shape[0] - 1), min(c + 2, left.shape[0] - 1)
                second, third = 1.0 * (more == c + 1), 1.0 * (most == c + 2)
                one = right[c, q : q + length]
                two, three = right[more, q : q + length], right[most, q : q + length]
                if step == 0:
                    u, v, w = left[c, p], second * left[more, p], third * left[most, p]
                    for i in range(length):
                        target[i] += u * one[i] + v * two[i] + w * three[i]
                else:
                    s = left[c, p : p + length]
                    t, f = left[more, p : p + length], left[most, p : p + length]
                    for i in range(length):
                        target[i] += (
                            s[i] * one[i] + second * t[i] * two[i] + third * f[i] * three[i]
                        )
                c += 3


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def sandwiches(x: Any, k: Any, y: Any, rows: Any, columns: Any, out: Any) -> None:
    """``out[b, h] = x[rows[b], h] k[b, h] y[columns[b], h]^T``."""
    half = np.empty((x.shape[2], y.shape[3]))
    for b in range(rows.size):
        for h in range(out.shape[1]):
            left, middle, right = x[rows[b], h], k[b, h], y[columns[b], h]
            target = out[b, h]
            for o in range(half.shape[0]):
                row = half[o]
                row[:] = 0.0
                for p in range(middle.shape[0]):
                    level, source = left[o, p], middle[p]
                    for q in range(row.shape[0]):
                        row[q] += level * source[q]
                for u in range(target.shape[1]):
                    other = right[u]
                    total = 0.0
                    for q in range(row.shape[0]):
                        total += row[q] * other[q]
                    target[o, u] = total
