"""Every activation keeps its contract: derivative, parity, growth, kinks, text, Numba source."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tpc.exact import Constant
from tpc.ops.activations import Activation, ActivationError, activation, catalogue
from tpc.runtime import scalars

BUILT_IN = [kind() for kind in catalogue().values() if kind.alone]
EXPECTED = """abs cos elu erf exp gaussian gelu gelu_tanh hermite identity leaky_relu log monomial
polynomial rbf relu relu_power selu sigmoid sign silu sin softplus step tanh"""
POINTS = np.concatenate([np.linspace(-4.03, 4.07, 57), [-30.0, 30.0, 0.0]])


def away_from_kinks(phi: Activation) -> np.ndarray:
    keep = [all(abs(x - z) > 1e-3 for z in phi.kinks()) for x in POINTS]
    return POINTS[np.asarray(keep)]


def every_activation() -> list[Activation]:
    derivatives = [phi.derivative() for phi in BUILT_IN]
    variants = [
        activation("leaky_relu", Constant.of(3) / 10),
        *(activation("relu_power", k) for k in (0, 1, 3, 5)),
        *(activation("hermite", k) for k in (0, 1, 5)),
        *(activation("monomial", k) for k in (1, 3)),
        activation("polynomial", 1, -2, 0, 3),
        activation("rbf", Constant.of(1) / 2),
    ]
    return [*BUILT_IN, *variants, *derivatives]


def test_catalogue_is_found_by_walking():
    assert list(catalogue()) == sorted(EXPECTED.split())


@pytest.mark.parametrize("phi", every_activation(), ids=lambda phi: phi.label)
def test_derivative_against_differences(phi):
    x = away_from_kinks(phi)
    h = 1e-4
    slope = (phi.numpy(x + h) - phi.numpy(x - h)) / (2 * h)
    np.testing.assert_allclose(phi.derivative().numpy(x), slope, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("phi", every_activation(), ids=lambda phi: phi.label)
def test_parity_is_exact(phi):
    x = np.linspace(0.05, 5, 83)
    left, right = phi.numpy(-x), phi.numpy(x)
    even, odd = np.allclose(left, right), np.allclose(left, -right)
    assert phi.parity == ("even" if even else "odd" if odd else "none")


@pytest.mark.parametrize("phi", every_activation(), ids=lambda phi: phi.label)
def test_numba_source_means_the_same(phi):
    names = {name: getattr(scalars, name) for name in phi.helpers}
    body = compile(phi.numba_call("z"), phi.label, "eval")
    values = [eval(body, {"math": math, **names}, {"z": float(z)}) for z in POINTS]
    np.testing.assert_allclose(phi.numpy(POINTS), values, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("phi", every_activation(), ids=lambda phi: phi.label)
def test_growth_bounds_the_values(phi):
    growth = phi.growth
    assert growth.kind in ("polynomial", "exponential")
    assert phi.obstacle() is None
    if growth.kind == "polynomial":
        x = np.array([-1e6, -1e3, 1e3, 1e6])
        size = np.abs(x) ** float(growth.degree)
        ratio = np.abs(phi.numpy(x)) / size
        assert ratio.max() < 100


@pytest.mark.parametrize("phi", every_activation(), ids=lambda phi: phi.label)
def test_prints_and_hashes(phi):
    assert phi.text()
    assert phi.latex().count("{") == phi.latex().count("}")
    assert hash(phi) == hash(replace(phi))


def test_documentation_states_the_formula():
    for kind in catalogue().values():
        assert kind.name in kind.documentation()
        assert "``" in kind.documentation()


def test_chain_of_rectifiers_says_what_is_dropped():
    relu = activation("relu")
    assert relu.derivative() == activation("step")
    step = relu.derivative()
    assert step.derivative().is_zero
    assert "delta" in (step.dropped or "")
    assert relu.dropped is None


def test_linear_and_constant_are_recognised():
    assert activation("identity").is_identity
    assert activation("identity").is_linear
    assert activation("leaky_relu", 1).is_identity
    assert activation("relu_power", 1).formula() == activation("relu").formula()
    assert activation("hermite", 0).constant_value == Constant.of(1)
    assert not activation("relu").is_linear


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("relux", (), "no activation"),
        ("relu", (1,), "no parameters"),
        ("leaky_relu", (1, 2), "takes 1 parameter"),
        ("hermite", (Constant.of(1) / 2,), "whole number"),
        ("rbf", (-1,), "positive"),
    ],
)
def test_wrong_parameters(name, parameters, message):
    with pytest.raises(ActivationError, match=message):
        activation(name, *parameters)
