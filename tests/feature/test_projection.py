"""Inputs in coordinates of their own span."""

from __future__ import annotations

import numpy as np
import pytest

from tests.feature.constructs import ADAM, RNN
from tests.feature.programs import data, module_of, perceptron
from tpc.feature import feature_limit
from tpc.feature.project import Rotation, rotations
from tpc.ir.module import Module
from tpc.simulate.training import training_roots


def found(module: Module, *sets: dict[str, np.ndarray]) -> tuple[Rotation, ...]:
    loss, *gradients = training_roots(module)
    named = dict(zip(module.trained, gradients, strict=True))
    return rotations(module, [module.output.node], named, loss, sets)


def test_more_inputs_than_samples() -> None:
    (rotation,) = found(perceptron(2, d=50), data(4, d=50))
    assert rotation.inputs == (("x", 0),)
    assert rotation.params == (("U", 1),)
    assert rotation.basis.shape == (4, 50)


def test_test_points_count() -> None:
    first, second = data(4, d=50), data(3, d=50, seed=1)
    (rotation,) = found(perceptron(2, d=50), first, {"x": second["x"]})
    assert rotation.basis.shape == (7, 50)
    np.testing.assert_allclose(rotation.basis @ rotation.basis.T, np.eye(7), atol=1e-12)
    for points in (first, second):
        x = points["x"]
        moved = rotation.applied({"x": x})["x"]
        np.testing.assert_allclose(moved @ moved.T, x @ x.T, atol=1e-12)


def test_an_axis_that_a_program_reads_in_parts() -> None:
    """Time steps are looked at one by one, what they hold is not."""
    random = np.random.default_rng(0)
    points = {"x": random.standard_normal((2, 3, 3)), "y": random.standard_normal((2, 1))}
    (rotation,) = found(module_of(RNN), points)
    assert rotation.inputs == (("x", 1),)


def test_entrywise_optimizers_see_single_inputs() -> None:
    assert not found(module_of(ADAM), {"x": np.ones((1, 3)), "y": np.ones((1, 1))})


def test_nonlinear_use_of_the_input() -> None:
    text = RNN.replace("U @ x[1]", "U @ sin(x[1])")
    assert not found(module_of(text), {"x": np.ones((1, 3, 3)), "y": np.ones((1, 1))})


@pytest.mark.parametrize("act", ["identity", "relu"])
def test_the_limit_is_the_same_in_any_basis(act: str) -> None:
    points = data(4, d=5)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((40, 5)))[0]
    wide = {"x": points["x"] @ turn.T, "y": points["y"]}
    runs = [
        feature_limit(perceptron(2, act, d=d)).train(rows, 3, particles=256, replicates=2)
        for d, rows in ((5, points), (40, wide))
    ]
    # the basis is unique up to signs, which turn samples into others
    np.testing.assert_allclose(np.abs(runs[0].f - runs[1].f).max(), 0, atol=0.1)
    if act == "identity":
        np.testing.assert_allclose(runs[0].f, runs[1].f, atol=1e-10)
