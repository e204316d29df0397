"""Training of a perceptron against a loop written by hand with NumPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from programs import SCALINGS, options, perceptron

from tpc.exact import Constant
from tpc.ir import OptimizerSpec
from tpc.simulate import initial_weights, minibatches, simulate

RANDOM = np.random.default_rng(3)
X, Y, T = RANDOM.normal(size=(6, 3)), RANDOM.normal(size=(6, 2)), RANDOM.normal(size=(4, 3))


def by_hand(scaling: str, n: int, start: dict[str, np.ndarray], steps: int, lr: float, rows=None):
    """Gradient descent on w with W = n^-a w and learning rate lr n^-c: everything spelled out."""
    abc = {k: tuple(float(v) for v in abc) for k, abc in SCALINGS[scaling].items()}
    w = {k: start[k] * n ** abc[k][0] for k in "UWV"}

    def forward(x):
        W = {k: w[k] * n ** -abc[k][0] for k in "UWV"}
        a = np.tanh(x @ W["U"].T)
        b = np.tanh(a @ W["W"].T)
        return W, a, b, b @ W["V"].T

    path, losses = [forward(T)[-1]], []
    for t in range(steps):
        x, y = (X, Y) if rows is None else (X[rows[t]], Y[rows[t]])
        W, a, b, f = forward(x)
        losses.append(((f - y) ** 2).mean())
        df = 2 * (f - y) / f.size
        dh = (df @ W["V"]) * (1 - b**2)
        dg = (dh @ W["W"]) * (1 - a**2)
        gradients = {"V": df.T @ b, "W": dh.T @ a, "U": dg.T @ x}
        for k in "UWV":
            w[k] = w[k] - lr * n ** -abc[k][2] * n ** -abc[k][0] * gradients[k]
        path.append(forward(T)[-1])
    return np.stack(path), np.array(losses)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("batches", [False, True])
def test_training_is_the_hand_written_loop(scaling: str, batches: bool) -> None:
    program, n, steps = perceptron(scaling), 16, 5
    rows = minibatches(6, 2, steps, seed=1) if batches else None
    sim = simulate(
        program,
        {"x": X, "y": Y},
        width=n,
        steps=steps,
        test={"x": T},
        seeds=(0, 5),
        batches=rows,
        record=("z", "W"),
    )
    assert sim.f.shape == (2, steps + 1, 4, 2)
    assert sim.loss.shape == (2, steps)
    for position, seed in enumerate((0, 5)):
        path, losses = by_hand(scaling, n, initial_weights(program, n, seed), steps, 0.1, rows)
        np.testing.assert_allclose(sim.f[position], path, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(sim.loss[position], losses, rtol=1e-10)
    assert sim.initial["z"].shape == (2, 4, n)
    np.testing.assert_array_equal(sim.initial["W"][0], initial_weights(program, n, 0)["W"])
    assert (sim.change("z") > 0).all()
    assert (sim.change("W") > 0).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_initial_weights_have_the_declared_size(scaling: str) -> None:
    program, n = perceptron(scaling), 400
    weights = initial_weights(program, n, 0)
    for name, (a, b, _) in SCALINGS[scaling].items():
        expected = float(n) ** -float(a + b)
        assert weights[name].std() == pytest.approx(expected, rel=0.15)


def test_multiplier_deviation_and_init() -> None:
    from dataclasses import replace

    program = perceptron("ntk")
    V = replace(program.params["V"], mult=Constant.of(3), sigma=Constant.of(Fraction(1, 2)))
    scaled = perceptron("ntk", V=V)
    one, two = (initial_weights(p, 9, 0)["V"] for p in (program, scaled))
    np.testing.assert_allclose(two, 1.5 * one)
    for init, level in (("zero", 0.0), ("one", 1.0)):
        fixed = perceptron("ntk", V=replace(V, init=init))
        assert (initial_weights(fixed, 9, 0)["V"] == level).all()


def test_random_numbers_depend_on_the_seed_and_the_name_alone() -> None:
    from dataclasses import replace
    from types import MappingProxyType

    program = perceptron()
    backwards = replace(
        program, params=MappingProxyType(dict(reversed(list(program.params.items()))))
    )
    one, two = initial_weights(program, 8, 1), initial_weights(backwards, 8, 1)
    for name in "UWV":
        np.testing.assert_array_equal(one[name], two[name])
    assert (initial_weights(program, 8, 2)["W"] != one["W"]).all()


def test_the_gauge_symmetry_of_gradient_descent() -> None:
    """(a, b, c) -> (a + t, b - t, c - 2t) of one weight leaves training unchanged."""
    from dataclasses import replace

    program = perceptron("mup")
    W, t = program.params["W"], Fraction(2, 3)
    assert W.a is not None
    assert W.b is not None
    assert W.c is not None
    moved = perceptron("mup", W=replace(W, a=W.a + t, b=W.b - t, c=W.c - 2 * t))
    one, two = (simulate(p, {"x": X, "y": Y}, width=8, steps=3) for p in (program, moved))
    np.testing.assert_allclose(one.f, two.f, rtol=1e-12)


def test_the_rate_of_a_param_replaces_the_optimizers() -> None:
    from dataclasses import replace

    program = perceptron()
    frozen = {name: replace(s, frozen=True) for name, s in program.params.items() if name != "W"}
    one = perceptron(W=replace(program.params["W"], rate=Constant.of(1)), **frozen)
    two = perceptron(optimizer=OptimizerSpec("sgd", options(lr=1)), **frozen)
    results = [simulate(p, {"x": X, "y": Y}, width=8, steps=3, record=("U",)) for p in (one, two)]
    np.testing.assert_array_equal(results[0].f, results[1].f)
    assert not results[0].change("U").any()


def test_a_diverging_run_is_an_answer() -> None:
    program = perceptron("standard", OptimizerSpec("sgd", options(lr=10**6)), phi="relu")
    sim = simulate(program, {"x": X, "y": Y}, width=8, steps=8)
    assert not np.isfinite(sim.f).all()


def test_batches_are_reproducible_and_cover_an_epoch() -> None:
    one, two = minibatches(10, 3, 7, seed=2), minibatches(10, 3, 7, seed=2)
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert len({int(k) for batch in one[:3] for k in batch}) == 9
    with pytest.raises(ValueError, match="batches of 11"):
        minibatches(10, 11, 1)


def test_squared_error_is_summed_over_the_batch() -> None:
    program = perceptron(loss="squared_error")
    sim = simulate(program, {"x": X, "y": Y}, width=8, steps=1)
    np.testing.assert_allclose(sim.loss[0, 0], ((sim.f[0, 0] - Y) ** 2).sum() / 2)


def test_the_error_of_the_mean() -> None:
    sim = simulate(perceptron(), {"x": X}, width=8, seeds=range(3))
    assert sim.loss.shape == (3, 0)
    assert sim.mean.shape == sim.error.shape == (1, 6, 2)
    assert "3 seeds" in repr(sim)
