r"""The action of an initial Gaussian matrix, revealed as far as it is asked for.

W has independent entries of standard deviation ``sigma n^-p``. In the limit (TP3, master theorem;
Bolthausen's conditioning) the products with vectors x are

    Z^{Wx} = Zhat^{Wx} + Zdot^{Wx}

with Zhat Gaussian, ``Cov(Zhat^{Wx}, Zhat^{Wx'}) = sigma^2 E[Z^x Z^x']``, and Zdot a combination of
the vectors y on which W^T has acted, whose coefficients are expected derivatives with respect to
Zhat^{W^T y}; by Stein's lemma these are regression coefficients of Z^x on the Zhat^{W^T y}.

Both are kept over orthonormal bases: q_i of the forward arguments x, with standard Gaussians e_i,
``Zhat^{W q_i} = sigma e_i``, and p_j of the backward arguments y, with g_j,
``Zhat^{W^T p_j} = sigma g_j``.
Then, with ``<.,.>`` the expectation per n positions,

    W x = sigma (sum_i e_i <q_i, x> + sum_j p_j <g_j, x>) + fresh part of x
    W^T y = sigma (sum_j g_j <p_j, y> + sum_i q_i <e_i, y>) + fresh part of y

so W is a matrix of growing rank, and consistent with itself: a fresh e is orthogonal to the e's
and to the p's, hence products that were taken earlier stay what they were. All products scale by
``n^(1/2 - p)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.rows import Rows
from tpc.feature.space import Known, Space

if TYPE_CHECKING:
    from tpc.ops.base import Array


class Side:
    """One side of a weight: its arguments' basis, and the Gaussians that they are mapped to.

    ``arguments`` (rank, entries on this side), ``images`` (rank, entries on the other side).
    """

    def __init__(self, entries: int, other: int) -> None:
        self.arguments, self.images = Rows(entries), Rows(other)


class GaussianMatrix:
    """An initial matrix of ``rows`` by ``columns`` entries of its space (see the module).

    ``place`` tells it from the other initial matrices of the space.
    """

    def __init__(
        self, space: Space, rows: int, columns: int, sigma: float, place: tuple[int, ...]
    ) -> None:
        self.space, self.sigma, self.place = space, sigma, place
        self.forward, self.backward = Side(columns, rows), Side(rows, columns)
        # <e_i, p_j> and <g_j, q_i>, by side: what fresh images on that side must be orthogonal to
        self._cross = {True: np.zeros((0, 0)), False: np.zeros((0, 0))}
        self._fresh: dict[bool, Known] = {}

    def apply(self, x: Array, transposed: bool = False) -> Array:
        """Return W x (or W^T x) for the rows of ``x`` (A, entries), which become arguments of W."""
        side, other = self._sides(transposed)
        direct = self._extend(x, transposed)
        indirect = self.space.inner(x, other.images.array)
        result: Array = direct @ side.images.array + indirect @ other.arguments.array
        return self.sigma * result

    def peek(self, x: Array, transposed: bool, local: Local, key: int) -> Array:
        """Return the same for rows of independent samples, of which W keeps no memory.

        ``x`` is (N, A, entries): A arguments of each of N samples. Only the joint law of what
        belongs to one sample is right: all samples share their fresh Gaussians, those of stream
        ``key``. ``local`` has the samples' earlier arguments in the same evaluation.
        """
        side, other = self._sides(transposed)
        flat = x.reshape(-1, x.shape[-1])
        direct = self.space.inner(flat, side.arguments.array)
        indirect = self.space.inner(flat, other.images.array)
        result = direct @ side.images.array + indirect @ other.arguments.array
        left = (flat - direct @ side.arguments.array).reshape(x.shape)
        known = self._known(transposed)
        result = result.reshape(*x.shape[:2], -1)
        for position in range(x.shape[1]):
            result[:, position] += self._local(left[:, position], transposed, local, known, key)
        return self.sigma * result

    # -- bookkeeping ---------------------------------------------------------------------------

    def _sides(self, transposed: bool) -> tuple[Side, Side]:
        pair = (self.backward, self.forward)
        return pair if transposed else pair[::-1]

    def _extend(self, x: Array, transposed: bool) -> Array:
        """Make the basis of a side span ``x``; return coefficients (A, rank) over it."""
        space, (side, _) = self.space, self._sides(transposed)
        found = space.inner(x, side.arguments.array)
        new = _independent(x, x - found @ side.arguments.array, side.arguments.array, space)
        if len(new):
            known = self._known(transposed)
            images = space.fresh(len(new), side.images.entries, known)
            self._note(new, images, transposed)
            side.arguments.append(new)
            side.images.append(images)
        return space.inner(x, side.arguments.array)

    def _known(self, transposed: bool) -> Known:
        """Return what fresh images are orthogonal to: images, the other side's arguments."""
        found = self._fresh.get(transposed)
        if found is None:
            side, other = self._sides(transposed)
            unit = side.images.entries / self.space.size
            cross = self._cross[transposed]
            found = Known(side.images.array, unit, other.arguments.array, cross)
            self._fresh[transposed] = found
        return found

    def _note(self, new: Array, images: Array, transposed: bool) -> None:
        """Extend the inner products of images with the arguments that live where they do."""
        _, other = self._sides(transposed)
        self._fresh.clear()
        zeros = np.zeros((len(images), len(other.arguments)))  # fresh ones are orthogonal
        self._cross[transposed] = np.concatenate([self._cross[transposed], zeros])
        column = self.space.inner(other.images.array, new)
        self._cross[not transposed] = np.concatenate([self._cross[not transposed], column], axis=1)

    def _local(self, left: Array, transposed: bool, local: Local, known: Known, key: int) -> Array:
        """Return the fresh part of one argument for each sample: ``left`` is (N, entries)."""
        side, _ = self._sides(transposed)
        weight = self.space.weight
        result = np.zeros((len(left), side.images.entries))
        memory = local.of(self, transposed)
        for basis, images in memory:
            c = (left * basis).sum(axis=1, keepdims=True) * weight
            left = left - c * basis
            result = result + c * images
        norm = np.sqrt((left * left).sum(axis=1, keepdims=True) * weight)
        stream = (key, len(memory), int(transposed), *self.place)
        images = self.space.borrow(side.images.entries, known, stream)
        memory.append((left / np.where(norm == 0.0, 1.0, norm), images))
        fresh: Array = result + norm * images
        return fresh


class Local:
    """Arguments of one evaluation at independent samples, by weight and side."""

    def __init__(self) -> None:
        self._memory: dict[tuple[int, bool], list[tuple[Array, Array]]] = {}

    def of(self, weight: GaussianMatrix, transposed: bool) -> list[tuple[Array, Array]]:
        """Return the list of pairs (basis vector, image), each (N, entries), to be appended to."""
        return self._memory.setdefault((id(weight), transposed), [])


def _independent(x: Array, left: Array, basis: Array, space: Space) -> Array:
    """Return orthonormal rows that span what of ``x`` lies outside of ``basis``.

    ``left`` is x minus its projection. What is smaller than ``space.cut`` times its row of x is
    taken for dependent.
    """
    sizes = np.sqrt(np.einsum("ia,ia->i", x, x))
    kept = sizes > 0.0
    if not kept.any():
        return left[:0]
    left = left[kept] / sizes[kept, None]
    if len(basis):  # once more: rounding must not spoil orthogonality
        left = left - space.inner(left, basis) @ basis
    rows = _directions(left, space.cut) / np.sqrt(space.weight)
    if len(basis):
        rows = rows - space.inner(rows, basis) @ basis
    rows, _ = np.linalg.qr(rows.T)
    result: Array = np.ascontiguousarray(rows.T) / np.sqrt(space.weight)
    return result


def _directions(rows: Array, cut: float) -> Array:
    """Return orthonormal rows that span ``rows``, singular values below ``cut`` left out."""
    if cut > 1e-6:  # the Gram matrix loses half of the digits, and is far cheaper
        values, vectors = np.linalg.eigh(rows @ rows.T)
        kept = values > cut**2
        found: Array = (vectors[:, kept] / np.sqrt(values[kept])).T @ rows
        return found
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[values > cut])
