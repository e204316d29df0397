"""Constructs of the language: shared weights, residuals, norms, attention, optimizers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.feature.constructs import ADAM, CONVOLUTION, PROGRAMS
from tests.feature.programs import Data, deviations, extrapolated, module_of
from tpc.diagnostics import TpcError
from tpc.feature import feature_limit


def points_for(shape: tuple[int, ...], targets: tuple[int, ...]) -> Data:
    random = np.random.default_rng(0)
    x = 0.7 * random.standard_normal((3, *shape))
    return {"x": x, "y": np.sign(random.standard_normal((3, *targets)))}


@pytest.mark.parametrize("name", PROGRAMS)
def test_against_finite_widths(name: str) -> None:
    text, shape, targets = PROGRAMS[name]
    module, points = module_of(text), points_for(shape, targets)
    g, other = extrapolated(module, points, 3, width=48, seeds=24)
    run = feature_limit(module).train(points, 3, particles=512, replicates=3)
    assert np.abs(deviations(run.f, run.error, g, other, 1e-2)).max() < 4


def test_matrices_of_one_weight_are_independent() -> None:
    """Also of what is seen for the first time: unrelated images have no inner product."""
    text = """
width n
size d = 3
input x : [d]
param U : [n, d] abc(-1/2, 1/2, 0)
param W : [2, n, n] abc(0, 1/2, 0)
def f(x):
    h = U @ x
    return n^-1 * dot(tanh(W[1] @ h), W[2] @ h + W[1] @ h)
"""
    x = np.random.default_rng(0).standard_normal((2, 3))
    found = feature_limit(module_of(text)).train({"x": x}, 0, particles=4096, replicates=2).f[0]
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    sizes = np.sqrt((x**2).sum(axis=1))[:, None]
    expected = (np.tanh(sizes * points) * sizes * points) @ (weights / weights.sum())
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_linear_convolutions_are_exact() -> None:
    text = CONVOLUTION.replace("tanh(conv", "(conv")
    points = points_for((3, 2), (1,))
    limit = feature_limit(module_of(text))
    assert limit.method == "linear"
    run = limit.train(points, 2)
    g, other = extrapolated(limit.module, points, 2, width=32, seeds=32)
    assert not run.error.any()
    assert np.abs(deviations(run.f, run.error, g, other, 1e-2)).max() < 4


def test_muon_and_adafactor_on_kernels() -> None:
    """Muon orthogonalises each position's matrix; adafactor's averages run over all of them."""
    points = points_for((3, 2), (1,))
    frozen = CONVOLUTION.replace("d] abc(-1/2, 1/2, 0)", "d] abc(-1/2, 1/2, 0) frozen")
    muon = module_of(frozen.replace("sgd(lr = 0.2)", "muon(lr = 0.1)"))
    g, other = extrapolated(muon, points, 2, width=48, seeds=24)
    run = feature_limit(muon).train(points, 2, particles=400, replicates=3)
    assert np.abs(deviations(run.f, run.error, g, other, 1e-2)).max() < 4
    assert np.abs(run.f[2] - run.f[0]).max() > 0.1
    adafactor = module_of(frozen.replace("sgd(lr = 0.2)", "adafactor(lr = 0.1)"))
    with pytest.raises(TpcError, match="adafactor on a matrix with finite axes"):
        feature_limit(adafactor).train(points, 1, particles=400, replicates=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_against_finite_widths_at_length(name: str) -> None:
    text, shape, targets = PROGRAMS[name]
    module, points = module_of(text), points_for(shape, targets)
    g, other = extrapolated(module, points, 5, width=128, seeds=512)
    run = feature_limit(module).train(points, 5, particles=2048, replicates=8)
    # extrapolation leaves an error of order 1/n^2
    assert np.abs(deviations(run.f, run.error, g, other)).max() < 4
    assert np.abs(run.f - g).max() < 0.03


def test_decay_that_vanishes_or_diverges() -> None:
    """Decoupled decay shrinks by rate * decay: it needs the inverse power of the rate."""
    points = points_for((3,), (1,))
    constant = ADAM.replace("adam(lr = 0.1)", "adamw(lr = 0.1, decay = 0.2)")
    runs = [
        feature_limit(module_of(text)).train(points, 2, particles=128, replicates=1)
        for text in (ADAM, constant)
    ]
    np.testing.assert_allclose(runs[0].f, runs[1].f, atol=1e-12)
    too_large = module_of(constant.replace("decay = 0.2", "decay = 0.2 * n"))
    with pytest.raises(TpcError, match="shrinks"):
        feature_limit(too_large).train(points, 1, particles=128, replicates=1)


def test_random_outputs_are_the_same_for_equal_seeds() -> None:
    text, shape, targets = PROGRAMS["rnn"]
    limit, points = feature_limit(module_of(text)), points_for(shape, targets)
    runs = [limit.train(points, 2, particles=256, replicates=2, seed=seed).f for seed in (1, 1, 2)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()
