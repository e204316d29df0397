"""Samples of a text: windows, subsampling and negatives, the same however they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.datasets import cbow
from tpc.datasets.cbow import Cbow, alias, drawn
from tpc.datasets.text import Corpus


def made(length: int = 3000, words: int = 12) -> Corpus:
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, words + 1)
    tokens = random.choice(words, length, p=share / share.sum()).astype(np.int32)
    counts = np.bincount(tokens, minlength=words)
    return Corpus(tuple(f"w{k}" for k in range(words)), counts, tokens, length)


def test_alias_draws_by_the_weights() -> None:
    weights = np.array([5.0, 1.0, 0.0, 2.0, 0.5])
    found = drawn(alias(weights), np.random.default_rng(0), (200_000,))
    share = np.bincount(found, minlength=5) / len(found)
    np.testing.assert_allclose(share, weights / weights.sum(), atol=0.004)


def test_alias_is_exact() -> None:
    weights = np.random.default_rng(1).random(50)
    threshold, other = alias(weights)
    share = threshold.copy()
    np.add.at(share, other, 1 - threshold)
    np.testing.assert_allclose(share / 50, weights / weights.sum(), atol=1e-12)


@pytest.mark.parametrize("fixed", [False, True])
def test_windows(fixed: bool) -> None:
    source = Cbow(made(), window=3, negatives=4, subsample=0, seed=5, fixed=fixed)
    epoch = source.epoch(0)
    np.testing.assert_array_equal(epoch.tokens, source.text.tokens)
    batch = epoch.batch(0)
    reaches = []
    for centre in range(epoch.count):
        share = batch["share"][centre]
        there = np.array([-3, -2, -1, 1, 2, 3])[share > 0]
        reach = np.abs(there).max()
        wanted = [o for o in (-3, -2, -1, 1, 2, 3) if abs(o) <= reach]
        wanted = [o for o in wanted if 0 <= centre + o < epoch.count]
        assert there.tolist() == wanted
        np.testing.assert_allclose(share[share > 0], 1 / len(there))
        np.testing.assert_array_equal(
            batch["context"][centre][share > 0] - 1, epoch.tokens[centre + there]
        )
        reaches.append(reach)
    assert set(reaches[3:-3]) == ({3} if fixed else {1, 2, 3})
    np.testing.assert_array_equal(batch["words"][:, 0] - 1, epoch.tokens)
    assert (batch["label"] == [1, 0, 0, 0, 0]).all()


def test_negatives() -> None:
    source = Cbow(made(), window=2, negatives=40, subsample=0)
    batch = source.epoch(0).batch(0)
    assert (batch["words"][:, 1:] != batch["words"][:, :1]).all()
    chosen = batch["words"][:, 1:][batch["words"][:, 0] == 1] - 1
    share = source.text.counts**0.75
    share[0] = 0
    found = np.bincount(chosen.ravel(), minlength=12) / chosen.size
    np.testing.assert_allclose(found, share / share.sum(), atol=0.01)


def test_subsampling() -> None:
    source = Cbow(made(40_000), subsample=0.02)
    share = 0.02 / (source.text.counts / 40_000)
    np.testing.assert_allclose(source.kept, np.minimum(1, np.sqrt(share) + share))
    counts = np.bincount(source.epoch(1).tokens, minlength=12)
    np.testing.assert_allclose(counts / source.text.counts, source.kept, atol=0.04)
    assert source.samples(3) == sum(source.epoch(k).count for k in range(3))


def test_batches_do_not_hang_on_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbow, "BATCH", 64)
    epoch = Cbow(made(300), window=2, negatives=3, subsample=0, seed=7).epoch(2)
    assert epoch.batches == 5
    forward = [epoch.batch(k) for k in range(5)]
    again = Cbow(made(300), window=2, negatives=3, subsample=0, seed=7).epoch(2)
    for k in (4, 0, 2):
        for name, array in again.batch(k).items():
            np.testing.assert_array_equal(array, forward[k][name])
    assert [len(each["words"]) for each in forward] == [64, 64, 64, 64, 44]
    words = np.concatenate([each["words"][:, 0] for each in forward])
    np.testing.assert_array_equal(words - 1, epoch.tokens)


def test_checks() -> None:
    with pytest.raises(ValueError, match="window 0"):
        Cbow(made(), window=0)
