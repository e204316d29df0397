"""Recursions over arrays of positions against those entry by entry."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.covariance import position_kernel
from tpc.limit.interpret import interpret
from tpc.limit.kernels import derive

SEQUENCE = """
width n
size k = 2
parametrization {parametrization}
input s : [{T}, 2]
target y : [k]
param K1 : [3, n, 2] init fan_in(2)
param K2 : [2, n, n] init fan_in(2){rate}
param K3 : [3, n, n] init fan_in(2)
param L : [{T}, 3, n, n] init fan_in(2)
param b : [n] init normal(1/2)
param V : [k, {readout}]
def f(s):
    z = {phi}(conv1d(K1, s, {first}) + b)
    z = {phi}(conv1d(K2, z, {second}))
    {more}
    return V @ {read}
train:
    loss = mse(f(s), y)
    optimizer sgd(lr = 0.1)
"""
SAME = "padding = same"
RESIDUAL = "relu(conv1d(K3, z, padding = same))"
LOCAL = 'relu(einsum("t j c, t j o c -> t o", patches(z, window = 3, padding = same), L))'


def sequence(**changes: object) -> str:
    parts = {"parametrization": "ntk", "T": 3, "readout": "n", "phi": "relu", "rate": ""}
    parts |= {"first": SAME, "second": SAME, "more": "z = z", "read": "mean(z, axis = 1)"}
    return SEQUENCE.format(**(parts | changes))


PROGRAMS = {
    "same": sequence(),
    "mup": sequence(parametrization="mup"),
    "rate": sequence(rate=" lr 0.3"),
    "flatten": sequence(read="flatten(z)", readout="3*n"),
    "stride": sequence(T=4, first="padding = same, stride = 2"),
    "circular": sequence(first="padding = circular", second="padding = circular"),
    "circular stride": sequence(T=4, first="padding = circular, stride = 2"),
    "dilation": sequence(T=4, first="padding = same, dilation = 2", second="padding = valid"),
    "residual": sequence(more=f"z = z + {RESIDUAL}"),
    "sum pool": sequence(more="z = sum_pool(z, window = 2, padding = same)"),
    "average pool": sequence(more="z = avg_pool(z, window = 2, padding = same)"),
    "overlapping": sequence(more="z = avg_pool(z, window = 2, stride = 1)"),
    "pool, flatten": sequence(
        T=4, more="z = avg_pool(z, window = 2)", read="flatten(z)", readout="2*n"
    ),
    "pool, convolve": sequence(
        T=4, more="z = relu(conv1d(K3, avg_pool(z, window = 2), padding = same))"
    ),
    "position": sequence(read="z[2]"),
    "last two": sequence(read="mean(z[2..3], axis = 1)"),
    "erf": sequence(phi="erf"),
    "tanh": sequence(phi="tanh"),
    "layer norm": sequence(more="z = relu(layer_norm(conv1d(K3, z, padding = same)))"),
    "norm of relu": sequence(more="z = layer_norm(z)"),
    "rms norm": sequence(more="z = relu(rms_norm(conv1d(K3, z, padding = same)))"),
    "concat": sequence(more=f"z = concat(z, {RESIDUAL}, axis = 2)", readout="2*n"),
    "local": sequence(more=f"z = {LOCAL}"),
    "local, flatten": sequence(more=f"z = {LOCAL}", read="flatten(z)", readout="3*n"),
}

IMAGE = """
width n
size k = 3
parametrization ntk
input img : [{h}, {w}, 2]
target y : [k]
param K1 : [2, 2, n, 2] init fan_in(2)
param K2 : [2, 2, n, n] init fan_in(2)
param V : [k, {readout}]
def f(img):
    z = {phi}(conv2d(K1, img, {first}))
    z = {phi}({second})
    return V @ {read}
train:
    loss = mse(f(img), y)
    optimizer sgd(lr = 0.1)
"""
MEAN = {"read": "mean(z, axis = (1, 2))", "readout": "n"}


def image(**changes: object) -> str:
    parts = {"h": 2, "w": 3, "phi": "relu", "first": SAME, **MEAN}
    parts |= {"second": "conv2d(K2, z, padding = same)"}
    return IMAGE.format(**(parts | changes))


PROGRAMS |= {
    "image": image(),
    "image, erf": image(phi="erf"),
    "image, flatten": image(read="flatten(z)", readout="6*n"),
    "image, circular": image(first="padding = circular"),
    "image, stride": image(h=3, first="padding = same, stride = (2, 1)"),
    "transposed": image(w=1, second="conv2d_transpose(K2, z, stride = 2)"),
    "transposed, overlapping": image(w=2, second="conv2d_transpose(K2, z, stride = 1)"),
    "transposed, flatten": image(
        w=1, second="conv2d_transpose(K2, z, stride = 2)", read="flatten(z)", readout="8*n"
    ),
}

ATTENTION = """
width n
size k = 2, T = 3
parametrization ntk
input x : [T, 2]
input m : [T]
target y : [k]
param U : [n, 2]
param Q[1..2], K[1..2], R[1..2], A[1..2] : [n, n]
param P : [T, n]
param V : [k, n]
def f(x, m):
    z = {embed}
    h = 0
    for i in 1..{heads}:
        s = einsum("t c, u c -> t u", Q[i] @ z, {keys}[i] @ z) * n^-1
        h = h + A[i] @ einsum("t u, u c -> t c", softmax(s, axis = 2{mask}), R[i] @ z)
    return V @ mean(relu(z + h), axis = 1)
train:
    loss = mse(f(x, m), y)
    optimizer sgd(lr = 0.1)
"""


def attention(embed: str = "U @ x", heads: int = 1, keys: str = "Q", mask: str = "") -> str:
    return ATTENTION.format(embed=embed, heads=heads, keys=keys, mask=mask)


PROGRAMS |= {
    "attention": attention(mask=", mask = m"),
    "uniform attention": attention(keys="K", mask=", mask = m"),
    "causal attention": attention(mask=", mask = causal"),
    "positions, two heads": attention(embed="U @ x + P", heads=2, mask=", mask = m"),
}
TOKENS = """
width n
size k = 2, T = 4, vocab = 5
parametrization ntk
input ids : [T] in vocab
target y : [k]
param U : [vocab, n]
param K1 : [3, n, n] init fan_in(2)
param V : [k, n]
def f(ids):
    return V @ mean(relu(conv1d(K1, U[ids], padding = same)), axis = 1)
train:
    loss = mse(f(ids), y)
    optimizer sgd(lr = 0.1)
"""
RECURRENT = """
width n
size k = 2, T = 3
parametrization ntk
input x : [T, 2]
target y : [k]
param U : [n, 2]
param W : [n, n]
param b : [n]
param V : [k, n]
def f(x):
    h = U @ x[1]
    for t in 2..T:
        h = W @ relu(h) + U @ x[t] + b
    return V @ relu(h)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
PER_POSITION = """
width n
size k = 2, T = 3
parametrization ntk
input x : [T, 2]
target y : [T, k]
param U : [n, 2]
param K1 : [3, n, n]
param V : [k, n]
def f(x):
    return V @ relu(conv1d(K1, relu(U @ x), padding = same))
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
PROGRAMS |= {"tokens": TOKENS, "recurrent": RECURRENT, "per position": PER_POSITION}


def draw(program: tpc.Program, count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for name, spec in program.module.inputs.items():
        shape = (count, *(int(dim.count) for dim in spec.type.dims))
        if spec.type.below is None:
            found[name] = rng.standard_normal(shape)
        else:
            found[name] = rng.integers(1, spec.type.below + 1, shape).astype(float)
    return found


def by_entries(program: tpc.Program, kind: str, left: dict, right: dict) -> np.ndarray:
    kernels = derive(program.module, kind)
    n, m = (len(next(iter(side.values()))) for side in (left, right))
    rows, columns = np.divmod(np.arange(n * m), m)
    one = {name: values[rows] for name, values in left.items()}
    two = {name: values[columns] for name, values in right.items()}
    values = interpret(kernels.entries, one, two, 1e-12)
    table = np.stack([np.broadcast_to(v, (n * m,)) for v in values], axis=-1)
    return table.reshape(n, m, *kernels.kept, *kernels.kept)


SLOW = ("image, erf", "transposed, overlapping", "residual", "image, circular", "image, stride")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=name, marks=pytest.mark.slow if name in SLOW else ())
        for name, text in PROGRAMS.items()
    ],
)
def test_arrays_agree_with_entries(text):
    program = tpc.compile(text=text)
    kernel = position_kernel(program.module, ("nngp", "ntk"))
    left, right = draw(program, 2, 0), draw(program, 2, 1)
    left, right = ({k: v for k, v in d.items() if k in kernel.inputs} for d in (left, right))
    own = kernel.evaluate(left, tolerance=1e-12)
    cross = kernel.evaluate(left, right, tolerance=1e-12)
    for k, kind in enumerate(("nngp", "ntk")):
        for found, other in ((own[k], left), (cross[k], right)):
            expected = by_entries(program, kind, left, other)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * expected.max())
