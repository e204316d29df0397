"""Rates that fall, and decay of the rows that a step touches."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.simulate.initialise import initial_weights

PROGRAM = """
width n
size words = 7
input  a : [2] in words
input  b : [1] in words
target y : [1]
param U : [words, n]
param V : [words, n]  init normal(1/2)
parametrization mup
def f(a, b) = V[b] @ mean(U[a], axis = 1)
train:
    loss = mse(f(a, b), y)
    optimizer sgd({options})
"""


def compiled(options: str) -> tpc.Program:
    return tpc.compile(text=PROGRAM.format(options=options))


def samples(steps: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    a, b = random.integers(1, 8, (steps, 2)), random.integers(1, 8, (steps, 1))
    return {"a": a, "b": b, "y": random.standard_normal((steps, 1))}


def by_hand(program: tpc.Program, data: dict[str, np.ndarray], width: int, decay: float) -> dict:
    weights = initial_weights(program.module, width, 0)
    u, v, steps = weights["U"].copy(), weights["V"].copy(), len(data["y"])
    for t in range(steps):
        a, b = data["a"][t] - 1, data["b"][t] - 1
        rate = 0.3 * (1 - t / steps)
        h = u[a].mean(axis=0)
        g = 2 * (v[b] @ h - data["y"][t])
        du, dv = np.zeros_like(u), np.zeros_like(v)
        np.add.at(du, a, 0.5 * g * v[b])
        np.add.at(dv, b, g[:, None] * h)
        for w, dw, power in ((u, du, 1), (v, dv, -1)):
            touched = np.unique(np.nonzero(dw)[0])
            w[touched] -= rate * decay * w[touched]
            w -= rate * float(width) ** power * dw
    return {"U": u, "V": v}


def test_linear_schedule_and_decay_of_touched_rows() -> None:
    text = "lr = 0.3, schedule = linear, decay = 0.02, decay_on = touched"
    program, data, width = compiled(text), samples(9), 6
    batches = [np.array([t]) for t in range(9)]
    sim = program.simulate(data, width=width, steps=9, batches=batches, record=("U", "V"))
    for name, wanted in by_hand(program, data, width, 0.02).items():
        np.testing.assert_allclose(sim.final[name][0], wanted, atol=1e-13)


@pytest.mark.parametrize("option", ["schedule = linear", "decay_on = touched"])
def test_what_does_not_know_them_refuses(option: str) -> None:
    program = compiled(f"lr = 0.3, {option}")
    assert program.classify().kind == "feature"
    for ask in (lambda: program.emit("unrolled"), lambda: program.limit().train(samples(2), 1)):
        with pytest.raises(tpc.TpcError) as caught:
            ask()
        assert caught.value.diagnostics[0].code == "E0928"


@pytest.mark.parametrize("option", ["schedule = 3", "schedule = cosine", "decay_on = 1"])
def test_words_only(option: str) -> None:
    with pytest.raises(tpc.TpcError) as caught:
        compiled(f"lr = 0.3, {option}")
    assert "E0609" in {each.code for each in caught.value.diagnostics}
