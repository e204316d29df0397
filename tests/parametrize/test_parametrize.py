"""Named parametrizations fill in what programs leave out, by use; mup is solved for."""

from __future__ import annotations

from pathlib import Path

import pytest

import tpc
from tpc.parametrize import roles
from tpc.scaling import Kind

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tp"))
NAMES = ("standard", "ntk", "mean_field", "mup")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_takes_every_parametrization(path: Path) -> None:
    program = tpc.compile(path)
    if program.exponents:
        values = dict.fromkeys(program.exponents, 0)
        program = program.with_(**values)  # type: ignore[arg-type]
    for name in NAMES:
        assert program.with_(parametrization=name).classify().kind in list(Kind)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_mup_moves_every_weight_maximally(path: Path) -> None:
    program = tpc.compile(path)
    if program.exponents:
        program = program.solve()
    found = program.with_(parametrization="mup").classify()
    assert found.kind == "feature"
    assert {weight.status.value for weight in found.weights.values()} == {"maximal"}


@pytest.mark.parametrize(
    ("expression", "shape", "role"),
    [
        ("V @ (P * relu(U @ x))", "[n]", "gain"),
        ("V @ relu(U @ x + P)", "[n]", "bias"),
        ("V @ relu(P @ relu(U @ x))", "[n, n]", "hidden"),
        ("P @ relu(U @ x)", "[k, n]", "readout"),
        ("dot(V @ relu(U @ x), P @ relu(U @ x))", "[k, n]", "readout"),
        ("V @ relu(U @ x + P @ x)", "[n, d]", "input"),
        ("V @ relu(U @ x + P.T @ x)", "[d, n]", "input"),
        ("P * (V @ relu(U @ x))", "[]", "scalar"),
        ("n^-1 * (P @ relu(P.T @ (V @ relu(U @ x))))", "[k, n]", "tied"),
    ],
)
def test_roles_come_from_use(expression: str, shape: str, role: str) -> None:
    text = f"""
width n
size d = 10, k = 3
parametrization mup
input x : [d]
target y : [k]
param U : [n, d]
param V : [k, n]
param P : {shape}
def f(x) = {expression}
"""
    program = tpc.compile(text=text)
    assert roles(program.module)["P"] == role


def test_programs_that_cannot_be_solved_fall_back_to_roles() -> None:
    text = """
width n
size d = 10
parametrization mup
exponent c
input x : [d]
target y : [1]
param U : [n, d]
param V : [1, n] lr 0.1 * n^(-c)
def f(x) = V @ relu(U @ x)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 1)
"""
    program = tpc.compile(text=text)
    assert str(program.module.params["V"].c) == "c"
    assert program.module.params["U"].a == tpc.compile(text=text).module.params["U"].a
