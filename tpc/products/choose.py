"""Which way a matrix product is taken.

Images of ink on paper, words as unit vectors, clipped activations: a factor of a product is often
mostly zeros. Whether it is, is seen on a sample of its entries, in next to no time. A compiled loop
over what is not zero then beats the dense product where at most a quarter is (measured; it breaks
even at a third).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tpc.ops.base import Array

#: Multiplications of a product below which looking for zeros is not worth it.
LARGE = 1 << 23
#: The share of entries that are not zero up to which a factor counts as sparse.
SPARSE = 0.25
#: Rows of the result below which a dense factor is not worth bringing into order.
_ROWS = 16
#: Rows and columns of the sample.
_SAMPLE = 32


def matrix_product(x: Array, y: Array) -> Array:
    """Return ``x @ y`` of arrays of two axes, or of stacks of them.

    A sparse factor's zeros count as exact: they hide infinities and NaNs that they meet.
    """
    if x.ndim == 2 and y.ndim == 2 and x.shape[0] * y.size >= LARGE:
        for first, second, swapped in ((x, y, False), (y.T, x.T, True)):
            if min(len(first), second.shape[1]) >= _ROWS and _is_sparse(first, second):
                from tpc.products.sparse import sparse_product

                found = sparse_product(first, second)
                return found.T if swapped else found
    result: Array = x @ y
    return result


def _is_sparse(x: Array, y: Array) -> bool:
    """Whether a factor of doubles is mostly zeros, as a sample of its entries tells."""
    if x.dtype != np.float64 or y.dtype != np.float64:
        return False
    rows, columns = (max(1, extent // _SAMPLE) for extent in x.shape)
    sample = x[rows // 2 :: rows, columns // 2 :: columns]
    return bool(np.count_nonzero(sample) <= SPARSE * sample.size)
