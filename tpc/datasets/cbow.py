"""Continuous bags of words with negative samples (Mikolov et al. 2013), drawn from a text.

Frequent words are left out at random, words around a centre are its context, and the centre is to
be told from words drawn by their frequency to the power of 3/4. Every batch is a function of the
seed, the epoch and its number alone, so that a run that is continued sees what it would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tpc.datasets.text import Corpus

if TYPE_CHECKING:
    import numpy as np

#: Samples of a batch: random numbers are drawn for so many at a time.
BATCH = 4096


@dataclass(frozen=True, eq=False)
class Cbow:
    """Samples of a text.

    ``window`` words on each side at most: their number is uniform in 1..window, as word2vec does,
    or always ``window`` if it is ``fixed``. ``subsample`` t keeps a word of frequency f with
    probability sqrt(t / f) + t / f (word2vec's own rule); 0 keeps all.
    """

    text: Corpus
    window: int = 8
    negatives: int = 25
    subsample: float = 1e-4
    seed: int = 0
    fixed: bool = False
    _alias: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if min(self.window, self.negatives) < 1 or self.subsample < 0:
            raise ValueError(f"window {self.window}, {self.negatives} negatives")
        object.__setattr__(self, "_alias", alias(self.text.counts**0.75))

    @cached_property
    def kept(self) -> np.ndarray:
        """The probability that each word of the vocabulary is kept."""
        import numpy as np

        if not self.subsample:
            return np.ones(len(self.text.counts))
        share = self.subsample / (self.text.counts / self.text.counts.sum())
        result: np.ndarray = np.minimum(1.0, np.sqrt(share) + share)
        return result

    def epoch(self, number: int) -> Epoch:
        """Return the samples of an epoch."""
        random, tokens = self._random(number, 0), self.text.tokens
        chosen = random.random(len(tokens), dtype="float32") < self.kept.astype("float32")[tokens]
        return Epoch(self, number, tokens[chosen])

    def samples(self, epochs: int) -> int:
        """Return how many samples so many epochs have together."""
        return sum(self.epoch(number).count for number in range(epochs))

    def _random(self, epoch: int, stream: int) -> np.random.Generator:
        import numpy as np

        return np.random.default_rng([self.seed, epoch, stream])

    def negative(self, random: np.random.Generator, words: np.ndarray) -> np.ndarray:
        """Return words that are not those of ``words`` (N,), drawn anew until they are: (N, k)."""
        found = drawn(self._alias, random, (len(words), self.negatives))
        same = found == words[:, None]
        while same.any():
            found[same] = drawn(self._alias, random, (int(same.sum()),))
            same = found == words[:, None]
        return found


@dataclass(frozen=True, eq=False)
class Epoch:
    """The text of one epoch, frequent words thinned out; each of its words is a centre once."""

    source: Cbow
    number: int
    tokens: np.ndarray

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.tokens)

    @property
    def batches(self) -> int:
        """Number of batches; the last may be smaller."""
        return -(-self.count // BATCH)

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """Return a batch (from 0), as the arrays ``context share words label``.

        ``context`` (B, 2 window) are words from 1, ``share`` one over the number of context words
        where there is one and zero elsewhere; ``words`` (B, 1 + negatives) the centre, then the
        negative samples; ``label`` one for the centre and zero for the others.
        """
        import numpy as np

        source, length = self.source, self.count
        random = source._random(self.number, number + 1)
        centres = np.arange(number * BATCH, min((number + 1) * BATCH, length))
        reach = np.full(len(centres), source.window)
        if not source.fixed:
            reach = random.integers(1, source.window + 1, len(centres))
        side = np.arange(1, source.window + 1)
        offsets = np.concatenate([-side[::-1], side])
        places = centres[:, None] + offsets
        there = (np.abs(offsets) <= reach[:, None]) & (places >= 0) & (places < length)
        context = np.where(there, self.tokens[np.clip(places, 0, length - 1)], 0).astype(np.int64)
        share = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        words = self.tokens[centres].astype(np.int64)
        words = np.concatenate([words[:, None], source.negative(random, words)], axis=1)
        label = np.zeros(words.shape)
        label[:, 0] = 1.0
        return {"context": context + 1, "share": share, "words": words + 1, "label": label}


def alias(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the tables of Walker's alias method: thresholds, and who is taken above them."""
    import numpy as np

    scaled = weights / weights.sum() * len(weights)
    other = np.arange(len(weights))
    small = [k for k in range(len(weights)) if scaled[k] < 1.0]
    large = [k for k in range(len(weights)) if scaled[k] >= 1.0]
    threshold = np.ones(len(weights))
    while small and large:
        low, high = small.pop(), large[-1]
        threshold[low], other[low] = scaled[low], high
        scaled[high] -= 1.0 - scaled[low]
        if scaled[high] < 1.0:
            small.append(large.pop())
    return threshold, other


def drawn(
    tables: tuple[np.ndarray, np.ndarray], random: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray:
    """Return numbers drawn by the weights that ``alias`` was given."""
    import numpy as np

    threshold, other = tables
    at = random.random(shape) * len(threshold)
    found = at.astype(np.int64)
    result: np.ndarray = np.where(at - found < threshold[found], found, other[found])
    return result
