"""Linear networks: the limit is exact."""

from __future__ import annotations

import numpy as np
import pytest

from tests.feature.programs import data, deviations, extrapolated, perceptron
from tpc.feature import feature_limit
from tpc.feature.draws import Draws
from tpc.feature.network import FeatureNetwork
from tpc.feature.space import Particles


def recursion(points: dict[str, np.ndarray], steps: int, rate: float) -> np.ndarray:
    """TP4, Corollary 6.2: U = A U_0 + B V_0, V = C U_0 + D V_0, for any number of outputs."""
    x, y = points["x"], points["y"]
    d, k = x.shape[1], y.shape[1]
    u, v = np.eye(d, d + k), np.eye(k, d + k, d)
    path = [x @ u @ v.T]
    for _ in range(steps):
        chi = path[-1] - y
        u, v = u - rate * x.T @ chi @ v, v - rate * chi.T @ x @ u
        path.append(x @ u @ v.T)
    return np.array(path)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("batch", [4, 9])
def test_one_hidden_layer(k: int, batch: int) -> None:
    module, points = perceptron(1, "identity", k=k, optimizer="sgd(lr = 0.05)"), data(batch, k=k)
    run = feature_limit(module).train(points, 40)
    assert run.method == "linear"
    assert (run.error == 0).all()
    np.testing.assert_allclose(run.f, recursion(points, 40, 0.05), atol=1e-10)


@pytest.mark.parametrize("layers", [2, 3])
def test_deep_against_finite_widths(layers: int) -> None:
    module, points = perceptron(layers, "identity", optimizer="sgd(lr = 0.05)"), data()
    g, other = extrapolated(module, points, 4, width=96, seeds=32)
    run = feature_limit(module).train(points, 4)
    assert run.method == "linear"
    assert np.abs(deviations(run.f, run.error, g, other)).max() < 4


def test_deep_against_samples() -> None:
    """The same recursion on samples of the Z's, where it is not exact."""
    module, points = perceptron(2, "identity"), data()
    exact = feature_limit(module).train(points, 6)
    runs = []
    for seed in range(4):
        network = FeatureNetwork(module, Particles(4096, Draws(seed, 32)), 6)
        for _ in range(6):
            network.step(points, 4)
        runs.append(network.predict([module.output.node], points, 4)[0])
    mean, error = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / 2
    assert np.abs(deviations(mean, error, exact.f[-1], exact.error[-1])).max() < 4
    assert error.max() < 0.002


def test_long_runs_need_no_more_memory_than_their_rank() -> None:
    module, points = perceptron(2, "identity", optimizer="sgd(lr = 0.02)"), data()
    run = feature_limit(module).train(points, 60, test={"x": data(50, seed=3)["x"]})
    assert run.f.shape == (61, 50, 1)
    assert run.loss[-1] < run.loss[0]
