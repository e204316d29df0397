"""Inputs, their inner products, and numbers of single samples. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpc.runtime.elementary import select

Array = NDArray[np.float64]
Place = tuple[int | None, ...]


def input_slice(data: Mapping[str, Any], name: str, place: Place) -> Array:
    """Return part of an input as a matrix (N, M): axes fixed by ``place``, the others flattened."""
    chosen = tuple(slice(None) if axis is None else axis for axis in place)
    part = np.asarray(data[name], dtype=np.float64)[(slice(None), *chosen)]
    return np.ascontiguousarray(part.reshape(len(part), -1))


def own_gram(
    data: Mapping[str, Any], name1: str, place1: Place, name2: str, place2: Place
) -> Array:
    """Return the inner products (N,) of two slices of the same samples."""
    left = input_slice(data, name1, place1)
    right = left if (name1, place1) == (name2, place2) else input_slice(data, name2, place2)
    return np.asarray(np.einsum("nm,nm->n", left, right))


def multiplied(left: Array, right: Array, out: Array) -> None:
    """Write the inner products (N1, N2) of rows to ``out``."""
    np.matmul(left, right.T, out=out)


def own_matches(
    data: Mapping[str, Any], name1: str, place1: Place, name2: str, place2: Place
) -> Array:
    """Return the number of equal tokens (N,) of two slices of the same samples."""
    left, right = input_slice(data, name1, place1), input_slice(data, name2, place2)
    return np.asarray((left == right).sum(axis=1), dtype=np.float64)


def row_norms(values: Array) -> Array:
    """Return the Euclidean norms (N,) of rows."""
    return np.asarray(np.sqrt(np.einsum("nm,nm->n", values, values)))


def collinear_row(count: int, row: Array, norm: float, norms: Array, slack: float) -> None:
    """Give inner products of rows that are collinear up to rounding their exact size.

    Without this, the angle between equal inputs is the root of a rounding error.
    """
    for j in range(count):
        bound = norm * norms[j]
        row[j] = select(np.abs(row[j]) > slack * bound, np.copysign(bound, row[j]), row[j])


def matched(left: Array, right: Array, out: Array) -> None:
    """Write the numbers of equal entries (N1, N2) of rows to ``out``."""
    out[...] = 0.0
    for a, b in zip(left.T, right.T, strict=True):
        out += a[:, None] == b[None, :]


def softmax_share(position: int, scores: Sequence[Any], masks: Sequence[Any]) -> Array:
    """Return ``m_i exp(s_i) / sum_j m_j exp(s_j)`` (N,) for i = ``position``; zero over zero is 0.

    A mask that is not zero counts as one; no masks at all keep everything.
    """
    table = np.array(np.broadcast_arrays(*scores, *masks)[: len(scores)], dtype=np.float64)
    for i, mask in enumerate(masks):
        table[i] = np.where(np.asarray(mask) != 0.0, table[i], -np.inf)
    top = table.max(axis=0)
    weights = np.exp(table - np.where(np.isfinite(top), top, 0.0))
    sums = weights.sum(axis=0)
    return np.asarray(weights[position] / np.where(sums == 0.0, 1.0, sums))
