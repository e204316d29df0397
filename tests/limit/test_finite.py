"""Networks of finite width approach their kernels: the error falls as the width grows.

Both the mean over networks, up to its standard error and O(1/n), and for tangent kernels the
distance of a single network, which is O(n^(-1/2)), are measured.
"""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.simulate.kernel import empirical_kernel

HEAD = """
width n
size d = 3, T = 3, vocab = 6
parametrization ntk
input {inputs}
param U : [n, d]
param V : [{outputs}, n]
"""
GRU = """
param Uz, Uc, Ur : [n, d]
param Wz, Wc, Wr : [n, n]
def cell(h, x):
    r = sigmoid(Wr @ h + Ur @ x)
    z = sigmoid(Wz @ h + Uz @ x)
    return z * h + (1 - z) * tanh(Wc @ (r * h) + Uc @ x)
def f(x):
    h = tanh(U @ x[1])
    for t in 2..T:
        h = cell(h, x[t])
    return V @ h
"""
LSTM = """
param Ui, Uf, Uo, Uc : [n, d]
param Wi, Wf, Wo, Wc : [n, n]
def f(x):
    c = tanh(Uc @ x[1])
    h = tanh(c)
    for t in 2..T:
        i = sigmoid(Wi @ h + Ui @ x[t])
        g = sigmoid(Wf @ h + Uf @ x[t])
        o = sigmoid(Wo @ h + Uo @ x[t])
        c = g * c + i * tanh(Wc @ h + Uc @ x[t])
        h = o * tanh(c)
    return V @ h
"""
TIED = """
param W : [n, n]
def f(x):
    h = tanh(U @ x)
    return V @ tanh(W.T @ tanh(W @ h))
"""
NORM = """
param W : [n, n]
def f(x) = V @ relu(batch_norm(einsum("n d, t d -> t n", U, x), axis = 1)[1])
"""
SCORES = """
param Q, R, A : [n, n]
def f(x):
    h = einsum("n d, t d -> t n", U, x)
    s = einsum("t n, u n -> t u", Q @ h, R @ h) * n^({power})
    return V @ {read}
"""
LAST = 'einsum("t u, u n -> t n", softmax(s, axis = 2), A @ h)[1]'
SEQUENCE, VECTOR = "x : [T, d]", "x : [d]"
CASES = {
    "gru": (SEQUENCE, GRU),
    "lstm": (SEQUENCE, LSTM),
    "batch norm": (SEQUENCE, NORM),
    "tied autoencoder": (VECTOR, TIED),
    "random scores": (SEQUENCE, SCORES.format(power="-1/2", read=LAST)),
    "attention": (SEQUENCE, SCORES.format(power="-1", read=f"relu({LAST})")),
}
KINDS = [
    *((name, "nngp") for name in CASES),
    *((name, "ntk") for name in ("gru", "tied autoencoder", "attention")),
]
WIDTHS = (32, 128, 512)


def text_of(name: str, outputs: int = 1) -> str:
    inputs, body = CASES[name]
    return HEAD.format(inputs=inputs, outputs=outputs) + body


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_the_error_falls_with_the_width(name: str, kind: str) -> None:
    inputs, _ = CASES[name]
    outputs = 64 if kind == "nngp" else 1  # copies, whose mean is closer to the kernel
    program = tpc.compile(text=text_of(name, outputs))
    shape = (3, 3, 3) if inputs == SEQUENCE else (3, 3)
    x = np.random.default_rng(8).standard_normal(shape) / 2
    exact = program.limit(kind).evaluate(x)
    scale = np.abs(exact).max()
    distances = []
    for width in WIDTHS:
        seeds = range(width, width + {32: 400, 128: 200, 512: 40}[width])
        finite = empirical_kernel(program.module, {"x": x}, width=width, kind=kind, seeds=seeds)
        samples = np.einsum("snmkk->snm", finite.samples) / outputs
        mean, error = samples.mean(axis=0), samples.std(axis=0) / np.sqrt(len(samples) - 1)
        assert np.all(np.abs(mean - exact) < 5 * error + 4 / width * scale)
        distances.append(np.sqrt(((samples - exact) ** 2).mean()) / scale)
    if kind == "ntk":
        falls = np.divide(distances[:-1], distances[1:])
        assert np.all(falls > 1.5)  # 2 at four times the width
