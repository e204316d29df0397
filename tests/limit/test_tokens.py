"""Embeddings of integer tokens, random masks, and what a limit says about its program."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from limit.programs import limit

import tpc
from tpc.limit.interpret import interpret
from tpc.simulate.kernel import empirical_kernel

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = """
width n
size vocab = 4, T = 3, d = 3
parametrization ntk
input {data}
target y : [1]
param E : [vocab, n]
param P : [T, n]
param U : [n, d]
param A, Q, K : [n, n]
param V : [1, n]
def f({name}):
{body}
train:
    loss = mse(f({name}), y)
    optimizer sgd(lr = 0.1)
"""
TRANSFORMER = """
    h = E[ids] + P
    s = einsum("t n, u n -> t u", Q @ layer_norm(h), K @ h) * n^-1
    h = h + einsum("t u, u n -> t n", softmax(s, axis = 2, mask = causal), A @ h)
    return V @ relu(A @ layer_norm(h))[3]"""
DROPOUT = """
    h = dropout(relu(U @ x), rate = 1/4)
    return V @ dropout(relu(A @ h) + h, rate = 1/2)"""
RNG = np.random.default_rng(4)
IDS = RNG.integers(1, 5, (3, 3))
X = RNG.standard_normal((3, 3))


def tokens(body):
    return HEAD.format(data="ids : [T] in vocab", name="ids", body=body.strip("\n"))


def numbers(body):
    return HEAD.format(data="x : [d]", name="x", body=body.strip("\n"))


CASES = {"tokens": (tokens(TRANSFORMER), IDS), "dropout": (numbers(DROPOUT), X)}


def direct(kernel, x):
    """Evaluate all pairs without compiling, the diagonal as samples that are the same."""
    (name,) = kernel.inputs
    rows, columns = np.divmod(np.arange(len(x) ** 2), len(x))
    (found,) = interpret(kernel.kernels.entries, {name: x[rows]}, {name: x[columns]}, 1e-9)
    found = found.reshape(len(x), len(x))
    (own,) = (tpc.limit.expressions.at(0, e) for e in kernel.kernels.diagonal)
    (values,) = interpret((own,), {name: x}, {name: x}, 1e-9)
    found[np.diag_indices(len(x))] = values
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_against_finite_networks(name, kind):
    text, x = CASES[name]
    program = tpc.compile(text=text)
    kernel = program.limit(kind)
    exact = direct(kernel, x)
    width, seeds = (128, 300) if kind == "nngp" else (256, 16)
    data = dict.fromkeys(kernel.inputs, x)
    finite = empirical_kernel(program.module, data, width=width, kind=kind, seeds=range(seeds))
    mean, error = finite.mean[..., 0, 0], finite.error[..., 0, 0]
    assert np.all(np.abs(mean - exact) < 6 * error + 4 / width * np.abs(exact).max())


def test_one_embedding_is_the_equality_of_tokens():
    kernel = limit(tokens("    return V @ mean(E[ids], axis = 1)"), "nngp")
    expected = (IDS[:, None, :, None] == IDS[None, :, None, :]).sum((2, 3)) / 9
    np.testing.assert_allclose(kernel.evaluate(IDS, IDS), expected, rtol=1e-14)
    np.testing.assert_allclose(kernel.evaluate(IDS), expected, rtol=1e-14)


def test_masks_are_shared_on_the_diagonal_only():
    kernel = limit(numbers("    return V @ dropout(U @ x, rate = 1/4)"), "nngp")
    gram = X @ X.T
    np.testing.assert_allclose(kernel.evaluate(X, X), gram, rtol=1e-13)
    np.testing.assert_allclose(np.diag(kernel.evaluate(X)), np.diag(gram) * 4 / 3, rtol=1e-13)
    assert "drawn anew for every sample" in kernel.text()


def test_masks_of_inputs_are_refused():
    with pytest.raises(tpc.TpcError, match="masks on values without a width"):
        limit(numbers("    return V @ relu(U @ dropout(x, rate = 1/2))"), "nngp")


def test_a_vanishing_output_says_where_its_kernel_is():
    text = tpc.compile(EXAMPLES / "perceptron.tp").limit("nngp").text()
    assert "of size n^(-1/2): n times its kernel has a limit" in text


def test_large_images_have_limits_at_once():
    program = tpc.compile(EXAMPLES / "convnet.tp")
    begin = time.perf_counter()
    for kind in ("nngp", "ntk"):
        assert "Sigma_K2[p, q]" in program.limit(kind).text()
    assert time.perf_counter() - begin < 5
