"""Predictions with kernels, against plain iteration and linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tpc
from tpc.limit.predict import choose_ridge, posterior, ridge_solve, tangent

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


def test_shapes_that_do_not_fit():
    with pytest.raises(tpc.TpcError):
        tangent(K, ROWS, Y[:3])
    with pytest.raises(tpc.TpcError):
        tangent(K * np.nan, ROWS, Y)
