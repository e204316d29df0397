"""What classify reports on programs of many kinds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import perceptrons
import pytest

import tpc
from tpc.scaling import Classification, Kind, Status, classify

HALF = Fraction(1, 2)
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def program(
    body: str, params: str, optimizer: str = "sgd(lr = 1)", loss: str = "mse(f(x), y)"
) -> str:
    head = "width n\nsize d = 4, T = 3, k = 2\ninput x : [d]\ntarget y : [1]\n"
    return f"{head}{params}\n{body}\ntrain:\n    loss = {loss}\n    optimizer {optimizer}\n"


def of(*args: str, **options: str) -> Classification:
    return tpc.compile(text=program(*args, **options)).classify()


MUP_ENDS = "param U : [n, d] abc(0, 0, -1)\nparam V : [1, n] abc(1, 0, -1)\n"


def test_zero_initialised_branches_wake_up_one_after_the_other() -> None:
    found = of(
        "def f(x):\n    h = U @ x\n    g = A @ tanh(h)\n    z = h + B @ tanh(g)\n    return V @ z",
        "param U : [n, d] abc(0, 0, -1)\nparam A : [n, n] abc(0, 1/2, 0)\n"
        "param B : [n, n] abc(0, 1/2, 0) init zero\nparam V : [1, n] abc(1, 0, -1) init zero",
    )
    assert found.kind is Kind.FEATURE
    assert found.output.init == math.inf
    assert {w.status for w in found.weights.values()} == {Status.MAXIMAL}
    assert found.steps >= 3


def test_a_frozen_weight_does_not_move() -> None:
    found = of(
        "def f(x) = V @ tanh(W @ tanh(U @ x))",
        MUP_ENDS + "param W : [n, n] abc(0, 1/2, 0) frozen",
    )
    assert set(found.weights) == {"U", "V"}
    assert found.kind is Kind.FEATURE


def test_nothing_trained_is_trivial() -> None:
    text = program(
        "def f(x) = V @ tanh(U @ x)",
        "param U : [n, d] abc(0, 0, 0) frozen\nparam V : [1, n] abc(0, 1/2, 0) frozen",
    )
    found = tpc.compile(text=text.split("train:")[0]).classify()
    assert found.kind is Kind.TRIVIAL
    assert found.r == math.inf


def test_an_internal_linear_map_is_not_judged() -> None:
    """The product grows like n^1/2, but is multiplied by n^-1/2 before anything consumes it."""
    found = of(
        "def f(x):\n    h = W @ (U @ x)\n    return V @ tanh(n^(-1/2) * h)",
        "param U : [n, d] abc(0, 0, 0)\nparam W : [n, n] abc(0, 0, 0)\n"
        "param V : [1, n] abc(1/2, 0, 0)",
    )
    assert found.values["h"].init == -HALF
    assert found.kind is Kind.KERNEL
    assert found.weights["W"].update == HALF


ATTENTION = """def f(x):
    h = U @ x
    q = Q @ h
    k = K @ h
    s = einsum("t n, u n -> t u", q, k) * n^-1
    z = h + einsum("t u, u n -> t n", softmax(s, axis = 2), h)
    return V @ tanh(mean(z, axis = 1))"""


def attention(scale: str = "n^-1", c: int = 0, optimizer: str = "sgd(lr = 1)") -> Classification:
    text = program(
        ATTENTION.replace("n^-1", scale),
        f"{MUP_ENDS}param Q, K : [n, n] abc(0, 1/2, {c})",
        optimizer,
    )
    return tpc.compile(text=text.replace("input x : [d]", "input x : [T, d]")).classify()


def test_attention_scores_under_gradient_descent() -> None:
    found = attention()
    assert found.kind is Kind.FEATURE
    assert found.values["s"].init == HALF
    assert found.values["s"].change == 0
    assert found.weights["Q"].update == 0


def test_attention_scores_divided_by_the_root_blow_up() -> None:
    found = attention("n^(-1/2)")
    assert found.kind is Kind.UNSTABLE
    assert "score s" in found.verdict
    assert found.steps >= 1


def test_features_may_move_through_scores_while_updates_are_lazy() -> None:
    """Only the sizes of values decide, never the weights' statuses."""
    found = attention(c=1)
    assert found.weights["Q"].status is Status.LAZY
    assert found.kind is Kind.FEATURE


TIED = """width n
size v = 20, T = 4
input words : [T] in v
target next : [T, v]
param E : [v, n] abc(0, 0, {c})
param A : [n, n] abc(0, 1/2, {c2})
def f(words):
    h = E[words]
    return n^-1 * (E @ layer_norm(h + A @ gelu(h)))
train:
    loss = cross_entropy(f(words), next)
    optimizer adam(lr = 1)
"""


def test_a_tied_embedding_aligns_with_itself_at_initialisation() -> None:
    found = tpc.compile(text=TIED.format(c=0, c2=1)).classify()
    assert found.output.init == 0  # <E_w, E_w> / n, by the law of large numbers
    assert found.kind is Kind.FEATURE
    uses = found.weights["E"].uses
    assert [use.update for use in uses] == [0, 0]


def test_normalisations_are_judged_by_relative_change() -> None:
    body = "def f(x) = V @ layer_norm(W @ tanh(U @ x))"
    wide = of(body, MUP_ENDS + "param W : [n, n] abc(0, 0, -1)")
    assert wide.kind is Kind.FEATURE
    assert wide.weights["W"].update == -HALF  # as large as W's own output, which is n^1/2
    fast = of(body, MUP_ENDS + "param W : [n, n] abc(0, 0, -2)")
    assert fast.kind is Kind.UNSTABLE
    assert "normalising" in fast.verdict


def test_degenerate_and_unstable_at_initialisation() -> None:
    body = "def f(x):\n    h = W @ tanh(U @ x)\n    return V @ tanh(h)"
    small = of(body, MUP_ENDS + "param W : [n, n] abc(0, 1, 0)")
    assert small.kind is Kind.DEGENERATE
    assert "preactivation h (line" in small.verdict
    assert small.r is None
    large = of(body, MUP_ENDS + "param W : [n, n] abc(0, 0, 0)")
    assert large.kind is Kind.UNSTABLE
    assert "at initialisation" in large.verdict


def test_a_part_of_a_preactivation_may_vanish() -> None:
    found = of(
        "def f(x) = V @ tanh(E @ (D @ tanh(U @ x)) + b)",
        MUP_ENDS + "param D : [k, n] abc(1/2, 1/2, 0)\nparam E : [n, k] abc(0, 0, -1)\n"
        "param b : [n] abc(0, 0, -1)",
    )
    assert found.kind is Kind.FEATURE


def test_weight_decay_is_reported_apart() -> None:
    params = "param U : [n, d] abc(0, 0, 0)\nparam W : [n, n] abc(1/2, 0, 0)\n"
    params += "param V : [1, n] abc(1/2, 0, 0)"
    body = "def f(x) = V @ tanh(W @ tanh(U @ x))"
    found = of(body, params, "sgd(lr = 1, decay = 0.1)")
    assert found.kind is Kind.KERNEL
    assert found.weights["W"].shrinkage == 0
    (decay,) = [f for f in found.findings if f.name == "shrinkage by weight decay"]
    assert "W" in decay.weights
    fast = of(
        body, params.replace("abc(1/2, 0, 0)", "abc(1/2, 0, -1)", 1), "sgd(lr = 1, decay = 0.1 * n)"
    )
    assert fast.kind is Kind.UNSTABLE


ADAM = (
    "param U : [n, d] abc(0, 0, 0)\nparam W : [n, n] abc(0, 1/2, 1)\nparam V : [1, n] abc(0, 1, 1)"
)


def test_a_constant_eps_freezes_mup_with_adam() -> None:
    """TP4b: muP-Adam with constant epsilon freezes; with faithful powers it does not."""
    body = "def f(x) = V @ tanh(W @ tanh(U @ x))"
    constant = of(body, ADAM, "adam(lr = 1, eps = 1e-8)")
    assert constant.weights["W"].update > 0
    assert any("eps dominates" in note for note in constant.notes)
    faithful = of(body, ADAM, "adam(lr = 1, eps = 1e-8 * n^-2)")
    assert faithful.weights["W"].update == 0


def test_global_norm_clipping_is_a_factor_with_its_own_exponent() -> None:
    body = "def f(x) = V @ tanh(W @ tanh(U @ x))"
    standard = "param U : [n, d] abc(0, 0, 0)\nparam W : [n, n] abc(0, 1/2, 0)\n"
    standard += "param V : [1, n] abc(0, 1/2, 0)"
    assert of(body, standard).kind is Kind.UNSTABLE
    clipped = of(body, standard, "sgd(lr = 1, clip = 1)")
    # the gradient's norm is n^1/2, so steps are n^-1/2 of what they were: f still grows like n^1/2
    assert clipped.kind is Kind.UNSTABLE
    gentle = standard.replace("0)", "1/2)")
    assert of(body, gentle).kind is Kind.UNSTABLE
    assert of(body, gentle, "sgd(lr = 1, clip = 1)").kind is Kind.KERNEL


def test_what_has_no_rule_is_a_diagnostic() -> None:
    text = program(
        "def f(x) = V @ tanh(tanh(A) @ tanh(U @ x))",
        MUP_ENDS + "param A : [n, n] abc(0, 1/2, 0)",
    )
    with pytest.raises(tpc.TpcError) as caught:
        tpc.compile(text=text).classify()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0931"
    assert "apply" in diagnostic.headline
    assert diagnostic.span is not None


def test_symbolic_exponents_need_values() -> None:
    with pytest.raises(tpc.TpcError, match="E0930"):
        classify(perceptrons.module(1))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.tp")), ids=lambda p: p.stem)
def test_every_example_is_classified(path: Path) -> None:
    compiled = tpc.compile(path)
    if compiled.exponents:
        json.dumps(compiled.region().to_json())
        return
    found = compiled.classify()
    json.dumps(found.to_json())
    assert found.text(why=True)
    assert found.kind in (Kind.KERNEL, Kind.FEATURE, Kind.TRIVIAL)


def test_reasons_name_operations_and_lines() -> None:
    found = tpc.compile(EXAMPLES / "perceptron.tp").classify()
    text = found.why()
    assert "update of W[2]" in found.why("z#2")
    assert "(line 16)" in text
    with pytest.raises(KeyError):
        found.why("nothing")


def test_a_hundred_layers_in_about_a_second() -> None:
    compiled = tpc.compile(EXAMPLES / "perceptron.tp").with_(L=100)
    began = perf_counter()
    assert compiled.classify().kind is Kind.FEATURE
    assert perf_counter() - began < 3


def test_the_texts(golden: Callable[[str, str], None]) -> None:
    mup = tpc.compile(EXAMPLES / "perceptron.tp").classify()
    golden("scaling/perceptron.txt", mup.text(why=True))
    golden("scaling/phase.txt", tpc.compile(EXAMPLES / "phase.tp").region().text())
    rows = [(0, 0, 0), (0, HALF, 0), (0, HALF, 0)]
    standard = classify(perceptrons.module(2), perceptrons.point(rows))
    golden("scaling/standard.txt", standard.text(why=True))
