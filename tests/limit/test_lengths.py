"""Kernels between sequences of different lengths, against masked programs and finite networks."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.data import load
from tpc.limit import lengths
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.kernel import _features
from tpc.simulate.training import Network

HEAD = """
width n
size d = 2, T = 4, v = 6
parametrization ntk
"""
RECURRENT = """
param U : [n, d]
param W : [n, n]
param V : [1, n]
def f({arguments}):
    s = {first}erf(U @ x[1])
    for t in 2..T:
        s = {step}
    return V @ s
"""
RNN = (
    HEAD
    + "input x : [T, d]"
    + RECURRENT.format(arguments="x", first="", step="erf(W @ s + U @ x[t])")
)
MASKED = (
    HEAD
    + "input x : [T, d]\ninput mask : [T]"
    + RECURRENT.format(
        arguments="x, mask",
        first="mask[1] * ",
        step="mask[t] * erf(W @ s + U @ x[t]) + (1 - mask[t]) * s",
    )
)
POSITIONS = (
    HEAD
    + """
input x : [T, d]
param U : [n, d]
param P : [T, n]
param W : [n, n]
param V : [1, T, n]
def f(x) = einsum("k t n, t n -> k", V, relu(W @ relu(U @ x + P)))
"""
)
ATTENTION = (
    HEAD
    + """
input ids : [T] in v
param E : [v, n]
param Q, K, A : [n, n]
param V : [1, n]
def f(ids):
    a = E[ids]
    s = einsum("t n, u n -> t u", Q @ a, K @ a) * n^-1
    m = relu(einsum("t u, u n -> t n", softmax(s, axis = 2), A @ a) + a)
    return V @ mean(m, axis = 1)
"""
)
GATED = (
    HEAD
    + """
input x : [T, d]
param U, G : [n, d]
param W, R : [n, n]
param V : [1, n]
def f(x):
    s = tanh(U @ x[1])
    for t in 2..T:
        s = tanh(W @ s + U @ x[t]) * sigmoid(R @ s + G @ x[t])
    return V @ s
"""
)
LENGTHS = (4, 2, 3, 1, 2)


def sequences(seed: int = 0, tokens: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    if tokens:
        return [rng.integers(1, 7, length) for length in LENGTHS]
    return [rng.standard_normal((length, 2)) for length in LENGTHS]


def padded(samples: list[np.ndarray]) -> dict[str, np.ndarray]:
    x, mask = np.zeros((len(samples), 4, 2)), np.zeros((len(samples), 4))
    for i, sample in enumerate(samples):
        x[i, : len(sample)], mask[i, : len(sample)] = sample, 1.0
    return {"x": x, "mask": mask}


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_lengths_are_what_a_mask_says(kind: str) -> None:
    """A program whose state stays where a mask is zero computes the same function."""
    xs = sequences()
    limit = tpc.compile(text=RNN).kernel_limit(kind)
    found = limit.evaluate(xs)
    masked = tpc.compile(text=MASKED).kernel_limit(kind)
    data = padded(xs)
    from tpc.limit.interpret import interpret

    rows, columns = np.divmod(np.arange(25), 5)
    one, two = ({k: a[i] for k, a in data.items()} for i in (rows, columns))
    (expected,) = interpret(masked.kernels.entries, one, two, 1e-10)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-13)
    np.testing.assert_array_equal(found, found.T)
    assert np.linalg.eigvalsh(found).min() > 0
    np.testing.assert_allclose(limit.evaluate(xs[1:3], xs), found[1:3], rtol=1e-13)
    np.testing.assert_allclose(limit.evaluate({"x": xs[:1]}, xs), found[:1], rtol=1e-13)


@pytest.mark.slow
def test_large_blocks_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled blocks and interpreted ones agree, and so do diagonals."""
    xs = sequences()[1:3]
    limit = tpc.compile(text=RNN).with_(T=3).kernel_limit("ntk")
    found = limit.evaluate(xs)
    np.testing.assert_allclose(limit.evaluate(xs, diagonal=True), np.diag(found), rtol=1e-13)
    monkeypatch.setattr(lengths, "COMPILED", 0)
    np.testing.assert_allclose(limit.evaluate(xs), found, rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "tokens", "count"), [(POSITIONS, False, 24), (ATTENTION, True, 60), (GATED, False, 60)]
)
def test_networks_of_two_lengths_share_weights(text: str, tokens: bool, count: int) -> None:
    """Tangent kernels of finite networks, whose weights are those of the longest sequence."""
    program, xs = tpc.compile(text=text), sequences(tokens=tokens)[:3]
    found = program.kernel_limit("ntk").evaluate(xs)
    samples = []
    for seed in range(count):
        rows = [_gradients(program, x, seed) for x in xs]
        samples.append([[_inner(a, b) for b in rows] for a in rows])
    middle, error = np.mean(samples, axis=0), np.std(samples, axis=0) / count**0.5
    assert (np.abs(found - middle) < 4 * error + 0.02 * np.abs(found).max()).all()
    assert (4 * error < 0.4 * np.abs(found).max()).all()


def _gradients(program: tpc.Program, x: np.ndarray, seed: int) -> list[tuple[float, np.ndarray]]:
    module = program.with_(T=len(x)).module
    (name,) = inputs_of(module, [module.output.node])
    side = checked(module, {name: x[None]}, [name], 192)
    network = Network(module, 192, seed)
    return [(weight, values[0][0, 0]) for weight, values in _features(network, [side], "ntk")]


def _inner(left: list[tuple[float, np.ndarray]], right: list[tuple[float, np.ndarray]]) -> float:
    """Return the inner product: a shorter program reads the first rows of a weight."""
    total = 0.0
    for (rate, a), (_, b) in zip(left, right, strict=True):
        common = min(a.size, b.size)
        total += rate * float(a[:common] @ b[:common])
    return total


@pytest.mark.slow
def test_sampled_kernels_have_errors_for_all_lengths() -> None:
    xs = [x[:2] for x in sequences()[:4]]
    program = tpc.compile(text=GATED).with_(T=2)
    found, error = program.kernel_limit("nngp").with_errors(xs)
    assert found.shape == error.shape == (4, 4)
    own = program.with_(T=1).kernel_limit("nngp").evaluate(np.stack(xs[3:]))
    np.testing.assert_allclose(found[3, 3], own[0, 0], rtol=1e-3)
    assert np.linalg.eigvalsh(found).min() > 0


def test_predictions_take_lengths() -> None:
    program = tpc.compile(
        text=RNN.replace("param U", "target y : [1]\nparam U", 1)
        + "train:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 0.1)\n"
    )
    xs = sequences()
    y = np.arange(5.0)[:, None]
    found = program.predict({"x": xs, "y": y}, {"x": xs[1:3]}, kind="nngp")
    np.testing.assert_allclose(found.mean, y[1:3], atol=1e-9)
    kernel = program.kernel_limit("nngp").evaluate(xs)
    np.testing.assert_allclose(found.kernel, kernel, rtol=1e-13)
    run = program.kernel_limit("ntk").train({"x": xs, "y": y}, 2, test={"x": xs[1:2]})
    assert run.f.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("text", "X", "said"),
    [
        (RNN, [np.ones((5, 2)), np.ones((2, 2))], "more than the program's T = 4"),
        (RNN, [np.ones((3, 3)), np.ones((2, 3))], "more than the program's d = 2"),
        (RNN.replace("[T, d]", "[4, d]").replace("..T", "..4"), None, "no size of the program"),
        (RNN, [np.ones((3, 2, 1)), np.ones((2, 2))], "has shape"),
        (
            RNN.replace("param V : [1, n]", "param V : [T, n]"),
            None,
            "axis whose size differs from sample to sample",
        ),
        (
            RNN.replace("param W : [n, n]", "param W : [n, n] init normal(1/T)"),
            None,
            "the scale of the weight W",
        ),
        (MASKED, {"x": sequences(), "mask": np.ones((5, 4))}, "mask"),
        (MASKED, {"x": sequences()}, "inputs are"),
        (RNN, [np.full((3, 2), np.nan), np.ones((2, 2))], "NaN"),
    ],
)
def test_lengths_that_do_not_fit_are_said(text: str, X: object, said: str) -> None:
    limit = tpc.compile(text=text).kernel_limit("nngp")
    with pytest.raises(tpc.TpcError, match=said):
        limit.evaluate(sequences() if X is None else X)  # type: ignore[arg-type]


def test_finite_networks_say_that_they_take_one_length() -> None:
    with pytest.raises(tpc.TpcError, match="different lengths"):
        tpc.compile(text=RNN).simulate({"x": sequences()}, width=8)


def test_files_hold_lengths(tmp_path) -> None:  # type: ignore[no-untyped-def]
    xs = sequences()
    data = padded(xs)
    path = tmp_path / "x.npz"
    np.savez(path, x=data["x"], x_length=LENGTHS, test_x=data["x"][:2], test_x_length=[4, 2])
    module = tpc.compile(text=RNN).module
    found = load(module, [str(path)])
    assert [len(x) for x in found.train["x"]] == list(LENGTHS)
    assert [len(x) for x in found.test["x"]] == [4, 2]
    masked = load(tpc.compile(text=MASKED).module, [str(path)])
    np.testing.assert_array_equal(masked.train["mask"], data["mask"])
    np.savez(path, x=data["x"], x_length=[4, 2, 3, 0, 2])
    with pytest.raises(tpc.TpcError, match="does not hold the lengths"):
        load(module, [str(path)])


def test_tokens_end_where_zeros_begin(tmp_path) -> None:  # type: ignore[no-untyped-def]
    module = tpc.compile(text=ATTENTION).module
    ids = np.array([[1, 2, 3, 4], [5, 6, 0, 0]])
    np.savez(tmp_path / "ids.npz", ids=ids)
    found = load(module, [str(tmp_path / "ids.npz")])
    assert [list(x) for x in found.train["ids"]] == [[1, 2, 3, 4], [5, 6]]
    (tmp_path / "lines.tsv").write_text("a\tab\na\tabca\nb\tb\n")
    lines = load(module, [str(tmp_path / "lines.tsv")])
    assert [len(x) for x in lines.train["ids"]] == [2, 4, 1]
