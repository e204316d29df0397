"""Analogies and neighbours among word vectors (Mikolov et al. 2013).

``a`` is to ``b`` as ``c`` is to the word whose vector has the largest cosine with b - a + c, where
a, b and c are first brought to length one, and are not answers themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np

Question = tuple[str, str, str, str]


@dataclass(frozen=True)
class Score:
    """How many questions of a section were asked (all their words are known), and were right."""

    section: str
    asked: int
    right: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share of the right answers, NaN where nothing was asked."""
        return self.right / self.asked if self.asked else float("nan")


def questions(path: Path | str) -> dict[str, list[Question]]:
    """Read questions by section, in lower case: lines ``: section`` and ``a b c d``.

    Raises:
        TpcError: the file cannot be read, or has another layout.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").lower().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise TpcError(Diagnostic("E0912", f"cannot read questions from {path}: {why}")) from error
    found: dict[str, list[Question]] = {}
    section = ""
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if parts and parts[0] == ":":
            section = " ".join(parts[1:])
            found[section] = []
        elif len(parts) == 4 and section:
            found[section].append((parts[0], parts[1], parts[2], parts[3]))
        elif parts:
            raise TpcError(
                Diagnostic("E0912", f"line {number} of {path} is no section and no question")
            )
    return found


def scores(
    vectors: np.ndarray, index: Mapping[str, int], asked: Mapping[str, Sequence[Question]]
) -> list[Score]:
    """Answer the questions whose words are all known.

    ``vectors`` (words, width). An answer is right if its cosine is larger than that of every other
    word: equal ones, as between orthogonal vectors, answer nothing.
    """
    import numpy as np

    known = {
        name: [tuple(index[w] for w in each) for each in some if all(w in index for w in each)]
        for name, some in asked.items()
    }
    used = np.unique([w for some in known.values() for each in some for w in each]).astype(int)
    place = np.zeros(len(vectors), dtype=int)
    place[used] = np.arange(len(used))
    unit = normalised(vectors)
    cosines = unit[used] @ unit.T
    result = []
    for name, some in known.items():
        right = 0
        for start in range(0, len(some), 512):
            block = np.array(some[start : start + 512])
            right += _right(cosines, place, block)
        result.append(Score(name, len(some), right, len(asked[name])))
    return result


def _right(cosines: np.ndarray, place: np.ndarray, block: np.ndarray) -> int:
    import numpy as np

    a, b, c, d = block.T
    found = cosines[place[b]] - cosines[place[a]] + cosines[place[c]]
    rows = np.arange(len(block))
    for word in (a, b, c):
        found[rows, word] = -np.inf
    wanted = found[rows, d].copy()
    found[rows, d] = -np.inf
    return int((wanted > found.max(axis=1)).sum())


def total(found: Iterable[Score]) -> Score:
    """Return the score of all sections together."""
    found = list(found)
    return Score(
        "all",
        sum(each.asked for each in found),
        sum(each.right for each in found),
        sum(each.total for each in found),
    )


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of length one (zero stays zero)."""
    import numpy as np

    length = np.sqrt(np.einsum("ik,ik->i", vectors, vectors))[:, None]
    result: np.ndarray = vectors / np.where(length == 0.0, 1.0, length)
    return result


def nearest(
    vectors: np.ndarray, weights: Mapping[int, float], count: int = 5
) -> list[tuple[int, float]]:
    """Return the words of largest cosine with a combination of words' unit vectors.

    ``weights`` are by number of the word; these words themselves are left out.
    """
    import numpy as np

    unit = normalised(vectors)
    sought = np.sum([weight * unit[word] for word, weight in weights.items()], axis=0)
    norm = float(np.linalg.norm(sought)) or 1.0
    cosines = unit @ sought / norm
    cosines[list(weights)] = -np.inf
    order = np.argsort(-cosines, kind="stable")[:count]
    return [(int(k), float(cosines[k])) for k in order]


def principal(vectors: np.ndarray, axes: int = 2) -> np.ndarray:
    """Return coordinates (rows, axes) along the directions of largest variance (PCA)."""
    import numpy as np

    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    result: np.ndarray = left[:, :axes] * sizes[:axes]
    return result
