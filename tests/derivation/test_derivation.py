"""Equations of feature learning: what they say, and that what they say is what is computed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.conftest import Golden
from tests.derivation.reading import Reading
from tests.feature.programs import data, module_of, perceptron
from tpc.derivation import derivation
from tpc.derivation.deriving import Recursion
from tpc.derivation.linear import coefficients
from tpc.diagnostics import TpcError
from tpc.feature import feature_limit
from tpc.ir.module import Module

D = 3
ROOT = Path(__file__).resolve().parents[2]


def one_step_loss(layers: int, act: str, **more: object) -> Module:
    return perceptron(layers, act, d=1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "layers", "act"),
    [("one_layer", 1, "tanh"), ("one_layer_linear", 1, "identity"), ("two_layers", 2, "tanh")],
)
def test_golden(name: str, layers: int, act: str, golden: Golden) -> None:
    found = derivation(one_step_loss(layers, act))
    golden(f"derivation/{name}.txt", found.text())
    golden(f"derivation/{name}.tex", found.latex())


def lines(module: Module, section: str) -> dict[str, str]:
    found = derivation(module).equations
    return {line.name: line.text for line in found if line.section == section}


def test_theorem_6_1() -> None:
    """TP4: V -= eta chi phi(h), U -= eta chi xi V phi'(h), both with the old values."""
    found = lines(one_step_loss(1, "tanh"), "t")
    assert found["f(t,i)"] == "E[Z[V(t)] Z[z(t,i)]]"
    assert found["Z[V(t+1)]"] == "Z[V(t)] - eta sum_j chi(t,j) Z[z(t,j)]"
    assert found["Z[U(t+1)]"] == "Z[U(t)] - eta sum_j x(j) Z[dh(t,j)]"
    assert found["Z[dh(t,i)]"] == "Z[dz(t,i)] tanh'(Z[h(t,i)])"
    assert found["Z[dz(t,i)]"] == "chi(t,i) Z[V(t)]"


def test_corollary_6_2() -> None:
    """TP4: f = (A C + B D) xi, (A, B) -= eta chi xi (C, D), (C, D) -= eta chi xi (A, B)."""
    found = lines(one_step_loss(1, "identity"), "coefficients")
    assert found["f(t,i)"] == "x(i) C(t) A(t) + x(i) D(t) B(t)"
    assert found["A(t+1)"] == "A(t) - eta sum_j x(j) C(t) chi(t,j)"
    assert found["D(t+1)"] == "D(t) - eta sum_j chi(t,j) B(t) x(j)"
    assert [found[f"{name}(0)"] for name in "ABCD"] == ["1", "0", "0", "1"]


def test_two_layers_have_two_sums_over_the_past() -> None:
    found = lines(one_step_loss(2, "tanh"), "t")
    assert found["Z[h2(t,i)]"] == (
        "Zhat[W2 z#1(t,i)] + Zdot[W2 z#1(t,i)]"
        " - eta sum_{s < t} sum_j Z[dh2(s,j)] E[Z[z#1(s,j)] Z[z#1(t,i)]]"
    )
    assert found["Z[dz#1(t,i)]"] == (
        "Zhat[W2' dh2(t,i)] + Zdot[W2' dh2(t,i)]"
        " - eta sum_{s < t} sum_j Z[z#1(s,j)] E[Z[dh2(s,j)] Z[dh2(t,i)]]"
    )


def test_nothing_is_owed_to_the_past_at_the_first_step() -> None:
    found = lines(one_step_loss(2, "tanh"), "0")
    assert found["Z[h2(0,i)]"] == "Zhat[W2 z#1(0,i)]"
    assert found["f(0,i)"] == "0"
    assert not any(name.startswith("Zdot") for name in found)


def test_an_update_that_vanishes_is_dropped() -> None:
    """A hidden weight that moves too slowly keeps its initial value in the limit."""
    text = module_of(
        "width n\ninput x : [1]\ntarget y : [1]\nparam U : [n, 1] abc(-1/2, 1/2, 0)\n"
        "param W : [n, n] abc(0, 1/2, 1/2)\nparam V : [1, n] abc(1/2, 1/2, 0)\n"
        "def f(x):\n    z = tanh(U @ x)\n    h = W @ z\n    return V @ tanh(h)\n"
        "train:\n    loss = squared_error(f(x), y)\n    optimizer sgd(lr = 1)\n"
    )
    assert lines(text, "t")["Z[h(t,i)]"] == "Zhat[W z(t,i)] + Zdot[W z(t,i)]"


def extents(recursion: Recursion) -> dict[str, tuple[int, ...]]:
    """Return the sizes of the axes of all values that have a name."""
    named = {**{v: k for k, v in recursion.vocabulary.names.items()}, **recursion.leaves()}
    return {
        name: tuple(int(d.count) for d in node.type.dims if not d.width and d.count != 1)
        for name, node in named.items()
    }


@pytest.mark.parametrize(("layers", "act"), [(1, "tanh"), (1, "relu"), (2, "tanh")])
@pytest.mark.parametrize("spelled_out", [True, False])
def test_equations_are_what_is_computed(layers: int, act: str, spelled_out: bool) -> None:
    """Steps 0 and 1 as spelled out, and the closed form at t = 0, 1, 2, read by Monte Carlo."""
    module, points = perceptron(layers, act, d=D, optimizer="sgd(lr = 0.5)"), data(2, D)
    recursion = Recursion(module)
    reading = Reading(recursion, points, extents(recursion), 100_000)
    sections = {
        key: [e for e in recursion.equations if e.section == key]
        for key in ("start", "0", "1", "t")
    }
    reading.run(sections["start"])
    if spelled_out:
        reading.run(sections["0"], 0)
        reading.run(sections["1"], 1)
    else:
        for t in range(3):
            reading.run(sections["t"], t)
    last = 1 if spelled_out else 2
    run = feature_limit(module).train(points, last)
    assert np.abs(run.f[last]).max() > 0.1
    for t in range(last + 1):
        np.testing.assert_allclose(reading.f(t), run.f[t], atol=0.02)


PROGRAMS = {"bilinear": 0.1, "mlp_mup_zero_readout": 3, "resnet_mup": 0.05, "rnn_mup": 0.5}


@pytest.mark.parametrize("name", PROGRAMS)
def test_equations_of_other_programs(name: str) -> None:
    """Several outputs, zero initialisation, residual branches, a shared weight."""
    text = (ROOT / "tests" / "zoo" / f"{name}.tp").read_text(encoding="utf-8")
    module = module_of(re.sub(r"lr = [\d.]+", f"lr = {PROGRAMS[name]}", text))
    random = np.random.default_rng(3)
    points = {
        key: random.standard_normal(spec.type.shape(1, 2)) / 2
        for key, spec in module.inputs.items()
    }
    recursion = Recursion(module)
    found = np.array([read(recursion, points, seed) for seed in range(6)])
    run = feature_limit(module).train(points, 2, tolerance=0.01)
    error = found.std(axis=0, ddof=1).max(axis=(1, 2), keepdims=True) / np.sqrt(len(found))
    differences = found.mean(axis=0) - run.f.reshape(found[0].shape)
    assert (np.abs(differences) < 4 * error + 0.02).all()
    assert np.abs(run.f[2]).max() > 0.2


def test_coefficients_are_exact() -> None:
    """TP4, Corollary 6.2, for several inputs and outputs."""
    module, points = perceptron(1, "identity", d=D, k=2), data(4, D, 2)
    recursion = Recursion(module)
    axes = {"A": (D, D), "B": (D, 2), "C": (2, D), "D": (2, 2)}
    reading = Reading(recursion, points, {**extents(recursion), **axes}, 1)
    found = [e for e in coefficients(recursion) if getattr(e.left, "kind", "") == "scalar"]
    run = feature_limit(module).train(points, 5)
    reading.run(e for e in found if e.rule == "start")
    for t in range(6):
        reading.run((e for e in found if e.rule != "start"), t)
        np.testing.assert_allclose(reading.f(t), run.f[t], atol=1e-10)


def read(recursion: Recursion, points: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Return the outputs after 0, 1 and 2 steps from the equations of step t."""
    reading = Reading(recursion, points, extents(recursion), 20_000, seed)
    reading.run([e for e in recursion.equations if e.section == "start"])
    for t in range(3):
        reading.run([e for e in recursion.equations if e.section == "t"], t)
    return np.array([reading.f(t) for t in range(3)])


def test_a_shared_weight_has_a_sum_for_every_use() -> None:
    module = tpc.compile(ROOT / "tests" / "zoo" / "rnn_mup.tp").module
    found = lines(module, "t")["Z[h2(t,i)]"]
    assert found.count("sum_{s < t}") == 2


def test_latex_is_balanced() -> None:
    found = feature_limit(one_step_loss(2, "relu"))
    latex = found.latex()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    assert r"\hat Z^{{W}^{(2)}" in latex or r"\hat Z^{W^{(2)}" in latex
    assert (found._repr_latex_() or "").startswith("$$")
    assert found.markdown().startswith("### ")
    assert found.to_json()["kind"] == "feature"
    assert {"Nonlin", "MatMul", "Moment", "Zdot", "Zhat", "SGD update"} <= set(
        found.to_json()["rules"]
    )


def test_what_has_no_rule_is_named() -> None:
    text = "width n\nparametrization ntk\ninput x : [1]\nparam U : [n, 1]\ndef f(x) = mean(U @ x)\n"
    with pytest.raises(TpcError, match="no train"):
        derivation(module_of(text))
