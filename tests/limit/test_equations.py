"""What a limit prints."""

from __future__ import annotations

import json
import time
from pathlib import Path

from limit.programs import perceptron

import tpc

ZOO = Path(__file__).resolve().parents[1] / "zoo"


def test_text_of_a_recursion():
    text = perceptron("relu", L=2).limit("ntk").text()
    assert "Sigma1 = <x, x'>" in text
    assert "Sigma2 = 2 E[relu(u) relu(v) | Sigma1] + 1/4" in text
    assert "Theta = " in text
    assert "closed form: relu, step" in text


def test_series_are_named():
    assert "Hermite series" in perceptron("tanh").limit("nngp").text()


def test_a_hundred_layers_are_quick_and_short():
    begin = time.perf_counter()
    limit = perceptron("relu", L=100).limit("ntk")
    text = limit.text()
    assert time.perf_counter() - begin < 4
    assert "likewise Sigma4 to Sigma100" in text
    assert len(text.splitlines()) < 30
    assert len(limit.equations) > 100


def test_latex_is_balanced():
    limit = perceptron("gelu", L=3).limit("ntk")
    latex = limit.latex()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    assert limit._repr_latex_().startswith("$$")
    assert limit.markdown().startswith("### ")


def test_json_has_every_equation():
    limit = perceptron("erf").limit("nngp")
    found = json.loads(json.dumps(limit.to_json()))
    assert [e["name"] for e in found["equations"]] == ["Sigma1", "Sigma2", "K"]


def test_unrelated_outputs_are_one_line():
    found = tpc.compile(ZOO / "autoencoder_tied_ntk.tp").limit("ntk")
    lines = [line.strip() for line in found.text().splitlines()]
    assert [line.partition(" = ")[0] for line in lines if line.startswith("Theta")] == [
        "Theta[i, i]",
        "Theta[i, j]",
    ]
    assert "Theta[i, j] = 0 for i != j" in lines
    assert r"\Theta_{\mathtt{i, j}}(x, x') &= 0 \quad (i \neq j)" in found.latex()
