"""Expectations over several Gaussians: nested nonlinearities, gates, norms over batches, scores."""

from __future__ import annotations

import numpy as np
import pytest
from limit.programs import limit

import tpc
from tpc.limit import pairs
from tpc.limit.dual import dual
from tpc.limit.interpret import interpret
from tpc.limit.pairs import expectations
from tpc.runtime import lattice
from tpc.simulate.kernel import empirical_kernel

PROGRAM = """
width n
size d = 3, T = 3, vocab = 4
parametrization ntk
input x : {x}
param U : [n, d]
param A, B, W : [n, n]
param g : [n] init one
param V : [1, n]
def f(x):
    {body}
"""
X = np.random.default_rng(1).standard_normal((3, 3)) / 2
S = X @ X.T


def kernel(body, kind="nngp", x="[d]"):
    return limit(PROGRAM.format(x=x, body=body.strip().replace("; ", "\n    ")), kind)


def direct(found, x):
    """Evaluate all pairs without compiling."""
    rows, columns = np.divmod(np.arange(len(x) ** 2), len(x))
    (values,) = interpret(found.kernels.entries, {"x": x[rows]}, {"x": x[columns]}, 1e-10)
    return values.reshape(len(x), len(x))


def gauss(function, q1, k, q2):
    """Return ``E[function(u, v)]`` by the trapezoidal rule, for smooth functions."""
    t = np.linspace(-9, 9, 181)
    z, w = np.meshgrid(t, t)
    density = np.exp(-(z**2 + w**2) / 2)
    rest = np.sqrt(max(q2 - k * k / q1, 0.0))
    values = function(np.sqrt(q1) * z, k / np.sqrt(q1) * z + rest * w)
    return (values * density).sum() / density.sum()


def by_pair(phi):
    return np.array(
        [
            [gauss(lambda u, v: phi(u) * phi(v), S[i, i], S[i, j], S[j, j]) for j in range(3)]
            for i in range(3)
        ]
    )


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ONE_GAUSSIAN = {
    "twice": ("return V @ tanh(sin(U @ x))", lambda u: np.tanh(np.sin(u))),
    "shifted": ("return V @ sigmoid(U @ x + g)", lambda u: sigmoid(u + 1)),
    "branches": ("h = U @ x; return V @ tanh(h + cos(h))", lambda u: np.tanh(u + np.cos(u))),
    "product": (
        "h = U @ x; return V @ (h * sigmoid(h) * sin(h))",
        lambda u: u * sigmoid(u) * np.sin(u),
    ),
}


@pytest.mark.parametrize("name", ONE_GAUSSIAN)
def test_functions_of_one_gaussian_are_formulas(name):
    body, phi = ONE_GAUSSIAN[name]
    found = kernel(body)
    assert not expectations(found.kernels)
    np.testing.assert_allclose(direct(found, X), by_pair(phi), rtol=1e-8, atol=1e-9)


def test_cosine_of_a_product():
    """``E cos(a b) cos(a' b')`` is a determinant; on the diagonal a grid gives it exactly."""
    found = kernel("h = U @ x; return V @ cos((A @ h) * (B @ h))")
    value, error = found.with_errors(X, sampling=1e-3)
    flip = np.array([[1, -1], [-1, 1]])
    for i in range(3):
        assert value[i, i] == pytest.approx((1 + (1 + 4 * S[i, i] ** 2) ** -0.5) / 2, abs=1e-9)
        for j in range(i):
            own = S[np.ix_([i, j], [i, j])]
            parts = [np.linalg.det(np.eye(2) + s @ own) ** -0.5 for s in (own, own * flip)]
            assert abs(value[i, j] - sum(parts) / 2) < 5 * error[i, j] + 1e-6
            assert 0 < error[i, j] < 1e-3
    again, _ = found.with_errors(X[:1], X[1:], sampling=1e-3)
    np.testing.assert_allclose(again[0], value[0, 1:], atol=1e-3)
    np.testing.assert_allclose(found.evaluate(X, diagonal=True), np.diag(value), atol=1e-9)


def test_batch_norm_of_two_is_a_sign():
    body = "return V @ batch_norm(U @ x, axis = 1)[1]"
    body = body.replace("U @ x", 'einsum("n d, b d -> b n", U, x)')
    found = kernel(body, x="[2, d]")
    x = np.random.default_rng(2).standard_normal((3, 2, 3))
    u = x[:, 0] - x[:, 1]
    norm = np.linalg.norm(u, axis=1)
    expected = 2 / np.pi * np.arcsin(np.clip(u @ u.T / np.outer(norm, norm), -1, 1))
    value, error = found.with_errors(x)
    assert np.all(np.abs(value - expected) < 6 * error + 1e-9)


def test_a_weight_and_its_transpose():
    """The tied autoencoder's covariance, with the term that W' owes to W."""
    found = kernel("h = tanh(U @ x); return V @ (W.T @ tanh(W @ h))")
    value = direct(found, X)
    first, second = dual("tanh"), dual("tanh").derivative()
    q = np.diag(S)
    k = first.expectation(q[:, None], S, q[None, :])
    own = np.diag(k)
    last = first.expectation(own[:, None], k, own[None, :])
    zero = np.zeros_like(own)
    slope = np.sqrt(second.expectation(own, zero, own))  # E tanh'
    np.testing.assert_allclose(value, last + np.outer(slope, slope) * k, rtol=1e-8)
    assert "Zdot" in found.text()


def test_random_scores_are_averaged():
    body = (
        "h = U @ x; "
        's = einsum("t n, u n -> t u", A @ h, B @ h) * n^(-1/2); '
        'return V @ einsum("t u, u n -> t n", softmax(s, axis = 2), W @ h)[1]'
    ).replace("U @ x", 'einsum("n d, t d -> t n", U, x)')
    found = kernel(body, x="[2, d]")
    x = np.random.default_rng(3).standard_normal((1, 2, 3))
    gram = x[0] @ x[0].T
    spread = gram[0, 0] * (gram[0, 0] + gram[1, 1] - 2 * gram[0, 1])
    t = np.linspace(-9, 9, 1001)
    density = np.exp(-(t**2) / 2)
    share = sigmoid(np.sqrt(spread) * t)
    rows = np.stack([share, 1 - share])
    shares = (rows[:, None] * rows[None, :] * density).sum(-1) / density.sum()
    assert found.evaluate(x)[0, 0] == pytest.approx((shares * gram).sum(), abs=1e-8)
    assert "mixture of Gaussians" in found.text()
    text = kernel(body, "ntk", x="[2, d]").text()
    assert "the tangent kernel is random at infinite width" in text


def test_indicators_are_inputs():
    text = PROGRAM.replace("input x : {x}", "input x : [T] in vocab").replace(
        "[n, d]", "[n, vocab]"
    )
    ids = np.random.default_rng(4).integers(1, 5, (4, 3))
    hot = (ids[:, :, None] == np.arange(1, 5)).astype(float)
    mean = limit(text.format(body="return V @ erf(U @ mean(one_hot(x), axis = 1))"), "ntk")
    dense = limit(
        PROGRAM.replace("d = 3", "d = 4").format(x="[d]", body="return V @ erf(U @ x)"), "ntk"
    )
    np.testing.assert_allclose(direct(mean, ids), direct(dense, hot.mean(axis=1)), rtol=1e-12)


WORD2VEC = """
width n
size vocab = 9
parametrization ntk
input context : [2] in vocab
input words : [3] in vocab
param U : [vocab, n]
param V : [vocab, n]
def f(context, words) = V[words] @ mean(U[context], axis = 1)
"""


def test_word2vec_counts_equal_words():
    rng = np.random.default_rng(5)
    data = {"context": rng.integers(1, 10, (4, 2)), "words": rng.integers(1, 10, (4, 3))}
    equal = [data[k][:, None, :, None] == data[k][None, :, None, :] for k in ("context", "words")]
    shared = equal[0].mean(axis=(2, 3))[:, :, None, None] * equal[1]
    rows, columns = np.divmod(np.arange(16), 4)
    pairs = [{name: a[place] for name, a in data.items()} for place in (rows, columns)]
    for kind, factor in (("nngp", 1), ("ntk", 2)):
        found = interpret(limit(WORD2VEC, kind).kernels.entries, *pairs, 1e-10)
        table = np.stack(found, axis=-1).reshape(4, 4, 3, 3)
        np.testing.assert_allclose(table, factor * shared)


GATED = """
width n
size d = 3, T = {T}
parametrization ntk
input x : [T, d]
param Uz, Uc, Ur : [n, d]
param Wz, Wc, Wr : [n, n]
param V : [1, n]
def cell(h, x):
    r = sigmoid(Wr @ h + Ur @ x)
    z = sigmoid(Wz @ h + Uz @ x)
    return z * h + (1 - z) * tanh(Wc @ (r * h) + Uc @ x)
def f(x):
    h = tanh(Uc @ x[1])
    for t in 2..T:
        h = cell(h, x[t])
    return V @ h
"""


def test_gru_says_its_error():
    found = limit(GATED.format(T=3), "nngp")
    x = np.random.default_rng(6).standard_normal((3, 3, 3)) / 2
    value, error = found.with_errors(x)
    finer, _ = found.with_errors(x, sampling=1e-5)
    assert error.max() < 1e-3 * value.max()
    assert np.all(np.abs(value - finer) < 6 * error + 1e-5)
    assert np.linalg.eigvalsh(value).min() > 0
    text, latex = found.text(), found.latex()
    assert "E[sigmoid(u1) sigmoid(v1)" in text
    assert "random lattices, with a standard error" in text
    assert r"\operatorname{sigmoid}\left(u_{1}\right)" in latex
    assert latex.count("{") == latex.count("}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_gru_against_finite_networks(kind):
    program = tpc.compile(text=GATED.format(T=3))
    x = np.random.default_rng(6).standard_normal((3, 3, 3)) / 2
    exact = program.limit(kind).evaluate(x)
    width, seeds = (128, 600) if kind == "nngp" else (256, 24)
    finite = empirical_kernel(program.module, {"x": x}, width=width, kind=kind, seeds=range(seeds))
    mean, error = finite.mean[..., 0, 0], finite.error[..., 0, 0]
    assert np.all(np.abs(mean - exact) < 6 * error + 4 / width * np.abs(exact).max())


def test_what_cannot_be_met_is_said():
    found = kernel("h = U @ x; return V @ relu(relu(A @ h) - relu(B @ h) + relu(W @ h))")
    with pytest.raises(tpc.TpcError, match="sampled to a relative standard error"):
        found.evaluate(X, sampling=1e-9)
    with pytest.raises(tpc.TpcError, match="do not fit"):
        found.evaluate(X[:, :2])


def test_rules_integrate_what_they_should():
    nodes, weights = lattice.grid(2, 0.5)
    assert weights @ nodes[0, 0] ** 2 == pytest.approx(1, abs=1e-14)
    assert weights @ np.cos(nodes[0, 0] + nodes[0, 1]) == pytest.approx(np.exp(-1), abs=1e-14)
    values = np.cos(lattice.lattice(6, 4093)).prod(axis=1).mean(axis=1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error < 1e-3
    assert abs(values.mean() - np.exp(-3)) < 5 * error


VARIANTS = {
    "3 * sin(2*z + 1/2)": lambda z: 3 * np.sin(2 * z + 0.5),
    "2 * exp(z/3)": lambda z: 2 * np.exp(z / 3),
    "1 + z - 2*z^3 + z^7/100": lambda z: 1 + z - 2 * z**3 + z**7 / 100,
    "relu(2*z)^3": lambda z: np.maximum(2 * z, 0) ** 3,
    "z * relu(z)": lambda z: np.maximum(z, 0) ** 2,
    "-3 * relu(-z)^2": lambda z: -3 * np.maximum(-z, 0) ** 2,
    "z^2 * step(z)": lambda z: np.maximum(z, 0) ** 2,
    "max(z, z/5)": lambda z: np.maximum(z, z / 5),
    "abs(2*z)": lambda z: np.abs(2 * z),
    "2 * cos(3*z)": lambda z: 2 * np.cos(3 * z),
}


@pytest.mark.parametrize("formula", VARIANTS)
def test_variants_written_by_users_have_closed_forms(formula):
    from limit.test_dual import tensor_rule

    text = PROGRAM.replace("parametrization", f"act phi(z) = {formula}\nparametrization")
    found = limit(text.format(x="[d]", body="return V @ phi(U @ x)"), "nngp")
    assert found.methods == ("closed form: phi",)
    scale = np.sqrt(np.outer(np.diag(S), np.diag(S)))
    expected = tensor_rule(VARIANTS[formula], S[0, 0], S[1, 1], S[0, 1] / scale[0, 1])
    value = direct(found, X)
    norm = np.sqrt(value[0, 0] * value[1, 1])
    assert abs(value[0, 1] - expected) < 1e-13 * max(norm, 1)


def test_no_number_is_said():
    kernels = kernel("return V @ tanh(A @ tanh(U @ x))").kernels
    nothing = np.full((2, 2, 1), np.nan)
    with pytest.raises(tpc.TpcError, match="no finite value"):
        pairs._to_tolerance(kernels, lambda rule: (nothing, nothing, 0.0), 1e-10, None)
