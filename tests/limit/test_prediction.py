"""Predictions of programs: correlated outputs, classes, and ensembles of trained networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.limit.classes import (
    calibration_error,
    log_loss,
    probabilities,
    sampled_probabilities,
)
from tpc.limit.predict import posterior

DENSE = """
width n
size d = 3, k = 2
parametrization ntk
input x : [d]
target y : [k]
param U : [n, d]
param V : [k, n]
def f(x) = V @ relu(U @ x)
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.02)
"""
TOKENS = """
width n
size d = 3, T = 2, k = 2
parametrization ntk
input x : [T, d]
target y : [T, k]
param U : [n, d]
param V : [k, n]
def f(x) = relu(U @ x) @ V.T
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.02)
"""
RNG = np.random.default_rng(2)
X, XT = RNG.standard_normal((6, 3)), RNG.standard_normal((4, 3))
Y = np.eye(2)[[0, 1, 1, 0, 1, 0]]


@pytest.fixture(scope="module")
def dense() -> tpc.Program:
    return tpc.compile(text=DENSE)


@pytest.fixture(scope="module")
def tokens() -> tpc.Program:
    return tpc.compile(text=TOKENS.replace("relu(U @ x) @ V.T", "V @ relu(U @ x)"))


def test_of_a_dense_program(dense: tpc.Program) -> None:
    found = dense.predict({"x": X, "y": Y}, {"x": XT}, kind="nngp", ridge=0.1, covariance=True)
    limit = dense.kernel_limit("nngp")
    expected = posterior(limit.evaluate(X), limit.evaluate(XT, X), limit.evaluate(XT), Y, 0.1)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)
    assert found.deviation.shape == found.mean.shape == (4, 2)
    chances = found.probabilities()
    inverse = np.linalg.inv(limit.evaluate(X) + 0.1 * np.eye(6))
    assert found.scale == pytest.approx(np.trace(Y.T @ inverse @ Y) / 12, rel=1e-9)
    variance = found.scale * (found.deviation[:, 0] ** 2 + 0.1)
    np.testing.assert_allclose(chances, probabilities(found.mean, np.sqrt(variance)), rtol=1e-12)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-12)
    assert dense.predict({"x": X, "y": Y}, {"x": XT}).kind == "ntk"


def test_correlated_outputs_are_predicted_together(tokens: tpc.Program) -> None:
    """Outputs at two tokens: the same as one sample for every token."""
    x, y = X.reshape(3, 2, 3), Y.reshape(3, 2, 2)
    test = {"x": XT.reshape(2, 2, 3)}
    single = tpc.compile(text=DENSE)
    for kind in ("nngp", "ntk"):
        options = {"kind": kind, "ridge": 0.2, "covariance": True}
        found = tokens.predict({"x": x, "y": y}, test, **options)
        expected = single.predict({"x": X, "y": Y}, {"x": XT}, **options)
        assert found.mean.shape == (2, 2, 2)
        np.testing.assert_allclose(found.mean.reshape(4, 2), expected.mean, atol=1e-10)
        np.testing.assert_allclose(found.deviation.reshape(4, 2), expected.deviation, atol=1e-10)
        assert found.covariance.shape == (2, 2, 2, 2)
        matrix = found.covariance.transpose(0, 2, 1, 3).reshape(4, 4)
        np.testing.assert_allclose(matrix, expected.covariance, atol=1e-10)


def test_time_runs_from_the_prior_to_the_end(dense: tpc.Program) -> None:
    data, test = {"x": X, "y": Y}, {"x": XT}
    prior = dense.kernel_limit("nngp").evaluate(XT)
    before, late, end = (
        dense.predict(data, test, covariance=True, time=time) for time in (0.0, 1e7, np.inf)
    )
    np.testing.assert_allclose(before.covariance, prior, atol=1e-12)
    np.testing.assert_array_equal(before.mean, 0.0)
    np.testing.assert_allclose(late.mean, end.mean, atol=1e-6)
    np.testing.assert_allclose(late.covariance, end.covariance, atol=1e-6)
    by_gradients = dense.predict(data, test, covariance=True, solver="cg")
    np.testing.assert_allclose(by_gradients.mean, end.mean, atol=1e-6)
    with pytest.raises(tpc.TpcError, match="eigenvectors"):
        dense.predict(data, test, time=1.0, solver="cg")


def test_kernels_that_do_not_fit_are_mapped_from_a_file(
    dense: tpc.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, test = {"x": X, "y": Y}, {"x": XT}
    expected = dense.predict(data, test, ridge=0.1, covariance=True)
    assert expected.note == "solved by cholesky"
    monkeypatch.setattr("tpc.limit.prediction.available", lambda: 0)
    monkeypatch.setattr("tpc.limit.solving.available", lambda: 0)
    found = dense.predict(data, test, ridge=0.1, covariance=True)
    assert isinstance(found.kernel, np.memmap)
    assert "conjugate gradients" in found.note
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-7)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-7)
    for options in ({"ridge": "loo"}, {"time": 1.0}):
        with pytest.raises(tpc.TpcError, match="eigenvectors"):
            dense.predict(data, test, **options)


@pytest.mark.parametrize("ridge", ["loo", "mll"])
def test_chosen_ridges_and_centred_targets(dense: tpc.Program, ridge: str) -> None:
    data, test = {"x": X, "y": Y + 5.0}, {"x": XT}
    found = dense.predict(data, test, ridge=ridge, centre=True)
    other = dense.predict({"x": X, "y": Y}, test, ridge=ridge, centre=True)
    assert found.ridge == pytest.approx(found.chosen.ridge)
    np.testing.assert_allclose(found.mean - 5.0, other.mean, atol=1e-6)


def test_what_does_not_fit(dense: tpc.Program, tokens: tpc.Program) -> None:
    with pytest.raises(tpc.TpcError, match="no array for target"):
        dense.predict({"x": X}, {"x": XT})
    with pytest.raises(ValueError, match="covariance=True"):
        _ = dense.predict({"x": X, "y": Y}, {"x": XT}).deviation
    several = tokens.predict(
        {"x": X.reshape(3, 2, 3), "y": Y.reshape(3, 2, 2)},
        {"x": XT.reshape(2, 2, 3)},
        covariance=True,
    )
    with pytest.raises(ValueError, match="no choice of a class"):
        several.probabilities()


# -- classes ---------------------------------------------------------------------------------------


def test_two_classes_have_a_closed_form() -> None:
    from scipy.stats import norm

    mean = np.array([[0.0, 0.0], [1.0, 0.2], [3.0, -9.0], [0.1, 0.0]])
    deviation = np.array([1.0, 0.5, 2.0, 0.0])
    gap = (mean[:3, 0] - mean[:3, 1]) / (deviation[:3] * np.sqrt(2))
    found = probabilities(mean, deviation)
    np.testing.assert_allclose(found[:3, 0], norm.cdf(gap), rtol=1e-9)
    np.testing.assert_array_equal(found[3], [1.0, 0.0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_probabilities_are_shares_of_draws(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    mean, deviation = rng.standard_normal((3, classes)), rng.uniform(0.1, 2, 3)
    exact = probabilities(mean, deviation)
    covariance = deviation[:, None, None] ** 2 * np.eye(classes)
    drawn = sampled_probabilities(mean, covariance, draws=4000, seed=seed)
    assert np.abs(exact - drawn).max() < 5 * 0.5 / 4000**0.5
    np.testing.assert_allclose(exact.sum(axis=1), 1.0, rtol=1e-12)


def test_calibration() -> None:
    chances = np.array([[0.9, 0.1]] * 10)
    assert calibration_error(chances, [0] * 9 + [1]) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(chances, [0] * 5 + [1] * 5) == pytest.approx(0.4)
    assert log_loss(chances, [0] * 10) == pytest.approx(-np.log(0.9))


# -- against trained networks ----------------------------------------------------------------------


@pytest.mark.slow
def test_the_ensemble_of_finite_networks(dense: tpc.Program) -> None:
    """Mean and covariance of networks trained by many small steps are the limit's."""
    steps, rate, seeds, width = 100, 0.02, 300, 256
    data = {"x": X, "y": Y}
    limit = dense.predict(data, {"x": XT}, covariance=True, time=rate * steps)
    run = dense.simulate(data, width=width, steps=steps, test={"x": XT}, seeds=range(seeds))
    f = run.f[:, -1]
    covariance = sum(np.cov(f[:, :, k].T) for k in range(2)) / 2
    error = np.abs(covariance - limit.covariance).max() / np.abs(limit.covariance).max()
    assert np.abs(f.mean(axis=0) - limit.mean).max() < 5 * limit.deviation.max() / seeds**0.5
    assert error < 5 / seeds**0.5
    prior = dense.kernel_limit("nngp").evaluate(XT)
    assert np.abs(prior - limit.covariance).max() > 2 * error * np.abs(limit.covariance).max()
