"""Small programs of every architecture, which the tests hold against networks of finite width.

Weights that several of them use are declared in ``HEAD``; what a program does not use does not
move. Inputs: ``x`` is a vector, a sequence, an image or tokens.
"""

from __future__ import annotations

import re

HEAD = """
width n
size d = 3, T = 3, vocab = 6, s = 5, c = 2
parametrization {parametrization}
input {inputs}
param U : [n, {channels}]
param V : [{outputs}, n]
param W, A, B, Q, R : [n, n]
param P : [T, n]
param E : [vocab, n]
param b, b2, g : [n]
param K : [3, n, c]
param K1 : [3, n, n]
param J : [2, 2, n, c]
param J1 : [3, 3, n, n]
"""
VECTOR, SEQUENCE, SIGNAL, IMAGE, TOKENS = (
    "x : [d]",
    "x : [T, d]",
    "x : [s, c]",
    "x : [s, s, c]",
    "x : [T] in vocab",
)
GATES = """
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
RNN = """
def f(x):
    h = tanh(U @ x[1] + b)
    m = h
    for t in 2..T:
        h = tanh(W @ h + U @ x[t] + b)
        m = m + h
    return V @ {read}
"""
SCORES = """
def f(x):
    h = {first}
    s = einsum("t n, u n -> t u", Q @ h, R @ h) * n^({power})
    a = einsum("t u, u n -> t n", softmax(s, axis = 2{mask}), A @ h)
    return V @ {read}
"""
SCORE = {"first": "U @ x", "power": "-1", "mask": "", "read": "mean(relu(h + a), axis = 1)"}
HEADS = """
param Q2 : [n, 2, n]
param R2 : [n, 2, n]
param A2 : [n, 2, n]
def f(x):
    h = U @ x
    q = einsum("n a m, t m -> t a n", Q2, h)
    r = einsum("n a m, t m -> t a n", R2, h)
    v = einsum("n a m, t m -> t a n", A2, h)
    s = einsum("t a n, u a n -> a t u", q, r) * n^-1
    z = einsum("a t u, u a n -> t n", softmax(s, axis = 3), v)
    return V @ relu(z)[1]
"""
UNSHARED = """
param L : [3, 3, 3, 3, n, c]
def f(x):
    h = einsum("h w i j c, h w i j o c -> h w o", patches(x, window = 3), L)
    return V @ mean(relu(h), axis = (1, 2))
"""
TRANSPOSED = """
def f(x):
    h = relu(conv2d_transpose(J, x, stride = 2))
    return V @ mean(relu(conv2d(J1, h, stride = 3)), axis = (1, 2))
"""
CNN = """
def f(x):
    h = relu(conv2d(J, x{first}))
    {middle}
    return {last}
"""
FLAT = "V @ h[1, 1] + V @ h[2, 2]"
POOLED = "V @ mean(h, axis = (1, 2))"


def cnn(first: str = "", middle: str = "h = h", last: str = POOLED) -> tuple[str, str]:
    return IMAGE, CNN.format(first=first, middle=middle, last=last)


def conv(options: str) -> tuple[str, str]:
    return SIGNAL, (
        f"def f(x):\n    h = erf(conv1d(K, x{options}))\n"
        f"    return V @ mean(relu(conv1d(K1, h, padding = same)), axis = 1)\n"
    )


ARCHITECTURES: dict[str, tuple[str, str]] = {
    "dense": (VECTOR, "def f(x) = V @ relu(W @ relu(U @ x + b) + b2)\n"),
    "tied blocks": (
        VECTOR,
        "def f(x):\n    h = U @ x\n    for l in 1..3:\n        h = h + W @ erf(h)\n"
        "    return V @ h\n",
    ),
    "rnn, last state": (SEQUENCE, RNN.format(read="h")),
    "rnn, average": (SEQUENCE, RNN.format(read="m")),
    "gru": (SEQUENCE, GATES),
    "lstm": (SEQUENCE, LSTM),
    "conv1d valid": conv(""),
    "conv1d same": conv(", padding = same"),
    "conv1d circular": conv(", padding = circular"),
    "conv1d stride": conv(", stride = 2"),
    "conv1d dilation": conv(", padding = same, dilation = 2"),
    "conv2d flatten": (
        IMAGE,
        "param F : [{outputs}, 9*n]\n"
        "def f(x) = F @ flatten(relu(conv2d(J1, relu(conv2d(J, x)), padding = valid, stride = 1)"
        "[1..2, 1..2]))\n".replace("9*n", "4*n"),
    ),
    "conv2d global pooling": cnn(middle="h = relu(conv2d(J1, h, padding = same))"),
    "average pooling": cnn(
        middle="h = relu(conv2d(J1, avg_pool(h, window = 3, stride = 2, padding = same)))",
        first=", padding = same",
    ),
    "sum pooling": cnn(
        middle="h = relu(conv2d(J1, sum_pool(h, window = 3, stride = 2, padding = same) / 9))",
        first=", padding = same",
    ),
    "unshared": (IMAGE, UNSHARED),
    "transposed convolution": (IMAGE, TRANSPOSED),
    "residual": (VECTOR, "def f(x):\n    h = U @ x\n    return V @ (h + B @ relu(A @ relu(h)))\n"),
    "concat": (
        VECTOR,
        "param C : [n, 2*n]\n"
        "def f(x):\n    h = U @ x\n"
        "    return V @ relu(C @ concat(relu(h), erf(W @ h), axis = 1))\n",
    ),
    "product": (VECTOR, "def f(x):\n    h = U @ x\n    return V @ ((A @ h) * tanh(B @ h))\n"),
    "gating": (VECTOR, "def f(x):\n    h = U @ x\n    return V @ relu((A @ h) * sigmoid(B @ h))\n"),
    "layer norm": (VECTOR, "def f(x) = V @ relu(g * layer_norm(W @ relu(U @ x)) + b)\n"),
    "rms norm": (VECTOR, "def f(x) = V @ relu(rms_norm(W @ tanh(U @ x + b)))\n"),
    "batch norm": (
        SEQUENCE,
        'def f(x) = V @ relu(batch_norm(einsum("n d, t d -> t n", U, x), axis = 1)[1])\n',
    ),
    "attention": (SEQUENCE, SCORES.format(**SCORE)),
    "positional embedding": (SEQUENCE, SCORES.format(**{**SCORE, "first": "U @ x + P"})),
    "causal attention": (SEQUENCE, SCORES.format(**{**SCORE, "mask": ", mask = causal"})),
    "random scores": (SEQUENCE, SCORES.format(**{**SCORE, "power": "-1/2", "read": "a[1]"})),
    "heads": (SEQUENCE, HEADS),
    "tokens": (TOKENS, SCORES.format(**{**SCORE, "first": "E[x] + P"})),
    "dropout": (
        VECTOR,
        "def f(x) = V @ dropout(relu(W @ dropout(relu(U @ x), rate = 1/4)), rate = 1/4)\n",
    ),
    "dropout inside": (VECTOR, "def f(x) = V @ tanh(dropout(W @ relu(U @ x), rate = 1/4))\n"),
    "twice": (VECTOR, "def f(x) = V @ erf(relu(W @ tanh(U @ x) + b))\n"),
    "branches": (
        VECTOR,
        "def f(x):\n    h = U @ x\n    return V @ relu(relu(h) + A @ relu(B @ h))\n",
    ),
    "tied autoencoder": (
        VECTOR,
        "def f(x):\n    h = tanh(U @ x)\n    return V @ tanh(W.T @ tanh(W @ h))\n",
    ),
}


def text_of(name: str, outputs: int = 1, parametrization: str = "ntk") -> str:
    """Return an architecture as a program of so many outputs."""
    inputs, body = ARCHITECTURES[name]
    channels = "c" if inputs in (SIGNAL, IMAGE) else "d"
    head = HEAD.format(
        parametrization=parametrization, inputs=inputs, channels=channels, outputs=outputs
    )
    lines = head.splitlines()
    used = [each for each in lines if not each.startswith("param ") or _is_used(each, body)]
    return "\n".join(used) + "\n" + body.replace("{outputs}", str(outputs))


def _is_used(line: str, body: str) -> bool:
    names = line.removeprefix("param ").split(":")[0].split(",")
    return any(re.search(rf"\b{name.strip()}\b", body) for name in names)
