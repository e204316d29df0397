"""Did you mean ...?"""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``name`` most likely misspells, or None if none is near.

    Distance is Damerau-Levenshtein (restricted), a wrong case counting half; a third of the
    letters may differ. Ties go to the alphabetically first, so that the answer does not hang on
    the order of a set.
    """
    limit = max(1.0, len(name) / 3)
    ranked = sorted((_distance(name, each), each) for each in set(candidates) if each != name)
    if not ranked or ranked[0][0] > limit or (len(name) == 1 and ranked[0][0] >= 1):
        return None
    return ranked[0][1]


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A help text that proposes the closest candidate, or None."""
    found = closest(name, candidates)
    return f"did you mean `{found}`?" if found else None


def _distance(a: str, b: str) -> float:
    """Restricted Damerau-Levenshtein distance of two short words."""
    if abs(len(a) - len(b)) > 8 or max(len(a), len(b)) > 64:
        return 99.0
    before: list[float] = []
    row = [float(j) for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        new = [float(i)]
        for j, y in enumerate(b, 1):
            swap = 0.0 if x == y else 0.5 if x.lower() == y.lower() else 1.0
            best = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + swap)
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            new.append(best)
        before, row = row, new
    return row[-1]
