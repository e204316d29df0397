"""Limits of images and sequences: what they say, how they are evaluated, finite networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.limit.layout import layout
from tpc.limit.limit import evaluate_kinds
from tpc.limit.positions import PositionLimit
from tpc.simulate.kernel import empirical_kernel

ROOT = Path(__file__).resolve().parents[2]
POOLED = """
width n
size k = 2
parametrization ntk
input img : [4, 4, 2]
target y : [k]
param K1 : [3, 3, n, 2] init fan_in(2)
param K2 : [3, 3, n, n] init fan_in(2)
param b : [n] init normal(1/2)
param V : [k, n]
def f(img):
    z = relu(conv2d(K1, img, padding = same))
    z = avg_pool(z, window = 2)
    z = relu(conv2d(K2, z, padding = same) + b)
    return V @ mean(z, axis = (1, 2))
train:
    loss = mse(f(img), y)
    optimizer sgd(lr = 0.1)
"""
SELF_ATTENTION = """
width n
size k = 2, T = 10
parametrization ntk
input x : [T, 3]
target y : [k]
param U : [n, 3]
param Q, R, A : [n, n]
param V : [k, n]
def f(x):
    z = U @ x
    s = einsum("t c, u c -> t u", Q @ z, Q @ z) * n^-1
    z = A @ einsum("t u, u c -> t c", softmax(s, axis = 2), R @ z)
    return V @ mean(relu(z), axis = 1)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
IMAGES = np.random.default_rng(0).standard_normal((3, 4, 4, 2))


@pytest.fixture(scope="module")
def pooled() -> dict[str, tpc.limit.Limit]:
    program = tpc.compile(text=POOLED)
    return {kind: program.limit(kind) for kind in ("nngp", "ntk")}


def test_many_positions_are_arrays(pooled):
    assert all(isinstance(limit, PositionLimit) for limit in pooled.values())
    text = pooled["ntk"].text()
    assert "Theta_K2[p, q] = 2/9 * sum_{w} sum_{a, b} Theta_K1" in text
    assert "pairs of positions are needed: arrays of up to 256 numbers" in text
    assert "the 2 outputs are independent copies" in text
    assert pooled["ntk"].to_json()["weights"] == ["K1", "K2", "b", "V"]
    assert r"\Sigma_{\mathtt{K1}}" in pooled["nngp"].latex()


def test_both_kinds_in_one_pass_and_all_ways_to_ask(pooled, tmp_path):
    both = evaluate_kinds(list(pooled.values()), IMAGES)
    for kind, limit in pooled.items():
        own = limit.evaluate(IMAGES)
        np.testing.assert_allclose(both[kind], own, rtol=1e-14)
        np.testing.assert_array_equal(own, own.T)
        assert np.linalg.eigvalsh(own).min() > 0
        np.testing.assert_allclose(limit.evaluate(IMAGES, IMAGES[1:]), own[:, 1:], rtol=1e-13)
        np.testing.assert_allclose(
            limit.evaluate(IMAGES, diagonal=True), np.diagonal(own), rtol=1e-13
        )
        limit.evaluate(IMAGES, out=tmp_path / f"{kind}.npy")
        np.testing.assert_allclose(np.load(tmp_path / f"{kind}.npy"), own, rtol=1e-14)


def test_samples_that_do_not_fit(pooled):
    with pytest.raises(tpc.TpcError, match="the samples do not fit"):
        pooled["nngp"].evaluate(IMAGES[:, :3])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("name", ["convolutions", "attention"])
def test_finite_networks_approach_the_limit(kind, name):
    text = {"convolutions": POOLED, "attention": SELF_ATTENTION}[name]
    program = tpc.compile(text=text)
    limit = program.limit(kind)
    assert isinstance(limit, PositionLimit)
    ((key, shape),) = limit.inputs.items()
    data = {key: np.random.default_rng(1).standard_normal((2, *shape))}
    exact, gaps = limit.evaluate(data), []
    for width in (32, 256):
        found = empirical_kernel(program.module, data, width=width, kind=kind, seeds=range(40))
        mean = np.einsum("nmaa->nm", found.mean) / found.mean.shape[-1]
        deviations = np.einsum("snmaa->snm", found.samples) / found.mean.shape[-1] - exact
        gaps.append(np.sqrt((deviations**2).mean()) / exact.max())
        error = deviations.std(axis=0, ddof=1) / 40**0.5
        if width == 256:
            assert (np.abs(mean - exact) < 4 * error + 0.02 * exact.max()).all()
    if kind == "ntk":
        assert gaps[1] < 0.6 * gaps[0]


def test_training_and_large_outputs_need_no_moments_by_entries(pooled):
    y = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    run = pooled["ntk"].train({"img": IMAGES, "y": y}, 5, start="mean")
    losses = np.asarray(run.loss)
    assert (np.diff(losses.reshape(len(losses), -1).mean(axis=1)) < 0).all()
    assert repr(pooled["ntk"]) == f"<Limit ntk: {len(pooled['ntk'].equations)} equations>"
    program = tpc.compile(ROOT / "bench" / "images" / "myrtle5.tp")
    assert layout(program.module).kept == ()
