"""A made-up text with analogies in it: countries and capitals, a topic of words for each pair.

Words of a country's sentences are its topic and what is said of countries; those of its capital's
are the same topic and what is said of cities. So capital - country is the same for all pairs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

PAIRS = (
    "france paris", "italy rome", "spain madrid", "japan tokyo", "egypt cairo", "cuba havana",
    "greece athens", "norway oslo", "china beijing", "kenya nairobi", "peru lima", "iran tehran",
)  # fmt: skip
TOPIC, ROLE, OTHER, LENGTH = 6, 12, 200, 14


def words(stem: str, count: int) -> list[str]:
    """Return words of letters: stema, stemb, ..."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [f"{stem}{letters[k // 26]}{letters[k % 26]}" for k in range(count)]


def text(sentences: int, seed: int = 0) -> str:
    """Return the text: each sentence is about one country or one capital."""
    random = np.random.default_rng(seed)
    roles = [words("land", ROLE), words("city", ROLE)]
    other = words("word", OTHER)
    zipf = 1 / np.arange(1, OTHER + 1)
    result = []
    for _ in range(sentences):
        pair, side = random.integers(len(PAIRS)), random.integers(2)
        topic = words(PAIRS[pair].split()[0], TOPIC)
        said = [PAIRS[pair].split()[side]] * 2
        said += [topic[k] for k in random.integers(TOPIC, size=4)]
        said += [roles[side][k] for k in random.integers(ROLE, size=4)]
        said += list(random.choice(other, LENGTH - len(said), p=zipf / zipf.sum()))
        random.shuffle(said)
        result += said
    return " ".join(result)


def questions() -> str:
    """Return all analogies between two pairs, in the layout of questions-words.txt."""
    lines = [": capital-common-countries"]
    for one in PAIRS:
        for two in PAIRS:
            if one != two:
                (a, b), (c, d) = (pair.split()[::-1] for pair in (one, two))
                lines.append(f"{a} {b} {c} {d}")
    return "\n".join(lines) + "\n"


def write(folder: Path, sentences: int = 4000) -> tuple[Path, Path]:
    """Write text and questions into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "toy.txt", folder / "toy-questions.txt"
    for path, content in zip(paths, (text(sentences), questions()), strict=True):
        path.write_text(content, encoding="utf-8")
    return paths
