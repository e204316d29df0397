"""Weight decay and penalties: what they take from weights, and what they leave of the gradient."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.scaling import Classification, Kind

HALF = Fraction(1, 2)
TABLE8 = {"U": ("0", "0", "0"), "W": ("0", "1/2", "1"), "V": ("1", "0", "0")}
#: The power of the width at which decay keeps in proportion to the gradient there.
BALANCED = {"U": Fraction(-1), "W": -HALF, "V": Fraction(-1)}


def text(
    optimizer: str,
    table: dict[str, tuple[object, object, object]] | None = None,
    words: dict[str, str] | None = None,
    penalty: str = "",
) -> str:
    dims = {"U": "n, d", "W": "n, n", "V": "1, n"}
    rows, said = "", words or {}
    for name, abc in (table or TABLE8).items():
        exponents = ", ".join(map(str, abc))
        rows += f"param {name} : [{dims[name]}] abc({exponents}) {said.get(name, '')}\n"
    return (
        f"width n\nsize d = 4\ninput x : [d]\ntarget y : [1]\n{rows}"
        "def f(x):\n    g = U @ x\n    h = W @ tanh(g)\n    z = tanh(h)\n    return V @ z\n"
        f"train:\n    loss = mse(f(x), y){penalty}\n    optimizer {optimizer}\n"
    )


def of(*arguments: object, **words: object) -> Classification:
    return tpc.compile(text=text(*arguments, **words)).classify()  # type: ignore[arg-type]


def decayed(name: str, power: Fraction) -> dict[str, str]:
    return {other: "frozen" for other in TABLE8 if other != name} | {name: f"decay n^({power})"}


@pytest.mark.parametrize("name", TABLE8)
@pytest.mark.parametrize("excess", [Fraction(-1), -HALF, Fraction(0), HALF, Fraction(3, 2)])
def test_the_larger_one_rules(name: str, excess: Fraction) -> None:
    """What decay adds is n^excess of the gradient: the smaller one of the two survives so far."""
    found = of("adam(lr = 1)", words=decayed(name, BALANCED[name] + excess))
    weight = found.weights[name]
    assert weight.update == max(0, excess)
    # at the rate of maximal update a sign-like step is n^-1/2 of a hidden weight, and all of others
    most = HALF if name == "W" else Fraction(0)
    assert weight.shrinkage == most + max(0, -excess)
    assert any("dominates" in note for note in found.notes) == (excess > 0)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "sign"])
def test_steps_that_are_signs_of_weights_are_no_learning(optimizer: str) -> None:
    found = of(f"{optimizer}(lr = 1, decay = 1)")
    assert found.kind is Kind.TRIVIAL
    assert found.values["g"].change == 1
    assert found.measured["g"].change == 0
    assert "shrinkage by weight decay" in [each.name for each in found.findings]


def test_where_a_gradient_is_missing_decay_is_alone() -> None:
    """The hidden weight has no gradient at first, behind a readout of zero."""
    words = {"U": "frozen", "W": "decay n^-3", "V": "init zero"}
    assert of("adam(lr = 1)", words=words).weights["W"].shrinkage == HALF


def test_epsilon_above_both_makes_steps_linear() -> None:
    plain = of("adam(lr = 1, eps = 1)", words=decayed("W", Fraction(0)))
    assert plain.weights["W"].shrinkage == 1
    assert plain.weights["W"].update == 1


@pytest.mark.parametrize(("power", "ruled"), [("-1/2", False), ("0", False), ("1/2", True)])
def test_orthogonal_steps_weigh_singular_values(power: str, ruled: bool) -> None:
    table = TABLE8 | {"W": ("0", "1/2", "0")}
    words = {"U": "frozen", "V": "frozen"}
    found = of("muon(lr = 1)", table, words, f" + n^({power}) * sum(W * W)")
    assert found.weights["W"].shrinkage == 0  # all singular values become one, those of W too
    assert found.weights["W"].update == (HALF if ruled else 0)
    assert any("dominates" in note for note in found.notes) is ruled


def test_a_penalty_is_decay() -> None:
    """sgd(decay = d) is the same as a penalty d/2 n^2a |W|^2 of the loss."""
    table = {"U": ("0", "0", "0"), "W": ("1/2", "0", "0"), "V": ("1/2", "0", "0")}
    decay = of("sgd(lr = 1, decay = 1)", table)
    sums = " + 0.5 * (sum(U * U) + n * sum(W * W) + n * sum(V * V))"
    penalty = of("sgd(lr = 1)", table, penalty=sums)
    for one in (decay, penalty):
        assert one.kind is Kind.KERNEL
        assert {weight.shrinkage for weight in one.weights.values()} == {0}
    assert dict(decay.values) == dict(penalty.values)
    assert decay.weights == penalty.weights
    assert dict(decay.measured) == dict(penalty.measured)


def test_penalties_of_other_forms() -> None:
    """Squares as powers, the root of their sum, fourth powers, a weight times itself."""
    frozen = {"U": "frozen", "V": "frozen"}

    def shrinkage(penalty: str) -> object:
        return of("sgd(lr = 1)", words=frozen, penalty=penalty).weights["W"].shrinkage

    assert shrinkage(" + 0.1 * sum(W^2)") == shrinkage(" + 0.1 * sum(W * W)") == 1
    # dsqrt(sum W^2) is W / |W|, and |W| is of size n^1/2
    assert shrinkage(" + 0.1 * sqrt(sum(W * W))") == 1 + HALF
    assert shrinkage(" + 0.1 * n * sum(W^4)") == 1
    assert of("sgd(lr = 1)", words=frozen, penalty=" + n^-1 * sum((W @ W) * (W @ W))").steps < 9
    with pytest.raises(tpc.TpcError, match="made of 11 matrices"):
        of("adam(lr = 1)", words=frozen, penalty=" + n^-1 * sum((W @ W) * (W @ W))")


@pytest.mark.parametrize("name", TABLE8)
def test_a_penalty_is_decay_under_adam(name: str) -> None:
    frozen = {other: "frozen" for other in TABLE8 if other != name}
    size = Fraction(2 if name == "V" else 0)  # decay acts on w = n^a W
    for excess in (-HALF, Fraction(0), HALF):
        decay = of("adam(lr = 1)", words=decayed(name, BALANCED[name] + excess))
        power = BALANCED[name] + excess + size
        penalty = f" + 0.5 * n^({power}) * sum({name} * {name})"
        found = of("adam(lr = 1)", words=frozen, penalty=penalty)
        assert found.weights == decay.weights


@given(st.lists(st.fractions(-1, 1, max_denominator=2), min_size=3, max_size=3))
@settings(max_examples=10, deadline=None)
def test_gauge(shifts: list[Fraction]) -> None:
    """(a + t, b - t, c - t) with n^-2t of the decay is the same training run."""
    moved, words = {}, {}
    for (name, (a, b, c)), t in zip(TABLE8.items(), shifts, strict=True):
        moved[name] = (Fraction(a) + t, Fraction(b) - t, Fraction(c) - t)
        words[name] = f"decay n^({-2 * t})"
    before, after = of("adam(lr = 1, decay = 1)"), of("adam(lr = 1)", moved, words)
    assert before.values == after.values
    assert before.weights == after.weights


def test_more_than_all_is_unstable() -> None:
    table = TABLE8 | {"U": ("0", "0", "-1/2")}
    found = of("adam(lr = 1)", table, decayed("U", Fraction(4)))
    assert found.kind is Kind.UNSTABLE
    assert "weight decay" in found.verdict


def test_regions_know_of_it() -> None:
    table = {name: (a, b, "c") for name, (a, b, _) in TABLE8.items()}
    source = "exponent c\n" + text("adam(lr = 1, decay = 1)", table)  # type: ignore[arg-type]
    found = tpc.compile(text=source.replace("exponent c\nwidth n", "width n\nexponent c")).region()
    for c in (Fraction(0), HALF, Fraction(1), Fraction(3, 2)):
        at = tpc.compile(
            text=text(
                "adam(lr = 1, decay = 1)", {name: (a, b, c) for name, (a, b, _) in TABLE8.items()}
            )
        ).classify()
        assert found.contains({"c": c}) == (at.kind is not Kind.UNSTABLE)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_solved_decay_acts_alike_at_all_widths(optimizer: str) -> None:
    """In proportion to the gradient where that has no size, else a fixed share of the weight."""
    solved = tpc.compile(text=text(f"{optimizer}(lr = 1, decay = 1)")).solve().solved
    found = {name: weight.decay.power.const for name, weight in solved.weights.items()}
    if optimizer == "sgd":
        assert found == {name: weight.c for name, weight in solved.weights.items()}
    else:
        assert found == BALANCED
    assert solved.classification.kind is Kind.FEATURE


@pytest.mark.parametrize(
    ("name", "power"), [("U", Fraction(0)), ("W", Fraction(0)), ("W", -HALF), ("V", -HALF)]
)
def test_measured(name: str, power: Fraction) -> None:
    compiled = tpc.compile(text=text("adam(lr = 0.1)", words=decayed(name, power)))
    found = compiled.slopes(widths=(48, 96, 192), seeds=range(4))
    for vector in ("g", "h", "z"):  # the output is a sum of few random numbers: too noisy here
        assert found.row(vector).verdict == "agrees", found.text()
