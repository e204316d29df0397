"""Kernel limits: against closed recursions written by hand, and against finite networks."""

from __future__ import annotations

import numpy as np
import pytest
from limit.programs import limit, perceptron

import tpc
from tpc.limit.dual import dual
from tpc.limit.interpret import interpret
from tpc.simulate.kernel import empirical_kernel

RNG = np.random.default_rng(3)
X = RNG.standard_normal((6, 7)) / 2
X2 = RNG.standard_normal((4, 7)) / 2


def arc_cosine(k, q1, q2):
    """Cho and Saul's kernels of order 1 and 0, as in the paper."""
    norm = np.sqrt(np.outer(q1, q2))
    angle = np.arccos(np.clip(k / norm, -1, 1))
    first = norm * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return first, (np.pi - angle) / (2 * np.pi)


def arcsine(k, q1, q2):
    """Williams' kernel of erf, and that of its derivative."""
    outer = np.outer(1 + 2 * q1, 1 + 2 * q2)
    return 2 / np.pi * np.arcsin(2 * k / np.sqrt(outer)), 4 / np.pi / np.sqrt(outer - 4 * k**2)


def by_dual(name):
    form = dual(name)

    def expectations(k, q1, q2):
        at = (q1[:, None], k, q2[None, :], 1e-12)
        return form.expectation(*at), form.derivative().expectation(*at)

    return expectations


def by_hand(expectations, x, x2, layers):
    """Return NNGP and NTK of the test perceptron, layer by layer."""
    k, q1, q2 = x @ x2.T, (x**2).sum(1), (x2**2).sum(1)
    theta = k.copy()
    for layer in range(2, layers + 2):
        last = layer == layers + 1
        (e, slope), own1, own2 = (
            expectations(k, q1, q2),
            np.diag(expectations(np.diag(q1), q1, q1)[0]),
            np.diag(expectations(np.diag(q2), q2, q2)[0]),
        )
        weight, bias, moving = (1, 0, 0) if last else (2, 0.25, 1)
        theta = e + moving + weight * slope * theta
        k, q1, q2 = weight * e + bias, weight * own1 + bias, weight * own2 + bias
    return k, theta


CASES = [("relu", arc_cosine), ("erf", arcsine), ("tanh", by_dual("tanh"))]


@pytest.mark.parametrize(("phi", "expectations"), CASES, ids=[c[0] for c in CASES])
def test_perceptron_by_hand(phi, expectations):
    program = perceptron(phi, L=3)
    nngp, theta = by_hand(expectations, X, X2, 3)
    closed = phi != "tanh"
    tolerance = 1e-12 if closed else 1e-10
    for kind, expected in (("nngp", nngp), ("ntk", theta)):
        found = program.limit(kind).evaluate(X, X2, tolerance=1e-11)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_own_kernel_is_symmetric_and_agrees_with_pairs():
    for kind in ("nngp", "ntk"):
        kernel = perceptron("relu", L=3).limit(kind)
        full = kernel.evaluate(X)
        np.testing.assert_array_equal(full, full.T)
        np.testing.assert_allclose(full, kernel.evaluate(X, X), rtol=1e-7)
        assert np.linalg.eigvalsh(full).min() > -1e-14


def test_degenerate_samples():
    kernel = perceptron("relu", L=2).limit("ntk")
    samples = np.stack([X[0], X[0], -X[0], 3 * X[0], 0 * X[0], 1e-150 * X[0], 1e100 * X[0]])
    found = kernel.evaluate(samples)
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found[0, 0], found[0, 1], rtol=1e-7)
    small = found[:5, :5]
    assert np.linalg.eigvalsh(small).min() > -1e-7 * small.max()


RNN = """
width n
size d = 3, T = 3
parametrization ntk
input x : [T, d]
target y : [1]
param U : [n, d]
param W : [n, n]
param b : [n]
param V : [1, n]
def f(x):
    s = erf(U @ x[1] + b)
    total = s
    for t in 2..T:
        s = erf(W @ s + U @ x[t] + b)
        total = total + s
    return V @ total
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
RESIDUAL = """
width n
size d = 3
parametrization ntk
input x : [d]
target y : [2]
param U : [n, d]
param W1, W2, A : [n, n]
param g : [n]
param V : [2, n]
def f(x):
    h = U @ x
    h = h + 1/2 * (W1 @ relu(h))
    z = g * tanh(h)
    return V @ (z + relu(W2 @ z)) + V @ erf(A @ h)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
CONVOLUTION = """
width n
parametrization ntk
input x : [2, 2, 2]
target y : [1]
param K1 : [3, 3, n, 2]
param K2 : [3, 3, n, n]
param V : [1, n]
def f(x):
    z = relu(conv2d(K1, x, padding = same))
    z = relu(conv2d(K2, avg_pool(z, window = 2), padding = same))
    return V @ mean(z, axis = (1, 2))
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
PROGRAMS = {"rnn": (RNN, (3, 3)), "residual": (RESIDUAL, (3,)), "conv": (CONVOLUTION, (2, 2, 2))}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_against_finite_networks(name, kind):
    text, shape = PROGRAMS[name]
    program = tpc.compile(text=text)
    x = np.random.default_rng(1).standard_normal((3, *shape)) / np.sqrt(np.prod(shape) / 3)
    exact = program.limit(kind).evaluate(x, tolerance=1e-8)
    width, seeds = (256, 200) if kind == "nngp" else (512, 12)
    if name == "conv":
        width, seeds = width // 4, seeds
    finite = empirical_kernel(program.module, {"x": x}, width=width, kind=kind, seeds=range(seeds))
    mean, error = finite.mean, finite.error
    while mean.ndim > 2:
        mean, error = mean[..., 0], error[..., 0]
    slack = 6 * error + 3 / width * np.abs(exact).max()
    assert np.all(np.abs(mean - exact) < slack), (mean, exact, error)


@pytest.mark.slow
def test_error_falls_with_the_width():
    program = perceptron("relu", L=3)
    exact = program.limit("ntk").evaluate(X)
    errors = []
    for width in (64, 256, 1024):
        finite = empirical_kernel(program.module, {"x": X}, width=width, kind="ntk", seeds=range(8))
        errors.append(np.abs(finite.samples[..., 0, 0] - exact).mean())
    slopes = np.diff(np.log(errors)) / np.log(4)
    assert np.all((slopes > -0.85) & (slopes < -0.25)), errors


def test_learning_rates_weigh_their_terms():
    text = """
width n
size d = 7
input x : [d]
target y : [1]
param U : [n, d] {U}
param V : [1, n] {V}
def f(x) = V @ relu(U @ x)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
    plain = {"U": "init normal(1) mult 1 lr 0.1", "V": "init normal(1) mult n^(-1/2) lr 0.1"}

    def kernel(**changes):
        return limit(text.format(**(plain | changes)), "ntk").evaluate(X)

    both = kernel()
    only_v = kernel(U="init normal(1) mult 1 frozen")
    twice_v = kernel(V="init normal(1) mult n^(-1/2) lr 0.2")
    np.testing.assert_allclose(twice_v - both, only_v, rtol=1e-12)


def test_outputs_that_are_not_independent_are_kept():
    text = """
width n
size d = 2, T = 3
parametrization ntk
input x : [T, d]
param U : [n, d]
param V : [4, n]
def f(x) = relu(U @ x) @ V.T
"""
    text = text.replace("relu(U @ x) @ V.T", 'einsum("k n, t n -> t k", V, relu(U @ x))')
    kernel = limit(text, "nngp")
    x = RNG.standard_normal((5, 3, 2))
    found = kernel.evaluate(x)
    assert found.shape == (5, 5, 3, 3)
    flat = x.reshape(15, 2)
    own = (flat**2).sum(1)
    expected = arc_cosine(flat @ flat.T, own, own)[0].reshape(5, 3, 5, 3).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    assert "4 outputs are independent copies" in kernel.text()


REFUSED = {
    "readout": ("param W : [n, n]", "V @ relu(W @ relu(U @ x) + V[1])", "grows like"),
    "nonlinear": ("param W : [n, n]", "sign(V @ relu(W @ relu(U @ x)))", "jumps"),
    "grows": ("param W : [n, n] abc(0, 0, 0)", "V @ relu(W @ relu(U @ x))", "grows like"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_supported_says_so(case):
    weight, body, words = REFUSED[case]
    text = f"""
width n
size d = 3
parametrization ntk
input x : [d]
param U : [n, d]
{weight}
param V : [1, n]
def f(x) = {body}
"""
    with pytest.raises(tpc.TpcError, match=words):
        limit(text, "ntk")


def test_wrong_samples():
    kernel = perceptron("relu").limit("nngp")
    for samples in (X[:, :3], X * np.nan, {"z": X}, {"x": X, "y": X}):
        with pytest.raises(tpc.TpcError):
            kernel.evaluate(samples)


def test_unknown_kind():
    with pytest.raises(tpc.TpcError, match="nngp or ntk"):
        perceptron("relu").limit("nothing")


def test_collinear_samples_of_a_kinked_series():
    kernel = perceptron("elu").limit("ntk")
    samples = np.stack([X[0], X[1], X[0], X[0] + 1e-3 * X[1], -X[0]])
    found = kernel.evaluate(samples)
    np.testing.assert_allclose(found[0, 2], found[0, 0], rtol=1e-9)
    assert np.linalg.eigvalsh(found).min() > -1e-9


@pytest.mark.parametrize("name", ["rnn", "residual"])
def test_generated_code_against_direct_evaluation(name):
    text, shape = PROGRAMS[name]
    kernel = limit(text, "ntk")
    x, y = np.random.default_rng(5).standard_normal((2, 4, *shape)) / 2
    rows, columns = np.divmod(np.arange(16), 4)
    (expected,) = interpret(kernel.kernels.entries, {"x": x[rows]}, {"x": y[columns]}, 1e-9)
    found = kernel.evaluate(x, y, tolerance=1e-10)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-8)


FROZEN = """
width n
size d = 7
input x : [d]
param U : [n, d] abc(0, 0, 0)
param c : [n] abc(0, 0, 0)
param W : [n, n] abc(0, 1, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x) = V @ tanh(W @ tanh(U @ x){bias})
"""


@pytest.mark.parametrize("bias", ["", " + c"])
def test_parts_that_are_the_same_for_all_samples(bias):
    """A hidden weight that begins too small: the layer above it sees its bias only."""
    found = limit(FROZEN.format(bias=bias), "ntk")
    assert "def evaluate" in found.source
    rows, columns = np.divmod(np.arange(36), 6)
    (theta,) = interpret(found.kernels.entries, {"x": X[rows]}, {"x": X[columns]}, 1e-10)
    k = X @ X.T
    q = np.diag(k)
    below = dual("tanh").expectation(q[:, None], k, q[None, :])
    own = float(bool(bias))
    expected = dual("tanh").derivative().expectation(own, own, own) * below
    expected += dual("tanh").expectation(own, own, own)
    np.testing.assert_allclose(theta.reshape(6, 6), expected, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_parts_that_are_the_same_for_all_samples_compiled(kind):
    found = limit(FROZEN.format(bias=" + c"), kind)
    rows, columns = np.divmod(np.arange(36), 6)
    (expected,) = interpret(found.kernels.entries, {"x": X[rows]}, {"x": X[columns]}, 1e-10)
    value = found.evaluate(X)
    np.testing.assert_allclose(value.ravel(), np.broadcast_to(expected, 36), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.evaluate(X, diagonal=True), np.diag(value), rtol=1e-9)


def test_collinear_samples_of_very_different_sizes_on_either_side():
    """Series of both sides have the same length: what a long one says is left out, is."""
    kernel = perceptron("tanh", L=1).limit("nngp")
    left, right = 5.0 * X[:1], np.linspace(0.3, 2.0, 8)[:, None] * X[0] / np.linalg.norm(X[0])
    both = kernel.evaluate(np.concatenate([left, right]))
    size = np.sqrt(both[0, 0] * np.diag(both)[1:])
    assert np.abs(kernel.evaluate(left, right)[0] - both[0, 1:]).max() < 1e-10 * size.min()
