"""Scalars that are numbers in the limit: normalisation over the width, and attention."""

from __future__ import annotations

import numpy as np
import pytest
from limit.programs import limit

import tpc
from tpc.limit import evaluation
from tpc.limit.interpret import interpret
from tpc.simulate.kernel import empirical_kernel

PROGRAM = """
width n
size d = 3, T = 3, vocab = 4
parametrization ntk
input x : {x}
target y : [1]
{params}
param V : [1, n]
def f(x):
{body}
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
WEIGHTS = """param U : [n, d]
param A, B, Q, R : [n, n]
param g : [n] init one
param z : [n] init zero"""
CASES = {
    "layer_norm": """
    h = relu(U @ x[1])
    h = h + A @ gelu(B @ layer_norm(h))
    return V @ relu(g * layer_norm(A @ rms_norm(h)))""",
    "attention": """
    h = U @ x
    s = einsum("t n, u n -> t u", Q @ h, R @ h) * n^-1
    h = h + einsum("t u, u n -> t n", softmax(s, axis = 2, mask = causal), A @ h)
    return V @ mean(relu(B @ h), axis = 1)""",
    "tied scores": """
    h = U @ x
    s = einsum("t n, u n -> t u", Q @ h, Q @ h) * n^-1
    return V @ relu(einsum("t u, u n -> t n", softmax(s, axis = 2), A @ h)[2])""",
    "quotient": """
    h = relu(U @ x[1])
    return V @ erf(A @ h / (1/2 + mean(h)) + B @ h * tanh(mean(h * h)))""",
}


def program(name):
    body = CASES[name].strip("\n")
    return tpc.compile(text=PROGRAM.format(x="[T, d]", params=WEIGHTS, body=body))


def direct(kernel, x):
    """Evaluate all pairs without compiling."""
    rows, columns = np.divmod(np.arange(len(x) ** 2), len(x))
    (found,) = interpret(kernel.kernels.entries, {"x": x[rows]}, {"x": x[columns]}, 1e-9)
    return found.reshape(len(x), len(x))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_against_finite_networks(name, kind):
    compiled = program(name)
    x = np.random.default_rng(1).standard_normal((3, 3, 3)) / 2
    exact = direct(compiled.limit(kind), x)
    width, seeds = (64, 300) if kind == "nngp" else (192, 10)
    finite = empirical_kernel(compiled.module, {"x": x}, width=width, kind=kind, seeds=range(seeds))
    mean, error = finite.mean[..., 0, 0], finite.error[..., 0, 0]
    assert np.all(np.abs(mean - exact) < 6 * error + 4 / width * np.abs(exact).max())


def test_layer_norm_by_hand():
    """One norm before a relu: the arc-cosine kernel of the angle between centred features."""
    text = PROGRAM.format(
        x="[d]", params=WEIGHTS, body="    return V @ relu(A @ layer_norm(erf(U @ x)))"
    )
    x = np.random.default_rng(2).standard_normal((4, 3))
    own = 1 + 2 * (x**2).sum(1)
    k = 2 / np.pi * np.arcsin(2 * x @ x.T / np.sqrt(np.outer(own, own)))
    rho = k / np.sqrt(np.outer(np.diag(k), np.diag(k)))
    angle = np.arccos(np.clip(rho, -1, 1))
    expected = (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)
    np.testing.assert_allclose(direct(limit(text, "nngp"), x), expected, atol=1e-8)


def test_generated_code_has_the_numbers():
    kernel = program("tied scores").limit("nngp")
    x = np.random.default_rng(3).standard_normal((3, 3, 3))
    np.testing.assert_allclose(kernel.evaluate(x, x), direct(kernel, x), rtol=1e-10)


def test_long_recursions_are_evaluated_in_parts(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_COMPILED", 0)
    monkeypatch.setattr(evaluation, "PAIRS", 4)
    kernel = program("attention").limit("ntk")
    x = np.random.default_rng(3).standard_normal((4, 3, 3))
    assert kernel.is_long
    np.testing.assert_allclose(kernel.evaluate(x), direct(kernel, x), rtol=1e-7)
    np.testing.assert_allclose(kernel.evaluate(x[:3], x), direct(kernel, x)[:3], rtol=1e-12)
    with pytest.raises(tpc.TpcError, match="do not fit"):
        kernel.evaluate(x[:, :2])


def test_text_names_scalars():
    text = program("layer_norm").limit("ntk").text()
    assert "r2(x) = Sigma2(x, x)^(-1/2)" in text
    assert "Theta[V] = E[relu(u) relu(v)" in text
    assert text.count("Theta = Theta[U] + Theta[A]") == 1


def test_latex_names_scalars():
    latex = program("layer_norm").limit("ntk").latex()
    assert r"r_{1}(x) &= " in latex
    assert r"r_{2}(x) r_{2}(x') \Sigma^{(2)}" in latex
    assert r"\Theta_{\mathtt{V}}(x, x') &= " in latex
    assert latex.count("{") == latex.count("}")


REFUSED = {
    "random scores": (
        """
    h = U @ x
    s = einsum("t n, u n -> t u", Q @ h, Q @ h) * n^(-1/2)
    return V @ relu(einsum("t u, u n -> t n", softmax(s, axis = 2), h)[1])""",
        "mean of its own",
    ),
    "cancelled mean": (
        """
    h = U @ x[1]
    s = mean(h * h) - mean((A @ h) * (A @ h))
    return V @ relu(A @ h * n^(1/2) * s)""",
        "stays random",
    ),
    "root": ("    return V @ (U @ x[1])^(1/2)", "has no limit"),
    "zero": ("    return V @ layer_norm(z * (U @ x[1]))", "vanishes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stays_random_is_refused(name):
    body, words = REFUSED[name]
    with pytest.raises(tpc.TpcError, match=words):
        limit(PROGRAM.format(x="[T, d]", params=WEIGHTS, body=body.strip("\n")), "nngp")
