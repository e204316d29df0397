"""Perceptrons: sampled limits against finite widths, and what they must do exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tests.feature.programs import data, deviations, extrapolated, perceptron
from tpc.diagnostics import TpcError
from tpc.feature import feature_limit
from tpc.simulate import simulate

SQUARE = "polynomial(0, 0, 1/2)"


@pytest.mark.parametrize(
    ("layers", "act", "lr"), [(1, "relu", "0.2"), (2, "tanh", "0.2"), (3, "erf", "0.1")]
)
def test_against_finite_widths(layers: int, act: str, lr: str) -> None:
    module, points = perceptron(layers, act, optimizer=f"sgd(lr = {lr})"), data()
    g, other = extrapolated(module, points, 4, width=64, seeds=32)
    run = feature_limit(module).train(points, 4, particles=512, replicates=4)
    assert run.f.shape == (5, 4, 1)
    assert np.abs(deviations(run.f, run.error, g, other, 3e-3)).max() < 3.5


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("act", ["identity", "relu", "tanh", "erf", SQUARE])
def test_against_finite_widths_at_length(layers: int, act: str) -> None:
    lr = {1: "0.1", 2: "0.02", 3: "0.002"}[layers] if act == SQUARE else "0.1"
    init = "init normal(sqrt(2))" if act == "relu" else ""
    module, points = perceptron(layers, act, optimizer=f"sgd(lr = {lr})", init=init), data()
    test = {"x": data(3, seed=5)["x"]}
    g, other = extrapolated(module, points, 8, seeds=256, test=test)
    run = feature_limit(module).train(points, 8, test=test)
    # extrapolation leaves an error of order 1/n^2
    assert np.abs(deviations(run.f, run.error, g, other)).max() < 4
    assert run.error.max() <= 0.0025


def test_mean_field_is_maximal_update() -> None:
    """One hidden layer: the two are the same point up to the symmetry of abc."""
    points = data()
    mean_field = perceptron(1, "tanh", first="abc(0, 0, -1)", last="abc(1, 0, -1)")
    runs = [
        feature_limit(module).train(points, 4, particles=512, replicates=2)
        for module in (perceptron(1, "tanh"), mean_field)
    ]
    np.testing.assert_allclose(runs[0].f, runs[1].f, atol=1e-12)


def test_f_vanishes_at_initialisation() -> None:
    run = feature_limit(perceptron(2)).train(data(), 1, particles=256, replicates=2)
    assert (run.f[0] == 0).all()
    assert run.loss[0] == pytest.approx(2.0)


def test_samples_converge() -> None:
    limit, points = feature_limit(perceptron(2)), data()
    fine = limit.train(points, 4, particles=8192, replicates=2)
    coarse = limit.train(points, 4, particles=512, replicates=8)
    assert np.abs(deviations(coarse.f, coarse.error, fine.f, fine.error)).max() < 5
    assert coarse.error.max() > fine.error.max()


def test_tolerance_is_met() -> None:
    run = feature_limit(perceptron(1, "relu")).train(data(), 4, tolerance=5e-4)
    assert run.method == "quasi"
    assert run.error.max() <= 5e-4


def test_training_points_are_ordinary_points() -> None:
    """Predictions do not depend on which other points are asked for."""
    limit, points = feature_limit(perceptron(2)), data()
    alone = limit.train(points, 3, test={"x": points["x"][1:2]}, particles=512, replicates=1)
    together = limit.train(points, 3, particles=512, replicates=1)
    np.testing.assert_allclose(alone.f[:, 0], together.f[:, 1], atol=1e-10)
    np.testing.assert_allclose(alone.loss, together.loss, atol=1e-10)


def test_minibatches() -> None:
    limit, points = feature_limit(perceptron(2)), data()
    full = [np.arange(4)] * 3
    run = limit.train(points, 3, batches=full, particles=256, replicates=1)
    same = limit.train(points, 3, particles=256, replicates=1)
    np.testing.assert_allclose(run.f, same.f, atol=1e-12)
    other = limit.train(points, 3, batches=[np.array([0, 1])] * 3, particles=256, replicates=1)
    assert np.abs(other.f - same.f).max() > 0.01


def test_a_large_readout_is_refused() -> None:
    module = perceptron(1, last="abc(1/2, 0, 0)", first="abc(0, 0, 0)")
    with pytest.raises(TpcError, match="stays random"):
        feature_limit(module).train(data(), 1, particles=256)


def test_instability_is_refused() -> None:
    module = perceptron(2, optimizer="sgd(lr = 0.1)", first="abc(-1/2, 0, 0)")
    with pytest.raises(TpcError, match="grows like n"):
        feature_limit(module).train(data(), 1, particles=256)


def test_memory_is_foreseen() -> None:
    with pytest.raises(TpcError, match="GB"):
        feature_limit(perceptron(2)).train(data(), 1000, particles=2**24)


def test_divergence_is_an_answer() -> None:
    module = perceptron(1, SQUARE, optimizer="sgd(lr = 50)")
    run = feature_limit(module).train(data(), 30, particles=256, replicates=2)
    assert np.isnan(run.f[-1]).all()
    assert np.isfinite(run.f[1]).all()


def test_kernels_of_features() -> None:
    """At initialisation the kernel is the NNGP's; training moves it, as at finite width."""
    module, points = perceptron(2, "relu"), data()
    run = feature_limit(module).train(points, 3, particles=1024, replicates=4, record=["z"])
    assert run.kernels["z"].shape == (4, 4, 4)
    x = points["x"]
    first = dual_relu(x @ x.T)
    error = run.kernel_errors["z"][0]
    assert np.abs(deviations(run.kernels["z"][0], error, dual_relu(first), 0.0)).max() < 5
    finite = simulate(module, points, width=512, steps=3, seeds=range(12), record=["z"])
    gram = np.mean([z @ z.T / 512 for z in finite.final["z"]], axis=0)
    np.testing.assert_allclose(run.kernels["z"][3], gram, atol=0.03)
    with pytest.raises(TpcError, match="no value"):
        feature_limit(module).train(points, 3, record=["zz"])


def dual_relu(k: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.outer(np.diag(k), np.diag(k)))
    angle = np.arccos(np.clip(k / size, -1, 1))
    return size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def test_too_few_particles_are_refused() -> None:
    with pytest.raises(TpcError, match="too few"):
        feature_limit(perceptron(2)).train(data(8), 20, particles=64)


@pytest.mark.parametrize("layers", [1, 2])
def test_lazy_layers_drop_out(layers: int) -> None:
    """In the kernel regime with a zero readout, the readout alone trains, on fixed features."""
    lazy = perceptron(layers, "tanh", first="abc(0, 0, 1)", last="abc(1/2, 0, 0) init zero")
    points = data()
    run = feature_limit(lazy).train(points, 5, particles=1024, replicates=4, record=["z"])
    kernel, f = run.kernels["z"], np.zeros((4, 1))
    np.testing.assert_allclose(kernel[5], kernel[0], atol=0.2 if layers > 1 else 1e-9)
    if layers == 1:
        for _ in range(5):
            f = f - 0.2 * kernel[0] @ (f - points["y"])
        np.testing.assert_allclose(run.f[-1], f, atol=1e-3)


def test_single_precision() -> None:
    """Samples are the same to seven digits; what is conditioned on earlier products needs more."""
    limit, points = feature_limit(perceptron(1, "relu")), data()
    double, single = (
        limit.train(points, 20, particles=512, replicates=1, precision=each).f
        for each in ("double", "single")
    )
    assert 0 < np.abs(single - double).max() < 1e-5
    with pytest.raises(TpcError, match="single precision is for"):
        feature_limit(perceptron(2, "relu")).train(points, 1, precision="single")
    with pytest.raises(TpcError, match="double or single"):
        limit.train(points, 1, precision="half")
