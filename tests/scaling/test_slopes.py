"""The calculus against finite networks: exponents are the slopes of measured sizes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import tpc

WIDTHS = (64, 181, 512)
SEEDS = range(48)
HALF = Fraction(1, 2)
HEAD = """width n
size d = 4
input x : [d]
target y : [1]
"""
TAIL = """train:
    loss = mse(f(x), y)
    optimizer {optimizer}
"""

PROGRAMS = {
    "mup": """param U : [n, d] abc(-1/2, 1/2, 0)
param W : [n, n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = W @ tanh(U @ x)
    z = tanh(h)
    return V @ z
""",
    "ntk": """param U : [n, d] abc(0, 0, 0)
param W : [n, n] abc(1/2, 0, 0)
param V : [1, n] abc(1/2, 0, 0)
def f(x):
    h = W @ relu(U @ x)
    z = relu(h)
    return V @ z
""",
    "standard, c = 1": """param U : [n, d] abc(0, 0, 1)
param W : [n, n] abc(0, 1/2, 1)
param V : [1, n] abc(0, 1/2, 1)
def f(x):
    g = U @ x
    h = W @ tanh(g)
    z = tanh(h)
    return V @ z
""",
    "layer norm": """param U : [n, d] abc(0, 0, 0)
param W : [n, n] abc(0, 0, -1)
param V : [1, n] abc(1, 0, -1)
def f(x):
    h = W @ tanh(U @ x)
    z = layer_norm(h)
    return V @ z
""",
    "residual branch from zero": """param U : [n, d] abc(0, 0, -1)
param A : [n, n] abc(0, 1/2, 0)
param B : [n, n] abc(0, 1/2, 0) init zero
param V : [1, n] abc(1, 0, -1)
def f(x):
    h = U @ x
    g = A @ tanh(h)
    z = h + B @ tanh(g)
    return V @ z
""",
    "even activation and bias": """param U : [n, d] abc(0, 0, 0)
param b : [n] abc(0, 0, 0)
param W : [n, n] abc(1/2, 0, 0)
param V : [1, n] abc(1/2, 0, 0)
act phi(z) = z^2
def f(x):
    g = U @ x + b
    h = W @ phi(g)
    z = tanh(h)
    return V @ z
""",
    "recurrent": """param U : [n, d] abc(0, 0, 0)
param W : [n, n] abc(1/2, 0, 0)
param V : [1, n] abc(1/2, 0, 0)
def f(x):
    s = tanh(U @ x)
    h = W @ s + U @ x
    z = tanh(W @ tanh(h) + U @ x)
    return V @ z
""",
    "bottleneck": """param U : [n, d] abc(0, 0, -1)
param D : [3, n] abc(1/2, 1/2, 0)
param E : [n, 3] abc(0, 0, -1)
param b : [n] abc(0, 0, -1)
param V : [1, n] abc(1, 0, -1)
def f(x):
    h = U @ x
    s = D @ tanh(h)
    z = tanh(E @ s + b)
    return V @ z
""",
    "gate": """param U : [n, d] abc(0, 0, 0)
param G : [n, d] abc(0, 0, 0)
param W : [n, n] abc(1/2, 0, 0)
param V : [1, n] abc(1/2, 0, 0)
def f(x):
    g = sigmoid(G @ x) * (U @ x)
    h = W @ g
    z = tanh(h)
    return V @ z
""",
}
OPTIMIZED = [(name, "sgd(lr = 0.3)") for name in PROGRAMS] + [("mup", "momentum(lr = 0.1)")]

ADAM = {
    "adam, mup": """param U : [n, d] abc(0, 0, 0)
param W : [n, n] abc(0, 1/2, 1)
param V : [1, n] abc(0, 1, 1)
def f(x):
    h = W @ tanh(U @ x)
    z = tanh(h)
    return V @ z
""",
    "adam, lazy": """param U : [n, d] abc(0, 0, 1/2)
param W : [n, n] abc(0, 1/2, 3/2)
param V : [1, n] abc(0, 1/2, 1)
def f(x):
    h = W @ tanh(U @ x)
    z = tanh(h)
    return V @ z
""",
}


def measured(
    program: tpc.Program, names: list[str], steps: int, seeds: range
) -> dict[str, tuple[float, float]]:
    """Return the slopes of log size over log width: at initialisation, and of the change."""
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((3, 4)), "y": rng.standard_normal((3, 1))}
    table: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for width in WIDTHS:
        run = program.simulate(data, width=width, steps=steps, seeds=seeds, record=names)
        for name in names:
            initial = run.initial[name]
            change = run.final[name] - initial
            table[name].append((_rms(initial), _rms(change)))
    return {name: (_slope(rows, 0), _slope(rows, 1)) for name, rows in table.items()}


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def _slope(rows: list[tuple[float, float]], part: int) -> float:
    sizes = [row[part] for row in rows]
    if not any(sizes):
        return -math.inf
    return float(np.polyfit(np.log(WIDTHS), np.log(sizes), 1)[0])


def compare(text: str, optimizer: str, seeds: range = SEEDS) -> None:
    program = tpc.compile(text=HEAD + text + TAIL.format(optimizer=optimizer))
    found = program.classify()
    names = [*found.values, "f"]
    for name, (init, change) in measured(program, names, 5, seeds).items():
        size = found.values.get(name, found.output)
        assert -init == pytest.approx(float(size.init), abs=0.15), (name, "init")
        assert -change == pytest.approx(float(size.change), abs=0.2), (name, "change")


FAST = {("mup", "sgd(lr = 0.3)"), ("layer norm", "sgd(lr = 0.3)"), ("bottleneck", "sgd(lr = 0.3)")}


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [pytest.param(*c, marks=[] if c in FAST else pytest.mark.slow) for c in OPTIMIZED],
)
def test_gradient_descent(name: str, optimizer: str) -> None:
    compare(PROGRAMS[name], optimizer)


HIDDEN = """param U : [n, d] abc(0, 0, {u})
param W : [n, n] abc(0, 1/2, {w})
param V : [1, n] abc(0, 1, {v})
def f(x):
    h = W @ tanh(U @ x)
    z = tanh(h)
    return V @ z
"""
OTHERS = {
    "sign(lr = 0.02)": (0, 1, 1),
    "lion(lr = 0.02)": (HALF, 3 * HALF, 1),
    "adafactor(lr = 0.05)": (0, HALF, 0),
    "adafactor(lr = 0.04)": (HALF, HALF, HALF),
    "adam(lr = 0.05)\n    optimizer muon(lr = 0.12) for W": (HALF, HALF, 1),
    "sgd(lr = 0.1, clip = 0.1)": (-1, 0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OTHERS)
def test_other_optimizers(optimizer: str) -> None:
    u, w, v = OTHERS[optimizer]
    seeds = range(10) if "muon" in optimizer else SEEDS  # singular values take their time
    compare(HIDDEN.format(u=u, w=w, v=v), optimizer, seeds)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAM)
def test_adam(name: str) -> None:
    compare(ADAM[name], "adam(lr = 0.05)")
