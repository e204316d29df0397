"""Predictions with kernels, against plain iteration and linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import tpc
from tpc.limit.predict import choose_ridge, ensemble, posterior, ridge_solve, tangent

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((9, 12))
K, ROWS = FEATURES[:6] @ FEATURES[:6].T, FEATURES[6:] @ FEATURES[:6].T
OWN = FEATURES[6:] @ FEATURES[6:].T
Y = RNG.standard_normal((6, 2))


def test_posterior():
    found = posterior(K, ROWS, OWN, Y, noise=0.3)
    inverse = np.linalg.inv(K + 0.3 * np.eye(6))
    np.testing.assert_allclose(found.mean, ROWS @ inverse @ Y, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, OWN - ROWS @ inverse @ ROWS.T, atol=1e-10)
    assert np.all(found.deviation > 0)


def test_steps_are_gradient_descent():
    model = tangent(K, ROWS, Y, weight=2 / Y.size)
    rate = 0.7 * model.largest_rate
    f, g = np.zeros_like(Y), np.zeros((3, 2))
    for _ in range(5):
        f, g = (
            f - rate * 2 / Y.size * K @ (f - Y),
            g - rate * 2 / Y.size * ROWS @ (f - Y),
        )
    train, test = model.steps(rate, [0, 5])
    np.testing.assert_allclose(train[1], f, rtol=1e-9)
    np.testing.assert_allclose(test[1], g, rtol=1e-9)
    np.testing.assert_array_equal(train[0], 0)


def test_flow_is_the_differential_equation():
    model = tangent(K, ROWS, Y)
    start = RNG.standard_normal((6, 2)), RNG.standard_normal((3, 2))
    done = solve_ivp(
        lambda _, f: (-K @ (f.reshape(6, 2) - Y)).ravel(),
        (0, 0.05),
        start[0].ravel(),
        rtol=1e-10,
        atol=1e-12,
    )
    train, test = model.flow([0.0, 0.05, np.inf], start=start)
    np.testing.assert_allclose(train[1].ravel(), done.y[:, -1], rtol=1e-6)
    np.testing.assert_allclose(train[2], Y, rtol=1e-8)
    np.testing.assert_allclose(test[2], start[1] + ROWS @ ridge_solve(K, Y - start[0]), rtol=1e-6)


def test_semidefinite_kernels_are_solved():
    doubled = np.block([[K, K], [K, K]])
    solved = ridge_solve(doubled, np.concatenate([Y, Y]))
    np.testing.assert_allclose(doubled @ solved, np.concatenate([Y, Y]), rtol=1e-8)


def test_rates_that_diverge_are_refused():
    model = tangent(K, ROWS, Y)
    with pytest.raises(tpc.TpcError, match="diverges"):
        model.steps(2 * model.largest_rate, [1])


def test_ridge_by_leaving_one_out():
    found = choose_ridge(K, Y, [0.1, 1.0])
    errors = []
    for i in range(6):
        rest = np.arange(6) != i
        fit = ridge_solve(K[np.ix_(rest, rest)], Y[rest], found.ridge)
        errors.append((K[i, rest] @ fit - Y[i]) ** 2)
    assert found.leave_one_out == pytest.approx(np.mean(errors), rel=1e-9)
    assert choose_ridge(K, Y, [0.1, 1.0], by="likelihood").ridge in (0.1, 1.0)


def joint(seed: int, size: int = 9) -> np.ndarray:
    """Return a positive definite matrix between the six training and three test samples."""
    features = np.random.default_rng(seed).standard_normal((size, 12))
    return features @ features.T


PRIOR = joint(7)
PARTS = PRIOR[:6, :6], PRIOR[6:, :6], PRIOR[6:, 6:]


@pytest.mark.parametrize("time", [0.0, 0.02, np.inf])
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_the_ensemble_is_that_of_draws(time: float, ridge: float) -> None:
    """Mean and covariance over f_0 drawn from its process and trained by the kernel."""
    model = tangent(K, ROWS, Y[:, :1], ridge=ridge)
    found = model.ensemble(PARTS, time=time)
    count = 40_000
    drawn = np.linalg.cholesky(PRIOR) @ np.random.default_rng(1).standard_normal((9, count))
    wide = tangent(K, ROWS, np.repeat(Y[:, :1], count, axis=1), ridge=ridge)
    _, test = wide.flow([time], start=(drawn[:6], drawn[6:]))
    error = np.sqrt(np.diag(found.covariance) / count)
    assert np.all(np.abs(test[0].mean(axis=1) - found.mean[:, 0]) < 5 * error)
    scale = np.sqrt(np.outer(np.diag(found.covariance), np.diag(found.covariance)))
    assert np.all(np.abs(np.cov(test[0]) - found.covariance) < 5 * scale * (2 / count) ** 0.5)


def test_the_ensemble_at_the_end_needs_no_eigenvectors() -> None:
    for ridge in (0.0, 0.3):
        end = ensemble(K, ROWS, Y, PARTS, ridge)
        found = tangent(K, ROWS, Y, ridge=ridge).ensemble(PARTS)
        np.testing.assert_allclose(end.mean, found.mean, rtol=1e-8)
        np.testing.assert_allclose(end.covariance, found.covariance, atol=1e-8)
        iterated = ensemble(K, ROWS, Y, PARTS, ridge, method="cg")
        np.testing.assert_allclose(iterated.covariance, end.covariance, atol=1e-5)


def test_training_by_the_nngp_itself_is_the_posterior() -> None:
    """With the NNGP in place of the NTK the trained ensemble samples the posterior."""
    bayes = posterior(*PARTS, Y)
    found = ensemble(PARTS[0], PARTS[1], Y, PARTS)
    np.testing.assert_allclose(found.mean, bayes.mean, rtol=1e-7)
    np.testing.assert_allclose(found.covariance, bayes.covariance, atol=1e-7)


def test_many_small_steps_are_the_flow() -> None:
    model = tangent(K, ROWS, Y, ridge=0.2)
    by_steps = model.ensemble(PARTS, rate=1e-6, steps=20_000)
    by_time = model.ensemble(PARTS, time=0.02)
    np.testing.assert_allclose(by_steps.covariance, by_time.covariance, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(by_steps.mean, by_time.mean, rtol=1e-3, atol=1e-4)


def test_a_ridge_is_a_decay_towards_the_start() -> None:
    """Gradient descent on the coefficients of features, pulled to where they began."""
    ridge, rate = 0.4, 0.01
    model = tangent(K, ROWS, Y, ridge=ridge)
    weights = np.zeros((12, 2))
    for _ in range(30):
        error = FEATURES[:6] @ weights - Y
        weights -= rate * (FEATURES[:6].T @ error + ridge * weights)
    train, test = model.steps(rate, [30])
    np.testing.assert_allclose(train[0], FEATURES[:6] @ weights, rtol=1e-9)
    np.testing.assert_allclose(test[0], FEATURES[6:] @ weights, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-8, 0.1, 10.0]))
def test_covariances_are_positive_semidefinite(seed: int, ridge: float) -> None:
    both, prior = joint(seed), joint(seed + 1)
    parts = prior[:6, :6], prior[6:, :6], prior[6:, 6:]
    for found in (
        posterior(both[:6, :6], both[6:, :6], both[6:, 6:], Y, ridge),
        ensemble(both[:6, :6], both[6:, :6], Y, parts, ridge),
        tangent(both[:6, :6], both[6:, :6], Y, ridge=ridge).ensemble(parts, time=0.1),
    ):
        values = np.linalg.eigvalsh(found.covariance)
        assert values[0] > -1e-10 * max(1.0, values[-1])


def test_the_likelihood_is_that_of_the_process() -> None:
    from scipy.stats import multivariate_normal

    found = choose_ridge(K, Y, [0.7], by="mll")
    law = multivariate_normal(np.zeros(6), K + 0.7 * np.eye(6))
    assert found.log_likelihood == pytest.approx(law.logpdf(Y.T).mean(), rel=1e-10)


def test_samples_of_several_rows_are_left_out_as_a_whole() -> None:
    found = choose_ridge(K, Y, [0.3], by="loo", block=2)
    errors = []
    for i in range(0, 6, 2):
        out = np.arange(6) // 2 == i // 2
        fit = ridge_solve(K[np.ix_(~out, ~out)], Y[~out], 0.3)
        errors.append((K[np.ix_(out, ~out)] @ fit - Y[out]) ** 2)
    assert found.leave_one_out == pytest.approx(np.mean(errors), rel=1e-9)


@pytest.mark.parametrize("by", ["loo", "mll"])
def test_the_ridge_is_refined(by: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, 4))
    kernel = x @ x.T
    y = x @ rng.standard_normal((4, 20)) + 0.5 * rng.standard_normal((60, 20))
    found = choose_ridge(kernel, y, by=by)
    if by == "mll":  # weights of variance one: the ridge is the variance of the noise
        assert found.ridge == pytest.approx(0.25, rel=0.15)
    for factor in (0.9, 1.1):
        other = choose_ridge(kernel, y, [factor * found.ridge])
        assert other.leave_one_out >= found.leave_one_out or by == "mll"
        assert other.log_likelihood <= found.log_likelihood or by == "loo"


def test_criteria_that_do_not_exist() -> None:
    with pytest.raises(tpc.TpcError, match="loo or mll"):
        choose_ridge(K, Y, by="guess")


def test_shapes_that_do_not_fit():
    with pytest.raises(tpc.TpcError):
        tangent(K, ROWS, Y[:3])
    with pytest.raises(tpc.TpcError):
        tangent(K * np.nan, ROWS, Y)
