"""Products of weights: read as one acting after the other, with the same answers."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.parametrize.acting import acting
from tpc.scaling.characters import TRIVIAL, generator
from tpc.scaling.outer import Outer, Weight
from tpc.scaling.terms import HALF, Terms
from tpc.simulate.training import Network

TEXT = """width n
size d = 4, k = 2, rank = 2
input x : [d]
target y : [k]
param U : [n, d] abc(0, 0, 0)
param W, S : [n, n] abc(0, 1/2, 1)
param A : [rank, n] abc(1, 0, 0)
param B : [n, rank] abc(0, 0, 0) {init}
param V : [k, n] abc(1, 0, 0)
def f(x):
    h = tanh(U @ x)
    z = tanh({body})
    return V @ z
train:
    loss = mse(f(x), y)
    optimizer {optimizer}(lr = 0.1)
"""
#: Matrices first, and the same with every weight acting on a vector.
PAIRS = {
    "adapter": ("(W + A.T @ B) @ h", "W @ h + B @ (A @ h)"),
    "scaled adapter": ("(W - 3 * (A.T @ B)) @ h", "W @ h - 3 * (B @ (A @ h))"),
    "product": ("(W.T @ S) @ h", "S @ (W @ h)"),
    "transposed": ("(W.T @ S).T @ h", "W.T @ (S.T @ h)"),
    "three": ("((W.T @ S).T @ W.T) @ h", "W @ (W.T @ (S.T @ h))"),
    "einsum": ('einsum("i j, j k, k -> i", W, S, h)', "W @ (S @ h)"),
}


def compiled(body: str, optimizer: str = "adam", init: str = "init zero") -> tpc.Program:
    return tpc.compile(text=TEXT.format(body=body, optimizer=optimizer, init=init))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_same_class(pair: tuple[str, str], optimizer: str) -> None:
    first, second = (compiled(body, optimizer).classify() for body in pair)
    assert first.kind is second.kind
    assert dict(first.values) == dict(second.values)
    for name, weight in first.weights.items():
        other = second.weights[name]
        assert (weight.update, weight.initial, weight.output) == (
            other.update,
            other.initial,
            other.output,
        )


@pytest.mark.parametrize("init", ["init zero", ""])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_same_maximal_update(pair: tuple[str, str], init: str) -> None:
    first, second = (compiled(body, init=init).solve().solved for body in pair)
    assert first.exponents == second.exponents


def test_the_same_diagnostic_where_there_is_none() -> None:
    """Under gradient descent the bottleneck of an adapter leaves its saddle too slowly."""
    for body in PAIRS["adapter"]:
        with pytest.raises(tpc.TpcError, match="only updates of size"):
            compiled(body, "sgd").solve()


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_values_stay_what_they_are(pair: tuple[str, str]) -> None:
    program = compiled(pair[0], init="")
    data = {"x": np.linspace(-1.0, 1.0, 12).reshape(3, 4)}
    results = []
    for module in (program.module, acting(program.module)):
        network = Network(module, 16, 0)
        results.append(network.evaluate((module.output.node,), data, 3)[0])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9)


def test_programs_without_products_stay_themselves() -> None:
    module = compiled(PAIRS["product"][1]).module
    assert acting(module) is module


def test_products_of_weights_as_matrices() -> None:
    """A product has the characters of its factors; with its transpose it is one with itself."""
    first, second = Weight("W", generator(0)), Weight("S", generator(2))
    x = Terms.single(generator(4), 0)
    product = Outer.weight(first, 1).compose(Outer.weight(second, 1), HALF)
    assert product.apply(x, HALF) == Outer.weight(first, 1).apply(
        Outer.weight(second, 1).apply(x, HALF), HALF
    )
    turned = Outer.weight(second.flipped, 1).compose(Outer.weight(first.flipped, 1), HALF)
    assert turned == product.transposed
    again = Outer.weight(first, HALF).compose(Outer.weight(first.flipped, HALF), HALF)
    assert again.apply(x, HALF) == x
    # sum_ij (W S)_ij^2 is of n^2 terms of one sign
    assert product.frobenius(product, HALF).number == 2 * (2 - HALF) - 2
    assert product.frobenius(Outer.weight(first, 1), HALF).number == 2 - HALF + 1 - 1
    assert first.dressed(TRIVIAL, TRIVIAL) is first
