"""Tangent kernels whose gradients are not independent of the forward pass."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.limit.interpret import interpret
from tpc.limit.kernels import derive
from tpc.limit.moment import LimitRefusal
from tpc.limit.pairs import expectations
from tpc.simulate.kernel import empirical_kernel

HEAD = """
width n
size d = 2, T = 2, vocab = 3
parametrization ntk
input {inputs}
param U : [n, d]{wide}
param W, B : [n, n]{square}
param E : [vocab, n]{wide}
param V : [1, n]
"""
MEAN_FIELD = {"wide": " abc(0, 0, -1)", "square": " abc(0, 1/2, 0)"}
NTK = {"wide": "", "square": ""}
VECTOR, PAIR, TOKENS = "x : [d]", "x, y : [d]", "x : [T] in vocab"
X = np.array([[0.5, -0.8], [1.2, 0.3], [-0.4, -1.1]])
S = X @ X.T


def program(body: str, inputs: str = VECTOR) -> tpc.Program:
    gauge = NTK if "(-1/2)" in body or "V @" in body else MEAN_FIELD
    return tpc.compile(text=HEAD.format(inputs=inputs, **gauge) + body)


def tangent(body: str, data: dict[str, np.ndarray], inputs: str = VECTOR) -> np.ndarray:
    """Evaluate all pairs without compiling: (N, N, entries)."""
    found = program(body, inputs).limit("ntk").kernels
    count = len(next(iter(data.values())))
    places = np.divmod(np.arange(count**2), count)
    sides = [{name: x[place] for name, x in data.items()} for place in places]
    values = interpret(found.entries, *sides, 1e-9)
    table = [np.broadcast_to(v, count**2).reshape(count, count) for v in values]
    return np.stack(table, axis=-1)


def arc_cosine() -> tuple[np.ndarray, np.ndarray]:
    """Return ``E[step step']`` and ``E[relu relu']``."""
    norm = np.sqrt(np.diag(S))
    cosine = np.clip(S / np.outer(norm, norm), -1, 1)
    angle = np.arccos(cosine)
    first = np.sin(angle) + (np.pi - angle) * cosine
    return (np.pi - angle) / (2 * np.pi), np.outer(norm, norm) * first / (2 * np.pi)


def test_a_linear_autoencoder_with_tied_weights():
    """``df_i = U_i . (dU x) + dU_i . (U x)``: every product has a mean."""
    found = tangent("def f(x) = U.T @ (U @ x) * n^-1", {"x": X}).reshape(3, 3, 2, 2)
    same = np.einsum("ab,ij->abij", S, np.eye(2))
    crossed = np.einsum("bi,aj->abij", X, X)
    np.testing.assert_allclose(found, 2 * (same + crossed), atol=1e-12)


def test_a_product_with_both_sides():
    found = tangent("def f(x):\n    h = U @ x\n    return dot(h, W @ h) * n^-1", {"x": X})
    np.testing.assert_allclose(found[..., 0], 3 * S**2, rtol=1e-12)


def test_backward_vectors_owe_to_each_other():
    """A readout makes gradients independent of the forward pass, not of what W' W does to them."""
    body = "def f(x) = V @ (W.T @ (W @ (U @ x)))"
    text = program(body).limit("ntk").text()
    assert "W is used along two axes" in text
    assert "gradients take independent copies" in text
    # second moments of W' W are 2, in the shares of U, of V and of W
    np.testing.assert_allclose(tangent(body, {"x": X})[..., 0], 6 * S, rtol=1e-12)


def test_an_energy_with_kinks():
    """``f = mean(z^2)`` with ``z = W relu(U x)``: W' z is Gaussian plus relu(U x)."""
    found = tangent("def f(x):\n    z = W @ relu(U @ x)\n    return mean(z * z)", {"x": X})
    step, k = arc_cosine()
    expected = 4 * k**2 + 4 * S * k * (step + 1)
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-8)


def test_a_tied_language_model():
    body = "def f(x):\n    h = E[x]\n    return n^-1 * (E @ (h + W @ h))"
    ids = np.array([[1, 2], [3, 3]])
    found = tangent(body, {"x": ids}, TOKENS).reshape(2, 2, 2, 3, 2, 3)
    hot = np.eye(3)[ids - 1]
    equal = np.einsum("atv,bsv->abts", hot, hot)
    same = np.einsum("abts,vw->abtvsw", equal, np.eye(3))
    crossed = np.einsum("bsv,atw->abtvsw", hot, hot)
    np.testing.assert_allclose(found, 5 * same + 2 * crossed, atol=1e-12)


def test_the_output_may_fluctuate_but_not_the_gradient():
    towers = "def f(x, y) = {}(dot(W @ tanh(U @ x), B @ tanh(U @ y)) * n^(-1/2))"
    text = program(towers.format(""), PAIR).limit("ntk").text()
    assert "no independent copies, as the output is not a sum of readouts" in text
    with pytest.raises(LimitRefusal, match="stays random"):
        derive(program(towers.format("tanh"), PAIR).module, "ntk")


def test_axes_of_a_tied_readout_are_no_copies():
    found = program("def f(x) = U.T @ tanh(W @ tanh(U @ x)) * n^(-1/2)")
    assert found.limit("ntk").kernels.kept == (2,)
    assert found.limit("nngp").kernels.kept == (2,)


TOWER = """
def tower(x):
    h = {phi}(U @ x)
    return {last}(W @ h)
def f(x, y) = dot(tower(x), tower(y)) * n^-1
"""
CASES = {
    "tied": (VECTOR, "def f(x) = U.T @ tanh(U @ x) * n^-1"),
    "tied relu": (VECTOR, "def f(x) = U.T @ relu(U @ x) * n^-1"),
    "tied twice": (VECTOR, "def f(x) = U.T @ tanh(W.T @ tanh(W @ tanh(U @ x))) * n^-1"),
    "tied twice, relu": (VECTOR, "def f(x) = U.T @ relu(W.T @ relu(W @ relu(U @ x))) * n^-1"),
    "transposes, relu": (VECTOR, "def f(x) = V @ relu(W @ relu(W.T @ relu(W @ relu(U @ x))))"),
    "transposes, step": (VECTOR, "def f(x) = V @ tanh(W.T @ step(W @ tanh(U @ x)))"),
    "mean": (VECTOR, "def f(x) = tanh(mean(sigmoid(W @ tanh(U @ x))))"),
    "siamese": (PAIR, TOWER.format(phi="tanh", last="tanh")),
    "siamese, relu": (PAIR, TOWER.format(phi="relu", last="relu")),
    "cosines": (PAIR, TOWER.format(phi="tanh", last="layer_norm")),
    "towers": (PAIR, "def f(x, y) = dot(tanh(W @ tanh(U @ x)), B @ sin(U @ y)) * n^(-1/2)"),
    "language model": (
        TOKENS,
        "def f(x):\n    h = E[x]\n    return n^-1 * (E @ rms_norm(h + tanh(W @ h)))",
    ),
    "words": (TOKENS, "def f(x) = E[x] @ (mean(E[x], axis = 1) + tanh(E[x][1])) * n^-1"),
}


def draw(case: str, inputs: str) -> dict[str, np.ndarray]:
    if inputs == TOKENS:
        return {"x": np.array([[1, 2], [3, 3], [2, 3]])}
    rng = np.random.default_rng(7)
    names = inputs.split(":")[0].split(",")
    found = {name.strip(): rng.standard_normal((3, 2)) for name in names}
    if case != "cosines":  # where the gradient vanishes
        found["x"][2] = found.get("y", found["x"])[2]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_finite_networks_approach_the_tangent_kernel(case):
    inputs, body = CASES[case]
    found = program(body, inputs)
    data = draw(case, inputs)
    limit = found.limit("ntk")
    if expectations(limit.kernels):
        exact, error = limit.with_errors(data)
    else:
        table = tangent(body, data, inputs)
        kept = limit.kernels.kept
        exact, error = table.reshape(*table.shape[:2], *kept, *kept), 0.0
    size = np.abs(exact).max()
    distances = []
    for width, seeds in ((64, 240), (512, 30)):
        finite = empirical_kernel(found.module, data, width=width, kind="ntk", seeds=range(seeds))
        mean, spread = finite.mean.reshape(exact.shape), finite.error.reshape(exact.shape)
        bias = (10 if "relu" in case else 5) * size / width
        assert np.all(np.abs(mean - exact) < 5 * spread + 5 * error + bias), width
        samples = finite.samples.reshape(seeds, *exact.shape)
        distances.append(float(np.sqrt(((samples - exact) ** 2).mean())))
    assert distances[1] < 0.55 * distances[0]  # 8^(-1/2) = 0.35
