"""What a limit prints."""

from __future__ import annotations

import json
import time

from limit.programs import perceptron


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
