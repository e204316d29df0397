"""Outputs with axes as the columns that kernels act on.

Along some axes of an output the entries are independent copies of each other (the classes of a
readout): there every copy has the same kernel. The other axes are kept: the kernel holds their
correlations, and acts on samples and these axes together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tpc.limit.kernels import output_axes

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array


@dataclass(frozen=True)
class Layout:
    """``axes`` are the sizes of all axes of an output, ``kept`` the places of those kept."""

    axes: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def dropped(self) -> tuple[int, ...]:
        """The places of the axes of independent copies."""
        return tuple(axis for axis in range(len(self.axes)) if axis not in self.kept)

    @property
    def inner(self) -> int:
        """The number of kept entries of one sample."""
        return int(np.prod([self.axes[axis] for axis in self.kept], dtype=int))

    @property
    def copies(self) -> int:
        """The number of independent copies."""
        return int(np.prod([self.axes[axis] for axis in self.dropped], dtype=int))

    def matrix(self, kernel: Array) -> Array:
        """Return (P, N, kept, kept) as a matrix (P * kept, N * kept)."""
        rows, columns, inner = *kernel.shape[:2], self.inner
        if inner == 1:
            return kernel.reshape(rows, columns)
        array = kernel.reshape(rows, columns, inner, inner).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(array.reshape(rows * inner, columns * inner))

    def kernel(self, matrix: Array) -> Array:
        """Undo :meth:`matrix`."""
        inner, sizes = self.inner, tuple(self.axes[axis] for axis in self.kept)
        rows, columns = (count // inner for count in matrix.shape)
        array = matrix.reshape(rows, inner, columns, inner).transpose(0, 2, 1, 3)
        return array.reshape(rows, columns, *sizes, *sizes)

    def columns(self, f: Array) -> Array:
        """Return (points, axes) as (points * kept, copies): what matrices act on."""
        return f.transpose(self._order).reshape(len(f) * self.inner, -1)

    def outputs(self, columns: Array) -> Array:
        """Undo :meth:`columns`."""
        sizes = [self.axes[axis] for axis in (*self.kept, *self.dropped)]
        array = columns.reshape(len(columns) // self.inner, *sizes)
        return array.transpose(np.argsort(self._order))

    @property
    def _order(self) -> tuple[int, ...]:
        return (0, *(1 + axis for axis in self.kept), *(1 + axis for axis in self.dropped))


def layout(module: Module) -> Layout:
    """Return the layout of a program's output."""
    kept, _ = output_axes(module)
    return Layout(tuple(int(dim.count) for dim in module.output.node.type.dims), tuple(kept))
