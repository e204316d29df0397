"""Analogies among vectors made for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.datasets import analogies as an

WORDS = ("man", "woman", "king", "queen", "boy", "girl", "rock")
FEMALE, ROYAL, YOUNG, ADULT = np.eye(4)
VECTORS = np.array(
    [
        3 * ADULT,
        ADULT + FEMALE,
        ADULT + ROYAL,
        ADULT + ROYAL + FEMALE,
        2 * YOUNG,
        YOUNG + FEMALE,
        -YOUNG - FEMALE,
    ]
)
INDEX = {word: number for number, word in enumerate(WORDS)}
ASKED = {
    "family": [("man", "woman", "king", "queen"), ("boy", "girl", "man", "woman")],
    "wrong": [("man", "woman", "king", "girl"), ("man", "woman", "king", "princess")],
    "unknown": [("a", "b", "c", "d")],
}


def test_scores_equal_the_definition() -> None:
    found = an.scores(VECTORS, INDEX, ASKED)
    assert [(s.section, s.asked, s.right, s.total) for s in found] == [
        ("family", 2, 2, 2),
        ("wrong", 1, 0, 2),
        ("unknown", 0, 0, 1),
    ]
    assert an.total(found) == an.Score("all", 3, 2, 5)
    assert np.isnan(found[2].accuracy)


def test_scores_of_random_vectors_equal_nearest() -> None:
    random = np.random.default_rng(0)
    vectors, index = random.standard_normal((40, 5)), {f"w{k}": k for k in range(40)}
    quadruples = [random.choice(40, 4, replace=False) for _ in range(300)]
    asked = {"all of them": [tuple(f"w{k}" for k in q) for q in quadruples]}
    right = [
        an.nearest(vectors, {b: 1.0, a: -1.0, c: 1.0}, 1)[0][0] == d for a, b, c, d in quadruples
    ]
    (score,) = an.scores(vectors, index, asked)
    assert score.right == sum(right) > 0


def test_orthogonal_vectors_answer_nothing() -> None:
    (family, *_) = an.scores(np.eye(7), INDEX, ASKED)
    assert (family.asked, family.right) == (2, 0)


def test_nearest() -> None:
    best = an.nearest(VECTORS, {INDEX["king"]: 1.0}, 2)
    assert WORDS[best[0][0]] == "queen"
    assert best[0][1] == pytest.approx(2 / np.sqrt(6))


def test_principal() -> None:
    found = an.principal(np.array([[0.0, 0, 3], [0, 1, 0], [0, -1, 0], [0, 0, -3]]))
    np.testing.assert_allclose(np.abs(found), [[3, 0], [0, 1], [0, 1], [3, 0]], atol=1e-12)


def test_questions(tmp_path: Path) -> None:
    path = tmp_path / "questions"
    path.write_text(": Family\nMan Woman King Queen\n: two words\na b c d\ne f g h\n")
    assert an.questions(path) == {
        "family": [("man", "woman", "king", "queen")],
        "two words": [("a", "b", "c", "d"), ("e", "f", "g", "h")],
    }
    path.write_text(": one\na b c\n")
    with pytest.raises(tpc.TpcError, match="line 2"):
        an.questions(path)
    with pytest.raises(tpc.TpcError, match="cannot read"):
        an.questions(tmp_path / "absent")
