"""Products of a sparse matrix with a dense one, by compiled loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from tpc.ops.base import Array

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
#: Columns of the result that are computed together: their rows stay in the cache.
_COLUMNS = 1024


def sparse_product(x: Array, y: Array) -> Array:
    """Return ``x @ y``, x (rows, inner) mostly zeros, y (inner, columns) any: (rows, columns)."""
    if x.flags.c_contiguous or not x.flags.f_contiguous:
        compressed = _by_rows(np.ascontiguousarray(x))
    else:
        compressed = _by_columns(x.T)
    result: Array = np.empty((x.shape[0], y.shape[1]))
    _times(*compressed, np.ascontiguousarray(y), result, _COLUMNS)
    return result


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def _by_rows(x: Any) -> Any:
    """Return what is not zero, row by row: where rows start, places in the rows, and values."""
    rows, inner = x.shape
    starts = np.zeros(rows + 1, np.int64)
    places, values = np.empty(rows * inner + 1, np.int64), np.empty(rows * inner + 1)
    end = 0
    for i in range(rows):
        for k in range(inner):  # without a branch: zeros are written over
            value = x[i, k]
            places[end], values[end] = k, value
            end += value != 0.0
        starts[i + 1] = end
    return starts, places, values


@njit(**OPTIONS)  # type: ignore[untyped-decorator]
def _by_columns(x: Any) -> Any:
    """Return the same of the transpose of x."""
    rows, columns = x.shape
    starts = np.zeros(columns + 1, np.int64)
    for i in range(rows):
        for k in range(columns):
            starts[k + 1] += x[i, k] != 0.0
    for k in range(columns):
        starts[k + 1] += starts[k]
    places, values = np.empty(starts[columns], np.int64), np.empty(starts[columns])
    ends = starts[:columns].copy()
    for i in range(rows):
        for k in range(columns):
            if x[i, k] != 0.0:
                places[ends[k]], values[ends[k]] = i, x[i, k]
                ends[k] += 1
    return starts, places, values


@njit(fastmath={"contract"}, **OPTIONS)  # type: ignore[untyped-decorator]
def _times(starts: Any, places: Any, values: Any, y: Any, out: Any, width: int) -> None:
    """Write the product of the matrix that the first three arrays describe with y (see above).

    Eight rows of y are added at a time, so that the result is read and written an eighth as often.
    """
    columns = y.shape[1]
    for first in range(0, columns, width):
        last = min(columns, first + width)
        for i in range(len(starts) - 1):
            o, p = out[i, first:last], starts[i]
            o[:] = 0.0
            while p + 8 <= starts[i + 1]:
                a, b, c, d = values[p], values[p + 1], values[p + 2], values[p + 3]
                e, f, g, h = values[p + 4], values[p + 5], values[p + 6], values[p + 7]
                ya, yb = y[places[p], first:last], y[places[p + 1], first:last]
                yc, yd = y[places[p + 2], first:last], y[places[p + 3], first:last]
                ye, yf = y[places[p + 4], first:last], y[places[p + 5], first:last]
                yg, yh = y[places[p + 6], first:last], y[places[p + 7], first:last]
                for j in range(last - first):
                    near = (a * ya[j] + b * yb[j]) + (c * yc[j] + d * yd[j])
                    o[j] += near + ((e * ye[j] + f * yf[j]) + (g * yg[j] + h * yh[j]))
                p += 8
            while p < starts[i + 1]:
                value, row = values[p], y[places[p], first:last]
                for j in range(last - first):
                    o[j] += value * row[j]
                p += 1
