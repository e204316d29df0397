"""Loops over the rows of a table at one sample's words; plain Python that Numba compiles.

Several rows go together, so that a vector that they share is read once for all; ``zero`` has the
tables' type and makes sums be taken in it. Rows are given by their numbers in ``rows[:count]``.
"""

from __future__ import annotations

from typing import Any


def distinct(words: Any, mark: Any, rows: Any, place: Any, count: int) -> int:
    """List the words of a sample that are not listed yet; ``place`` says where each one stands.

    ``words`` count from 1; ``mark`` is -1 for every row that is not in ``rows[:count]``. Returns
    the new count.
    """
    for j in range(words.shape[0]):
        row = words[j] - 1
        if mark[row] < 0:
            mark[row] = count
            rows[count] = row
            count += 1
        place[j] = mark[row]
    return count


def forget(mark: Any, rows: Any, count: int) -> None:
    """Clear the list of rows."""
    for r in range(count):
        mark[rows[r]] = -1


def moves(vector: Any) -> bool:
    """Return whether a vector has an entry other than zero."""
    for k in range(vector.shape[0]):  # noqa: SIM110 - Numba compiles no generators
        if vector[k] != 0.0:
            return True
    return False


def dots(table: Any, rows: Any, count: int, h: Any, result: Any, zero: Any) -> None:
    """Write the inner products of rows with ``h`` to ``result[:count]``.

    Eight rows go together: that many are fetched from memory at once.
    """
    eights = count - count % 8
    pairs = count - count % 2
    for j in range(0, eights, 8):
        x, y = table[rows[j]], table[rows[j + 1]]
        z, w = table[rows[j + 2]], table[rows[j + 3]]
        p, q = table[rows[j + 4]], table[rows[j + 5]]
        r, s = table[rows[j + 6]], table[rows[j + 7]]
        a, b, c, d = zero, zero, zero, zero
        e, f, g, i = zero, zero, zero, zero
        for k in range(h.shape[0]):
            t = h[k]
            a += x[k] * t
            b += y[k] * t
            c += z[k] * t
            d += w[k] * t
            e += p[k] * t
            f += q[k] * t
            g += r[k] * t
            i += s[k] * t
        result[j], result[j + 1], result[j + 2], result[j + 3] = a, b, c, d
        result[j + 4], result[j + 5], result[j + 6], result[j + 7] = e, f, g, i
    for j in range(eights, pairs, 2):
        x, y = table[rows[j]], table[rows[j + 1]]
        a, b = zero, zero
        for k in range(h.shape[0]):
            a += x[k] * h[k]
            b += y[k] * h[k]
        result[j], result[j + 1] = a, b
    for j in range(pairs, count):
        x = table[rows[j]]
        a = zero
        for k in range(h.shape[0]):
            a += x[k] * h[k]
        result[j] = a


def combine(table: Any, rows: Any, count: int, weights: Any, target: Any) -> None:
    """Add ``sum_j weights[j] * row_j`` to ``target``; rows of weight zero are not read."""
    for j in range(count):
        a = weights[j]
        if a != 0.0:
            x = table[rows[j]]
            for k in range(target.shape[0]):
                target[k] += a * x[k]


def shift(x: Any, h: Any, q: Any, shrink: Any) -> None:
    """Take ``q * h + shrink * x`` from the row ``x``."""
    for k in range(h.shape[0]):
        t = x[k]
        x[k] = t - (q * h[k] + shrink * t)


def move(table: Any, rows: Any, count: int, q: Any, h: Any, shrink: Any, zero: Any) -> None:
    """Take ``sum_g q[g, j] * h[g]`` from every row j, and ``shrink`` times itself if it moves."""
    for j in range(count):
        left = shrink
        for g in range(h.shape[0]):
            if q[g, j] != 0.0 and moves(h[g]):
                shift(table[rows[j]], h[g], q[g, j], left)
                left = zero


def move_and_combine(
    table: Any,
    rows: Any,
    count: int,
    weights: Any,
    target: Any,
    q: Any,
    h: Any,
    shrink: Any,
    zero: Any,
) -> None:
    """Do :func:`combine`, and :func:`move` by the one vector ``h``, in one pass over the rows."""
    if not moves(h):
        combine(table, rows, count, weights, target)
        return
    fours = count - count % 4
    for j in range(0, fours, 4):
        x, y = table[rows[j]], table[rows[j + 1]]
        z, w = table[rows[j + 2]], table[rows[j + 3]]
        a, b, c, d = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        p, r, s, u = q[j], q[j + 1], q[j + 2], q[j + 3]
        e = shrink if p != 0.0 else zero
        f = shrink if r != 0.0 else zero
        g = shrink if s != 0.0 else zero
        i = shrink if u != 0.0 else zero
        for k in range(h.shape[0]):
            t, xk, yk, zk, wk = h[k], x[k], y[k], z[k], w[k]
            target[k] += a * xk + b * yk + c * zk + d * wk
            x[k] = xk - (p * t + e * xk)
            y[k] = yk - (r * t + f * yk)
            z[k] = zk - (s * t + g * zk)
            w[k] = wk - (u * t + i * wk)
    for j in range(fours, count):
        x, a, p = table[rows[j]], weights[j], q[j]
        e = shrink if p != 0.0 else zero
        for k in range(h.shape[0]):
            xk = x[k]
            target[k] += a * xk
            x[k] = xk - (p * h[k] + e * xk)
