"""Few-shot tasks drawn from classes of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Tasks:
    """Tasks of ``ways`` classes, with ``shots`` support and ``queries`` query images of each.

    ``images`` (classes, drawings, ...) are numbers, or bytes that stand for 0..1. Every batch of
    tasks is a function of ``seed`` and its number alone: a run that is continued sees what it
    would have seen.
    """

    images: np.ndarray
    ways: int = 5
    shots: int = 1
    queries: int = 1
    seed: int = 0
    _flat: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import numpy as np

        classes, drawings = self.images.shape[:2]
        if not 1 <= self.ways <= classes or min(self.shots, self.queries) < 1:
            raise ValueError(f"tasks of {self.ways} classes out of {classes}")
        if self.shots + self.queries > drawings:
            raise ValueError(f"{self.shots} + {self.queries} images of a class that has {drawings}")
        flat = np.ascontiguousarray(self.images.reshape(classes, drawings, -1))
        object.__setattr__(self, "_flat", flat)

    def batch(self, number: int, count: int) -> dict[str, np.ndarray]:
        """Return batch ``number`` of ``count`` tasks, as the arrays ``xs ys xq yq``.

        Images are flat, (count, ways * shots or ways * queries, pixels) with ink 1, class by
        class; targets are one-hot rows. Classes of a task differ, as do images of a class.
        """
        import numpy as np

        chosen, drawn = self.choice(number, count)
        rows = self._flat[chosen[:, :, None], drawn]
        scale = 1.0 / 255.0 if rows.dtype == np.uint8 else 1.0
        support, query = rows[:, :, : self.shots], rows[:, :, self.shots :]
        return {
            "xs": self._pixels(support, scale),
            "ys": self._targets(count, self.shots),
            "xq": self._pixels(query, scale),
            "yq": self._targets(count, self.queries),
        }

    def choice(self, number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes (count, ways) of a batch, and images (count, ways, shots+queries)."""
        import numpy as np

        classes, drawings = self._flat.shape[:2]
        random = np.random.default_rng([self.seed, number])
        chosen = _distinct(random, (count,), classes, self.ways)
        each = self.shots + self.queries
        return chosen, _distinct(random, (count, self.ways), drawings, each)

    def _pixels(self, rows: np.ndarray, scale: float) -> np.ndarray:
        import numpy as np

        flat = rows.reshape(len(rows), -1, rows.shape[-1])
        return np.asarray(np.multiply(flat, scale, dtype=float))

    def _targets(self, count: int, each: int) -> np.ndarray:
        import numpy as np

        rows = np.repeat(np.eye(self.ways), each, axis=0)
        return np.asarray(np.tile(rows, (count, 1, 1)))


def _distinct(
    random: np.random.Generator, shape: tuple[int, ...], total: int, count: int
) -> np.ndarray:
    """Return ``count`` different numbers below ``total``, uniform and in random order."""
    import numpy as np

    found = random.integers(total, size=(*shape, count))
    while True:  # rows with repetitions are drawn again
        ordered = np.sort(found, axis=-1)
        again = (ordered[..., 1:] == ordered[..., :-1]).any(axis=-1)
        if not again.any():
            return found
        if 2 * count > total:
            keys = random.random((int(again.sum()), total))
            found[again] = np.argsort(keys, axis=-1)[:, :count]
            return found
        found[again] = random.integers(total, size=(int(again.sum()), count))
