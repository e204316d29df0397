"""Regions of programs that are no perceptrons: the symbolic walk against numeric ones."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random

import pytest

import tpc
from tpc.scaling import Kind, Region, classify, region

HEAD = "width n\nsize d = 4, T = 3\nexponent {symbols}\ninput x : [{shape}]\ntarget y : [1]\n"
TAIL = "\ntrain:\n    loss = mse(f(x), y)\n    optimizer {optimizer}(lr = 1)\n"

#: name: (symbols, params and f, optimizer)
PROGRAMS = {
    "bias": (
        "a, b, c",
        "param U : [n, d] abc(a, -a, c)\nparam s : [n] abc(b, 0, c)\n"
        "param V : [1, n] abc(1, 0, -1)\ndef f(x) = V @ tanh(U @ x + s)",
        "sgd",
    ),
    "layer norm": (
        "a, b, c, v",
        "param U : [n, d] abc(a, 0, c)\nparam W : [n, n] abc(0, b, c)\n"
        "param V : [1, n] abc(v, 0, c)\ndef f(x) = V @ layer_norm(W @ layer_norm(U @ x))",
        "sgd",
    ),
    "residual": (
        "a, c, m",
        "param U : [n, d] abc(0, 0, 0)\nparam A, B : [n, n] abc(a, 1/2 - a, c)\n"
        "param V : [1, n] abc(1, 0, m)\n"
        "def f(x):\n    h = U @ x\n    return V @ layer_norm(h + B @ tanh(A @ h))",
        "sgd",
    ),
    "zero readout": (
        "a, b, c",
        "param U : [n, d] abc(a, -a, b)\nparam W : [n, n] abc(0, 1/2, 0)\n"
        "param V : [1, n] abc(0, 0, c) init zero\ndef f(x) = V @ tanh(W @ tanh(U @ x))",
        "sgd",
    ),
    "attention": (
        "a, c, s, u",
        "param U : [n, d] abc(0, 0, u)\nparam Q, K : [n, n] abc(a, 1/2 - a, c)\n"
        "param V : [1, n] abc(1, 0, -1)\ndef f(x):\n    h = U @ x\n"
        '    w = einsum("t n, u n -> t u", Q @ h, K @ h) * n^(-s)\n'
        '    z = h + einsum("t u, u n -> t n", softmax(w, axis = 2), h)\n'
        "    return V @ tanh(mean(z, axis = 1))",
        "sgd",
    ),
    "adam": (
        "a, b, c, v",
        "param U : [n, d] abc(0, 0, a)\nparam W : [n, n] abc(0, 1/2, b)\n"
        "param V : [1, n] abc(0, v, c)\ndef f(x) = V @ tanh(W @ tanh(U @ x))",
        "adam",
    ),
}


def source(name: str) -> str:
    symbols, body, optimizer = PROGRAMS[name]
    shape = "T, d" if name == "attention" else "d"
    return HEAD.format(symbols=symbols, shape=shape) + body + TAIL.format(optimizer=optimizer)


def near(found: Region, random: Random) -> dict[str, Fraction]:
    """Return a point on or near a random face of the region, or anywhere."""
    spots = [*found.vertices, dict.fromkeys(found.symbols, Fraction(0))]
    point = dict(random.choice(spots))
    for _ in range(random.randint(0, 2)):
        moved = random.choice(found.symbols)
        point[moved] += Fraction(random.choice([-2, -1, 1, 2, 3]), random.choice([2, 4]))
    return point


LARGE = {"attention", "residual"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in PROGRAMS],
)
def test_symbolic_and_numeric_walks_agree(name: str) -> None:
    module = tpc.compile(text=source(name)).module
    found = region(module)
    random, seen = Random(0), Counter[Kind]()
    for _ in range(150):
        point = near(found, random)
        numeric = classify(module, point)
        stable = numeric.kind not in (Kind.UNSTABLE, Kind.DEGENERATE)
        assert found.contains(point) == stable, (point, numeric.verdict)
        assert found.kind(point) == (numeric.kind if stable else None), point
        if stable:
            (first, *_) = [c for c in found.cells if c.polyhedron.contains(point)]
            assert first.r.evaluate(point) == numeric.r
            assert first.output.evaluate(point) == numeric.output.change
        seen[numeric.kind] += 1
    assert len(seen) >= 3, seen


def test_a_union_of_polyhedra() -> None:
    """With a bias the preactivation is of order one where either term is."""
    module = tpc.compile(text=source("bias").replace("abc(a, -a, c)", "abc(a, 0, c)")).module
    found = region(module)
    assert len(found.cells) >= 2
    assert found.contains({"a": 0, "b": 1, "c": 0})
    assert found.contains({"a": 1, "b": 0, "c": 0})
    assert not found.contains({"a": 1, "b": 1, "c": 0})


def test_a_program_that_is_never_stable() -> None:
    text = source("zero readout").replace("W : [n, n] abc(0, 1/2, 0)", "W : [n, n] abc(0, 0, 0)")
    found = region(tpc.compile(text=text).module)
    assert found.is_empty
    assert "no choice" in found.text()
