"""Gradient flow as a differential equation: against closed forms and small steps."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.limit.flow import flow
from tpc.limit.limit import limit as limit_of
from tpc.limit.predict import tangent

PROGRAM = """
width n
size d = 3, k = 2
parametrization ntk
input x : [d]
target y : [k]
param U : [n, d]
param W : [n, n]
param V : [k, n]
def f(x) = V @ relu(W @ relu(U @ x))
train:
    loss = {loss}(f(x), y)
    optimizer {optimizer}
"""
RNG = np.random.default_rng(1)
X, XT = RNG.standard_normal((6, 3)), RNG.standard_normal((4, 3))
Y = np.eye(2)[[0, 1, 1, 0, 1, 0]]
DATA, TEST = {"x": X, "y": Y}, {"x": XT}


def limit(loss: str = "squared_error", optimizer: str = "sgd(lr = 0.01)") -> tpc.limit.Limit:
    return tpc.compile(text=PROGRAM.format(loss=loss, optimizer=optimizer)).kernel_limit("ntk")


def flows(loss: str, times: list[float], **options: object) -> object:
    found = limit(loss)
    return flow(found, lambda: limit_of(found.module, "nngp"), DATA, times, test=TEST, **options)


@pytest.mark.parametrize(("loss", "weight"), [("squared_error", 1.0), ("mse", 1 / 6)])
@pytest.mark.parametrize("end", [3.0, 3000.0])
def test_the_closed_form(loss: str, weight: float, end: float) -> None:
    times = [0.0, 0.5, end]
    run = flows(loss, times, start="mean")
    closed = tangent(limit().evaluate(X), limit().evaluate(XT, X), Y, weight)
    np.testing.assert_allclose(run.f, closed.flow(times)[1], atol=1e-6)
    assert run.method == ("LSODA" if end > 10 else "DOP853")
    assert run.loss[-1] < run.loss[0]
    assert run.replicates == 1


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_small_steps(loss: str) -> None:
    """The distance of gradient descent falls in proportion to the learning rate."""
    start = np.zeros((6, 2)), np.zeros((4, 2))
    run = flows(loss, [4.0], start=start)
    errors = []
    for rate, steps in ((0.1, 40), (0.05, 80), (0.025, 160)):
        by_steps = limit(loss, f"sgd(lr = {rate})").train(DATA, steps, test=TEST, start=start)
        errors.append(np.abs(by_steps.f[-1] - run.f[0]).max())
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.06)
    assert errors[2] / errors[1] == pytest.approx(0.5, abs=0.03)


def test_both_integrators_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    stiff = flows("cross_entropy", [10.0, 5000.0])
    monkeypatch.setattr("tpc.limit.flow._MANY", 0)
    explicit = flows("cross_entropy", [10.0, 5000.0])
    assert (stiff.method, explicit.method) == ("LSODA", "DOP853")
    np.testing.assert_allclose(stiff.f, explicit.f, rtol=1e-5, atol=1e-5)


def test_the_mean_over_draws_has_an_error() -> None:
    run = flows("cross_entropy", [1.0], start="mean", draws=16)
    assert run.replicates == 16
    assert (run.error > 0).all()


@pytest.mark.parametrize("times", [[], [1.0, 0.5], [-1.0], [np.inf], [np.nan]])
def test_times_that_are_none(times: list[float]) -> None:
    with pytest.raises(tpc.TpcError, match="ascend"):
        flows("mse", times)


@pytest.mark.parametrize("loss", ["squared_error", "mse", "cross_entropy"])
@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 1.0), ("momentum", 1.8)])
def test_the_largest_rate_is_where_training_starts_to_diverge(
    loss: str, optimizer: str, factor: float
) -> None:
    options = ", beta = 0.8" if optimizer == "momentum" else ""
    zero = np.zeros((6, 2))

    def train(rate: float, steps: int) -> object:
        found = limit(loss, f"{optimizer}(lr = {rate}{options})")
        return found.train(DATA, steps, start=(zero, zero))

    rate = train(0.01, 1).largest_rate
    largest = np.linalg.eigvalsh(limit().evaluate(X))[-1]
    curvature = {"squared_error": 1.0, "mse": 1 / 6, "cross_entropy": 1 / 12}[loss]
    assert rate == pytest.approx(2 * factor / (curvature * largest), rel=1e-5)
    if loss != "cross_entropy":
        assert train(0.99 * rate, 400).loss[-1] < 1e-3
        assert train(1.02 * rate, 400).loss[-1] > 1e3
