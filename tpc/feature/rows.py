"""A growing list of rows in one array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tpc.ops.base import Array


class Rows:
    """Rows of ``entries`` numbers; appending costs amortised constant time a row."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self._store = np.empty((0, entries))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def array(self) -> Array:
        """All rows (count, entries): a view that later appends leave alone."""
        return self._store[: self._count]

    def append(self, rows: Array) -> None:
        """Add rows (k, entries)."""
        needed = self._count + len(rows)
        if needed > len(self._store):
            grown = np.empty((max(needed, 2 * len(self._store), 8), self.entries))
            grown[: self._count] = self.array
            self._store = grown
        self._store[self._count : needed] = rows
        self._count = needed
