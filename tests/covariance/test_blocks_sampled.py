"""Kernels by sampled neurons: batch norm over the data, and what the exact engines know too."""

from __future__ import annotations

import numpy as np
import pytest
from covariance.test_arrays import by_entries
from covariance.test_both_engines import REFUSED as REFUSED_BY_BOTH
from covariance.test_both_engines import program as few_positions
from scipy.integrate import quad_vec

import tpc
from tpc.covariance.sampling import sampled_kernel
from tpc.limit.kernels import derive
from tpc.limit.limit import Limit
from tpc.limit.moment import LimitRefusal
from tpc.limit.prediction import predict_data
from tpc.limit.sampled import SampledLimit
from tpc.ops.base import MissingRule
from tpc.simulate.kernel import _coupled, _jacobian, _values, empirical_kernel
from tpc.simulate.training import Network

BATCH = """
width n
size d = 4
parametrization ntk
input x : [d]
target y : [1]
param U : [n, d]
param W : [n, n]
param gain : [n] init one
param bias : [n] init zero
param V : [1, n]
def f(x):
    {body}
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 1)
"""
ONE = "return V @ {phi}(batch_norm(U @ x{eps}))"
DEEP = """h = relu(batch_norm(U @ x))
    return V @ tanh(gain * batch_norm(W @ h) + bias + h)"""


def compiled(body: str, **sizes: int) -> tpc.Program:
    return tpc.compile(text=BATCH.format(body=body)).with_(**sizes)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def within(found: np.ndarray, error: np.ndarray, exact: np.ndarray, times: float = 5.0) -> bool:
    return bool((np.abs(found - exact) <= times * error + 1e-9 * np.abs(exact).max()).all())


# -- batch norm and one layer: integrals over one variable ----------------------------------------


def spread(x: np.ndarray) -> np.ndarray:
    """Return the covariance of values of U x less their mean over the batch."""
    centre = np.eye(len(x)) - 1 / len(x)
    return centre @ x @ x.T @ centre


def integral(function, c: np.ndarray):
    """Integrate over t > 0 a function of t and of G = C (1 + 2 t C)^-1, times det^(-1/2).

    ``E[F(z) / q^k] = int t^(k-1) / (k-1)! E[F(z) exp(-t q)] dt`` for q = z.z, and under
    ``exp(-t q)`` z is Gaussian with the covariance G.
    """
    values, vectors = np.linalg.eigh(c)
    values = np.maximum(values, 0.0)

    def at(s: float):
        t = s / (1 - s)
        g = (vectors * (values / (1 + 2 * t * values))) @ vectors.T
        return function(t, g) * np.prod(1 + 2 * t * values) ** -0.5 / (1 - s) ** 2

    return quad_vec(at, 0.0, 1.0 - 1e-12, epsrel=1e-9)[0]


def relu_moments(t: float, g: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.diag(g))
    cosine = np.clip(g / np.maximum(np.outer(size, size), 1e-300), -1, 1)
    angle = np.arccos(cosine)
    return np.outer(size, size) * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)


@pytest.mark.parametrize("phi", ["", "relu"])
def test_nngp_of_one_batch_norm_is_an_integral_over_one_variable(phi):
    x = draw(6, 4)
    function = relu_moments if phi else lambda t, g: g
    exact = 6 * integral(function, spread(x))
    found, error = compiled(ONE.format(phi=phi, eps="")).limit("nngp").with_errors(x, sampling=3e-3)
    assert within(found, error, exact)
    assert error.max() < 3e-3 * found.max()


def test_ntk_of_one_batch_norm_is_an_integral_over_one_variable():
    x = draw(9, 7)
    n, c = len(x), spread(x)
    one = n * integral(lambda t, g: np.ones(1), c)
    two = n**2 * integral(lambda t, g: t * g, c)
    three = n**3 * integral(lambda t, g: t**2 / 2 * (2 * g @ c @ g + g * np.trace(g @ c)), c)
    exact = n * integral(lambda t, g: g, c)  # the readout's share
    exact = exact + one * c - (two @ c + c @ two) / n + three / n**2
    program = compiled(ONE.format(phi="", eps=""), d=7)
    found, error = program.limit("ntk").with_errors(x, sampling=4e-3)
    assert within(found, error, exact)


def test_kernels_of_a_batch_are_semidefinite_and_know_no_order():
    x = draw(7, 6)
    program = compiled(DEEP, d=6)
    both = program.kernels(x, sampling=1e-2)
    order = np.random.default_rng(1).permutation(7)
    for kind, found in both.items():
        assert np.linalg.eigvalsh(found).min() > -1e-12 * found.max()
        other, error = program.limit(kind).with_errors(x[order], sampling=1e-2)
        assert within(other, error, found[np.ix_(order, order)], 8)
    alone, error = program.limit("nngp").with_errors(x[:6], sampling=1e-2)
    assert not within(both["nngp"][:6, :6], error, alone)  # it is the batch's, not the pair's
    own = program.limit("nngp").evaluate(x, diagonal=True, sampling=1e-2)
    assert np.allclose(own, np.diag(program.limit("nngp").evaluate(x, sampling=1e-2)))


def test_batch_norm_takes_scales_and_offsets_off():
    x = draw(6, 4)
    limit = compiled(ONE.format(phi="relu", eps="")).limit("nngp")
    assert np.allclose(limit.evaluate(3 * x, sampling=1e-2), limit.evaluate(x, sampling=1e-2))


def test_the_recursion_is_written_as_functions_of_one_neuron():
    program = compiled(DEEP)
    text = program.limit("ntk").text()
    for line in (
        "f1 = relu(batch_norm(z_U))",
        "Sigma_W = E[f1 f1']",
        "Theta_W = E[df1 df1'] + E[f1 f1']",
        "f2 = tanh(gain * batch_norm(z_W) + bias + f1)",
        "Theta = E[df2 df2'] + E[f2 f2']",
        "the kernel is that of the batch",
    ):
        assert line in text
    assert r"\mathbb{E}[df_{1} df_{1}']" in program.limit("ntk").latex()
    assert program.limit("ntk").to_json()["weights"] == ["U", "W", "gain", "bias", "V"]
    small = program.with_(parametrization="mup").limit("nngp")
    assert small.vanishes
    assert "size n^(-1/2)" in small.text()
    assert not small.evaluate(draw(3, 4)).any()


REFUSED = {
    "two batches": ("E0981", "nngp", lambda limit: limit.evaluate(draw(6, 4), draw(2, 4))),
    "one sample": ("E0982", "nngp", lambda limit: limit.evaluate(draw(1, 4))),
    "equal samples": ("E0982", "nngp", lambda limit: limit.evaluate(np.ones((5, 4)))),
    "infinite": ("E0982", "ntk", lambda limit: limit.evaluate(draw(3, 4))),
    "unsettled": ("E0982", "ntk", lambda limit: limit.evaluate(draw(5, 4))),
    "too exact": ("E0962", "nngp", lambda limit: limit.evaluate(draw(6, 4), sampling=1e-9)),
    "shape": ("E0961", "nngp", lambda limit: limit.evaluate(draw(6, 3))),
    "module": ("E0979", "nngp", lambda limit: limit.module_text(1e-10)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_of_evaluations(case, monkeypatch):
    monkeypatch.setattr("tpc.covariance.sampling.MOST", 2**17)
    code, kind, act = REFUSED[case]
    limit = compiled(ONE.format(phi="relu", eps="")).limit(kind)
    with pytest.raises(tpc.TpcError) as refusal:
        act(limit)
    assert [d.code for d in refusal.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return relu(V @ batch_norm(U @ x))", "no sum of readouts"),
        ("return V @ batch_norm(U @ x * mean(V @ (U @ x)))", "used elsewhere"),
        ("h = batch_norm(U @ x)\n    return V @ relu(W @ h + W.T @ h)", "two ways"),
        ("return V @ batch_norm(U @ x) * n^(1/2)", "grows like"),
    ],
)
def test_programs_of_batches_without_a_kernel(body, said):
    with pytest.raises(tpc.TpcError, match=said.replace("(", r"\(")):
        compiled(body).limit("nngp")


def test_a_constant_below_the_root_makes_small_batches_finite():
    limit = compiled(ONE.format(phi="relu", eps=", eps = 1/2")).limit("ntk")
    found, error = limit.with_errors(draw(3, 4), sampling=1e-2)
    assert np.isfinite(found).all()
    assert error.max() <= 1e-2 * found.max()


def test_training_and_test_samples_are_one_batch():
    x, y = draw(9, 6), draw(9, 1, seed=1)
    limit = compiled(ONE.format(phi="relu", eps=""), d=6).limit("ntk")
    data = {"x": x[:6], "y": y[:6]}, {"x": x[6:]}
    found = predict_data(limit, *data, ridge=0.1, tolerance=1e-2, covariance=True)
    whole = limit.evaluate(x, sampling=1e-2)
    assert np.array_equal(found.kernel, whole[:6, :6])
    assert np.array_equal(found.kernel_test, whole[6:, :6])
    mean = whole[6:, :6] @ np.linalg.solve(whole[:6, :6] + 0.1 * np.eye(6), y[:6])
    assert np.allclose(found.mean, mean)


# -- what the exact engines know too --------------------------------------------------------------

KNOWN = {
    "perceptron": """
param U : [n, d]
param b : [n]
param W : [n, 2 * n]
param A : [2 * n, n]
param V : [k, n]
param c : [k] init zero
input x : [d]
def f(x):
    h = relu(U @ x + b)
    h = h + W @ relu(A @ layer_norm(h)) / 2
    return V @ h + c
""",
    "recurrent": """
size T = 3
param U : [n, d]
param W : [n, n]
param V : [k, n]
input x : [T, d]
def f(x):
    h = tanh(U @ x[1])
    for t in 2..T:
        h = tanh(U @ x[t] + W @ h)
    return V @ h
""",
    "convolution": """
size T = 5
param U : [3, n, d]
param W : [3, n, n]
param V : [k, 3 * n]
input x : [T, d]
def f(x):
    h = relu(conv1d(U, x, padding = same))
    h = relu(conv1d(W, h))
    return V @ flatten(h)
""",
}


@pytest.mark.parametrize("name", KNOWN)
def test_exact_kernels_are_met_within_the_error(name):
    program = tpc.compile(text="width n\nsize d = 3, k = 2\nparametrization ntk\n" + KNOWN[name])
    plan = sampled_kernel(program.module, ("nngp", "ntk"))
    (shape,) = plan.inputs.values()
    x = draw(4, *shape) / 2
    found, error = plan.evaluate({"x": x}, ("nngp", "ntk"), 2e-2)
    for kind, value, spread_ in zip(("nngp", "ntk"), found, error, strict=True):
        exact = by_entries(program, kind, {"x": x}, {"x": x})
        assert within(value, spread_, exact, 6)


@pytest.mark.parametrize("case", REFUSED_BY_BOTH)
def test_what_both_engines_refuse_is_not_sampled(case):
    program = few_positions(REFUSED_BY_BOTH[case][0], 2)
    kinds = ("nngp",) if case.endswith("nngp") else ("nngp", "ntk")
    with pytest.raises((LimitRefusal, MissingRule)):
        sampled_kernel(program.module, kinds)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_masks_inside_of_a_nonlinearity(kind):
    program = compiled("z = U @ x\n    return V @ relu(dropout(z, rate = 1/4) + z / 2)")
    x = draw(3, 4)
    found, error = program.limit(kind).with_errors(x, x, sampling=2e-2)
    own = program.limit(kind).evaluate(x, sampling=2e-2)
    plain = compiled("return V @ relu(U @ x)").limit(kind).evaluate(x)
    # (mask / q + 1/2) z is a positive multiple of z: its second moments factor out
    assert within(found, error, plain * 1.5**2)
    square = 0.75 * (1 / 0.75 + 0.5) ** 2 + 0.25 * 0.5**2
    assert np.allclose(np.diag(own), np.diag(plain) * square, rtol=0.05)


@pytest.mark.slow
def test_tangent_kernels_of_batch_norm_over_an_axis_meet_those_by_entries():
    text = """
width n
size d = 3
parametrization ntk
input x : [4, d]
param U : [n, d]
param V : [1, n]
def f(x) = V @ relu(batch_norm(U @ x, axis = 1, eps = 1/10)[1])
"""
    program, x = tpc.compile(text=text), draw(3, 4, 3)
    limit = program.limit("ntk")
    assert isinstance(limit, SampledLimit)
    found, error = limit.with_errors(x, sampling=2e-3)
    exact, spread_ = Limit(program.module, "ntk", derive(program.module, "ntk")).with_errors(x)
    assert within(found, np.hypot(error, spread_), exact)


def test_batch_norm_over_few_positions_says_how_few_they_are():
    text = BATCH.format(body="return V @ relu(batch_norm(U @ x, axis = 1)[1])")
    program = tpc.compile(text=text.replace("input x : [d]", "input x : [4, d]"))
    with pytest.raises(tpc.TpcError, match=r"batch norm of 4 positions.* 3 degrees of freedom"):
        program.limit("ntk").evaluate(draw(2, 4, 4))


def test_kernels_in_blocks_are_those_of_all_samples(monkeypatch):
    limit = compiled("return V @ tanh(dropout(U @ x, rate = 1/4))").limit("nngp")
    x = draw(5, 4)
    whole, error = limit.with_errors(x, sampling=1e-2)
    monkeypatch.setattr("tpc.covariance.sampling.BLOCK", 2)
    parts, other = limit.with_errors(x, sampling=1e-2)
    assert np.array_equal(parts, parts.T)
    assert within(parts, np.hypot(error, other), whole)


# -- finite networks ------------------------------------------------------------------------------


def test_gradients_of_a_batch_are_those_of_single_samples_where_these_are_apart():
    program = compiled("return V @ tanh(W @ relu(U @ x))")
    network = Network(program.module, 6, 0)
    output, data = network.module.output.node, {"x": draw(3, 4)}
    for name in ("U", "W", "V"):
        apart = _values(network, _jacobian(network, output, name), data, 3)
        assert np.allclose(_coupled(network, output, name, data, 3), apart)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_finite_networks_tend_to_the_kernels_of_the_batch(kind):
    x = draw(8, 5)
    program = compiled(DEEP, d=5)
    found, error = program.limit(kind).with_errors(x, sampling=2e-3)
    seeds = range(300 if kind == "nngp" else 24)
    finite = empirical_kernel(program.module, {"x": x}, width=512, kind=kind, seeds=seeds)
    off = (finite.mean[:, :, 0, 0] - found) / np.hypot(finite.error[:, :, 0, 0], error)
    assert np.sqrt((off**2).mean()) < 1.6
    assert np.abs(off).max() < 5.5


def test_two_batches_have_no_empirical_kernel_either():
    program = compiled(ONE.format(phi="relu", eps=""))
    with pytest.raises(tpc.TpcError, match="depend on each other"):
        empirical_kernel(program.module, {"x": draw(3, 4)}, {"x": draw(2, 4)}, width=4)
