"""How well adapted networks classify the queries of few-shot tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tpc.datasets.tasks import Tasks

Predict = Callable[[Mapping[str, Any]], "np.ndarray"]


@dataclass(frozen=True)
class Accuracy:
    """The share of queries that are classified rightly, and its standard error over tasks."""

    mean: float
    error: float
    tasks: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.2f} +- {100 * self.error:.2f} %"


def accuracy(predict: Predict, tasks: Tasks, count: int, at_once: int = 50) -> Accuracy:
    """Return the accuracy on ``count`` tasks: batches 0, 1, ... of ``at_once`` tasks.

    ``predict(batch)`` returns logits (tasks, queries, ways). A query whose logits are not numbers
    counts as wrong.
    """
    import numpy as np

    found: list[np.ndarray] = []
    for number in range(math.ceil(count / at_once)):
        size = min(at_once, count - number * at_once)
        batch = tasks.batch(number, at_once)
        part = {name: array[:size] for name, array in batch.items()}
        logits = predict(part)
        right = logits.argmax(axis=-1) == part["yq"].argmax(axis=-1)
        found.append((right & np.isfinite(logits).all(axis=-1)).mean(axis=-1))
    shares = np.concatenate(found)
    error = float(shares.std(ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan
    return Accuracy(float(shares.mean()), error, len(shares))
