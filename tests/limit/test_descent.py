"""Training in the kernel regime: against closed forms, and against wide networks."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.limit.predict import tangent
from tpc.simulate import minibatches

PROGRAM = """
width n
size d = 3, k = 2
parametrization ntk
input x : [d]
target y : [k]
param U : [n, d]
param W : [n, n]
param V : [k, n]
def f(x) = V @ tanh(W @ erf(U @ x))
train:
    loss = {loss}(f(x), y)
    optimizer {optimizer}
"""
RNG = np.random.default_rng(1)
X, XT = RNG.standard_normal((6, 3)), RNG.standard_normal((4, 3))
Y = np.eye(2)[[0, 1, 1, 0, 1, 0]]
DATA, TEST = {"x": X, "y": Y}, {"x": XT}


def program(loss: str = "squared_error", optimizer: str = "sgd(lr = 0.02)") -> tpc.Program:
    return tpc.compile(text=PROGRAM.format(loss=loss, optimizer=optimizer))


@pytest.mark.parametrize(("loss", "weight"), [("squared_error", 1.0), ("mse", 1 / 6)])
def test_the_mean_is_the_closed_form(loss: str, weight: float) -> None:
    limit = program(loss).limit("ntk")
    run = limit.train(DATA, 8, test=TEST, start="mean")
    closed = tangent(limit.evaluate(X), limit.evaluate(XT, X), Y, weight)
    rate = 0.02
    _, expected = closed.steps(rate, range(9))
    np.testing.assert_allclose(run.f, expected, rtol=0, atol=1e-10)
    assert not run.error.any()
    assert run.loss[0] == pytest.approx(weight * 3.0)


def test_a_draw_is_the_closed_form_from_its_start() -> None:
    limit = program().limit("ntk")
    rate, run = 0.02, limit.train(DATA, 5, seed=3)
    _, expected = tangent(limit.evaluate(X), limit.evaluate(X), Y).steps(
        rate, range(6), (run.f[0], run.f[0])
    )
    np.testing.assert_allclose(run.f, expected, rtol=0, atol=1e-10)
    assert (limit.train(DATA, 5, seed=3).f == run.f).all()
    assert (limit.train(DATA, 5, seed=4).f != run.f).all()


def test_draws_have_the_covariance_of_the_process() -> None:
    found = program().with_(k=20_000)  # independent copies
    points = {"x": X, "y": np.zeros((6, 20_000))}
    (first,) = found.limit("ntk").train(points, 0, test=TEST).f
    expected = program().limit("nngp").evaluate(XT)
    np.testing.assert_allclose(first @ first.T / 20_000, expected, atol=0.03 * expected.max())


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        ("cross_entropy", "sgd(lr = 0.5)"),
        ("logistic", "momentum(lr = 0.3, beta = 0.5)"),
        ("mse", "sgd(lr = 0.3)"),
    ],
)
def test_wide_networks_approach_it(loss: str, optimizer: str) -> None:
    """From a network's own start, the distance falls like n^(-1/2)."""
    found, steps = program(loss, optimizer), 4
    limit, batches = found.limit("ntk"), minibatches(6, 3, steps)
    points = {"x": np.concatenate([X, XT])}
    distances = []
    for width in (32, 128, 512):
        f = found.simulate(
            DATA, width=width, steps=steps, test=points, seeds=range(8), batches=batches
        ).f
        errors = [
            path[:, 6:]
            - limit.train(
                DATA, steps, test=TEST, batches=batches, start=(path[0, :6], path[0, 6:])
            ).f
            for path in f
        ]
        distances.append(np.sqrt(np.mean(np.square(errors))))
    slope = np.polyfit(np.log([32, 128, 512]), np.log(distances), 1)[0]
    assert -0.75 < slope < -0.3
    assert distances[-1] < 0.05


def test_the_mean_over_draws_where_the_loss_is_not_quadratic() -> None:
    limit = program("cross_entropy").limit("ntk")
    run = limit.train(DATA, 3, test=TEST, start="mean", draws=64)
    assert run.replicates == 64
    assert (run.error > 0).all()
    single = limit.train(DATA, 3, test=TEST, seed=0).f
    assert np.abs(single - run.f).max() > run.error.max()


def test_only_active_weights_train() -> None:
    """Standard parametrization with rate 1/n: the input layer moves nothing."""
    text = PROGRAM.format(loss="squared_error", optimizer="sgd(lr = 0.1)")
    text = text.replace("parametrization ntk", "")
    for name, abc in (("U : [n, d]", "0, 0, 1"), ("W : [n, n]", "0, 1/2, 1")):
        text = text.replace(name, f"{name} abc({abc})")
    text = text.replace("V : [k, n]", "V : [k, n] abc(0, 1/2, 1)")
    found = tpc.compile(text=text)
    assert found.classify().kind == "kernel"
    limit = found.limit()
    assert limit.kind == "ntk"
    assert limit.to_json()["weights"] == ["W", "V"]
    run = limit.train(DATA, 3, start="mean")
    wide = found.simulate(DATA, width=1024, steps=3, seeds=range(4)).f
    own = [limit.train(DATA, 3, start=(path[0], path[0])).f for path in wide]
    assert np.abs(wide - np.stack(own)).max() < 0.12
    assert np.abs(run.f[-1]).max() > 0.05


def test_zero_starts_stay_exact() -> None:
    text = PROGRAM.format(loss="cross_entropy", optimizer="sgd(lr = 0.5)")
    found = tpc.compile(text=text.replace("[k, n]", "[k, n] init zero"))
    run = found.limit("ntk").train(DATA, 3, test=TEST)
    assert not run.f[0].any()
    assert run.f[1].any()


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        ("adam(lr = 0.1)", "not linear"),
        ("sgd(lr = 0.1, decay = 0.1)", "decay"),
        ("sgd(lr = 0.1, clip = 1)", "clip"),
    ],
)
def test_refusals(optimizer: str, why: str) -> None:
    with pytest.raises(tpc.TpcError, match=why):
        program(optimizer=optimizer).limit("ntk").train(DATA, 1)


def test_the_nngp_does_not_train() -> None:
    with pytest.raises(tpc.TpcError, match="NTK"):
        program().limit("nngp").train(DATA, 1)


def test_kinds_of_limit() -> None:
    assert program().limit().kind == "ntk"
    feature = program().with_(parametrization="mup")
    assert type(feature.limit()).__name__ == "FeatureLimit"
    assert type(feature.limit("feature")).__name__ == "FeatureLimit"
    with pytest.raises(tpc.TpcError, match="nngp"):
        feature.limit("nothing")
