"""Equations under momentum, weight decay and entrywise optimizers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import Golden
from tests.derivation.reading import Reading
from tests.derivation.test_derivation import extents, lines
from tests.feature.constructs import ADAM
from tests.feature.programs import data, module_of, perceptron
from tpc.derivation import derivation
from tpc.derivation.deriving import Recursion
from tpc.diagnostics import TpcError
from tpc.feature import feature_limit
from tpc.ir.module import Module

ADAM_EXPONENTS = {"first": "abc(-1/2, 1/2, 1/2)", "last": "abc(1/2, 1/2, 1/2)"}


def two_layers(optimizer: str, decay: str = "") -> Module:
    """The second layer's rate is that of entrywise steps."""
    text = ADAM.replace("size d = 3", "size d = 2").replace("adam(lr = 0.1)", optimizer)
    return module_of(text.replace("abc(0, 1/2, 1)", f"abc(0, 1/2, 1) {decay}"))


def assert_read(
    module: Module, samples: int, seeds: int, sections: tuple[str, ...], least: float = 0.02
) -> None:
    """What the equations say, by Monte Carlo, is what the engine computes."""
    points, found = data(2, 2), []
    points["x"] = 2 * points["x"]
    recursion = Recursion(module)
    for seed in range(seeds):
        reading = Reading(recursion, points, extents(recursion), samples, seed)
        reading.run([e for e in recursion.equations if e.section == "start"])
        for t in range(3 if sections == ("t",) else 2):
            section = "t" if sections == ("t",) else str(t)
            reading.run([e for e in recursion.equations if e.section == section], t)
        found.append([reading.f(t) for t in range(3 if sections == ("t",) else 2)])
    run = feature_limit(module).train(points, 2, tolerance=least / 3)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / seeds**0.5
    assert (np.abs(mean - run.f[: len(mean)]) < 4 * error.max() + least).all()
    assert np.abs(run.f).max() > 0.1


@pytest.mark.parametrize(
    ("optimizer", "sections"),
    [
        ("momentum(lr = 0.6, beta = 0.6, decay = 0.3)", ("t",)),
        ("momentum(lr = 0.6, beta = 0.6, decay = 0.3)", ("0", "1")),
        ("sgd(lr = 0.8, decay = 0.5)", ("t",)),
        ("sgd(lr = 4, clip = 1/4)", ("t",)),
        ("sgd(lr = 4, clip = 1/4)", ("0", "1")),
        ("momentum(lr = 1, beta = 0.5, clip = 1/2)", ("t",)),
    ],
)
def test_momentum_decay_and_clipping(optimizer: str, sections: tuple[str, ...]) -> None:
    assert_read(perceptron(2, "tanh", d=2, optimizer=optimizer), 8_000, 3, sections)


@pytest.mark.parametrize(
    "optimizer", ["adam(lr = 0.1)", "rmsprop(lr = 0.05)", "lion(lr = 0.1)", "adagrad(lr = 0.1)"]
)
def test_entrywise_without_matrices(optimizer: str) -> None:
    module = perceptron(1, "tanh", d=2, optimizer=optimizer, **ADAM_EXPONENTS)  # type: ignore[arg-type]
    assert_read(module, 8_000, 3, ("t",))


@pytest.mark.parametrize(
    ("optimizer", "decay"),
    [
        ("sign(lr = 0.1)", ""),
        pytest.param("adamw(lr = 0.1)", "decay 2 * n", marks=pytest.mark.slow),
    ],
)
def test_entrywise_with_matrices(optimizer: str, decay: str) -> None:
    assert_read(two_layers(optimizer, decay), 500, 3, ("t",), 0.05)


def test_momentum_has_coefficients_for_past_gradients() -> None:
    found = lines(perceptron(2, d=1, optimizer="momentum(lr = 0.1)"), "t")
    assert found["Z[m_V(t)]"] == "beta Z[m_V(t-1)] + Z[g_V(t)]"
    assert found["Z[V(t+1)]"] == "Z[V(t)] - eta Z[m_V(t)]"
    assert found["m_W2_s(t)"] == "beta m_W2_s(t-1) + delta_s,t"
    assert found["c_W2_s(t+1)"] == "c_W2_s(t) - eta m_W2_s(t)"
    assert "sum_{s < t} sum_j c_W2_s(t) Z[dh2(s,j)]" in found["Z[h2(t,i)]"]


def test_entries_act_by_an_independent_copy() -> None:
    found = lines(two_layers("sign(lr = 0.1)"), "t")
    assert found["Z[g_W(t)]"] == "sum_j Z[dh2(t,j)] Z'[u1(t,j)]"
    assert found["Z[D_W(t+1)]"] == "Z[D_W(t)] - eta sign(Z[g_W(t)])"
    assert found["Z[h2(t,i)]"].endswith("+ E'[Z[D_W(t)] Z'[u1(t,i)]]")
    assert found["Z[u2(t,i)]"].endswith("+ E'[Z[D_W'(t)] Z'[dh2(t,i)]]")


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("momentum", "momentum(lr = 0.1, decay = 0.1)"),
        ("adam", "adam(lr = 0.1)"),
        ("clip", "sgd(lr = 0.1, clip = 1)"),
    ],
)
def test_golden_files(name: str, optimizer: str, golden: Golden) -> None:
    entrywise = name == "adam"
    module = two_layers(optimizer) if entrywise else perceptron(2, d=2, optimizer=optimizer)
    found = derivation(module)
    golden(f"derivation/{name}.txt", found.text())
    golden(f"derivation/{name}.tex", found.latex())
    latex = found.latex()
    assert latex.count("{") == latex.count("}")


def test_weights_with_numbers_of_their_own() -> None:
    text = perceptron(
        1, d=1, optimizer="momentum(lr = 0.1, beta = 0.5) for U\n    optimizer momentum(lr = 0.1)"
    )
    notes = derivation(text).notes
    assert {"beta_U = 1/2", "beta_V = 9/10"} <= set(notes)


@pytest.mark.parametrize(("bound", "factor"), [("n", "1"), ("1", "min(1, bound 1/norm(t))")])
def test_bounds_of_the_order_of_the_norm_act(bound: str, factor: str) -> None:
    found = lines(perceptron(1, d=1, optimizer=f"sgd(lr = 0.1, clip = {bound})"), "t")
    assert found["clip(t)"] == factor
    assert ("norm(t)" in found) == (bound == "1")
    assert found["Z[V(t+1)]"].startswith("Z[V(t)] - eta sum_j clip(t) chi(t,j)")


def test_what_has_no_equation_is_named() -> None:
    with pytest.raises(TpcError, match="bound on gradients below their order of `U`"):
        derivation(perceptron(1, optimizer="sgd(lr = 0.1, clip = n^(-1/2))"))
    with pytest.raises(TpcError, match="optimizer muon of"):
        derivation(perceptron(2, optimizer="muon(lr = 0.1)"))
