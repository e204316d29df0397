"""Which samples each training step sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


def minibatches(count: int, size: int, steps: int, seed: int = 0) -> tuple[Indices, ...]:
    """Return the 0-based samples of each of ``steps`` minibatches out of ``count`` samples.

    Every epoch is a permutation of its own, cut into batches of ``size``; a last, smaller one is
    dropped. The result depends on nothing but the arguments.

    Raises:
        ValueError: ``size`` is not between 1 and ``count``.
    """
    import numpy as np

    if not 1 <= size <= count:
        raise ValueError(f"batches of {size} out of {count} samples")
    random = np.random.default_rng([seed, count, size])
    batches: list[Indices] = []
    while len(batches) < steps:
        order = random.permutation(count)
        batches += [order[k : k + size] for k in range(0, count - size + 1, size)]
    return tuple(batches[:steps])
