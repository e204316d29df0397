"""The maximal update is solved for: the published tables come out, obstacles are named."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solve.programs import BODIES, BOTTLENECK, LORA, ROOT_OF_WIDTH, perceptron, program

import tpc
from tpc.exact import Affine
from tpc.ir import Module
from tpc.scaling.solve import find
from tpc.scaling.solved import Solved, solve

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HALF = Fraction(1, 2)

#: TP5, tables 3, 8 and 9: (a, b, c) of input and bias, hidden, readout.
TABLES = {
    ("table3", "sgd"): [(0, 0, -1), (0, HALF, 0), (0, 1, 1)],
    ("table3", "adam"): [(0, 0, 0), (0, HALF, 1), (0, 1, 1)],
    ("table8", "sgd"): [(0, 0, -1), (0, HALF, 0), (1, 0, -1)],
    ("table8", "adam"): [(0, 0, 0), (0, HALF, 1), (1, 0, 0)],
    ("table9", "sgd"): [(-HALF, HALF, 0), (0, HALF, 0), (HALF, HALF, 0)],
    ("table9", "adam"): [(-HALF, HALF, HALF), (0, HALF, 1), (HALF, HALF, HALF)],
    ("equal", "sgd"): [(-HALF, HALF, 0), (0, HALF, 0), (HALF, HALF, 0)],
    ("equal", "adam"): [(0, 0, 0), (1, -HALF, 0), (1, 0, 0)],
}


def elaborated(text: str) -> Module:
    return tpc.compile(text=text).compilation.elaborated


def by_role(solved: Solved) -> dict[str, set[tuple[Fraction, Fraction, Fraction]]]:
    found: dict[str, set[tuple[Fraction, Fraction, Fraction]]] = {}
    for weight in solved.weights.values():
        found.setdefault(weight.role.value, set()).add((weight.a, weight.b, weight.c))
    return found


def are_all_maximal(solved: Solved) -> bool:
    found = solved.classification
    assert found is not None
    return all(weight.status == "maximal" for weight in found.weights.values())


@pytest.mark.parametrize(("gauge", "optimizer"), TABLES)
@pytest.mark.parametrize("name", ["perceptron", "transformer"])
def test_published_tables(name: str, gauge: str, optimizer: str) -> None:
    text = perceptron(optimizer)
    if name == "transformer":
        text = (EXAMPLES / "transformer.tp").read_text().replace("heads = 4", "heads = 1")
        text = text.replace("optimizer adam", f"optimizer {optimizer}")
    solved = solve(elaborated(text), gauge)
    rows = dict(zip(("input", "hidden", "readout"), TABLES[gauge, optimizer], strict=True))
    found = by_role(solved)
    bias = found.pop("bias", {rows["input"]})
    assert found == {role: {row} for role, row in rows.items()}
    assert bias == {rows["input"]}
    assert solved.classification is not None
    assert solved.classification.kind == "feature"
    assert are_all_maximal(solved)
    assert not solved.warnings


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", BODIES)
def test_every_weight_is_maximal(name: str, optimizer: str) -> None:
    solved = solve(elaborated(program(BODIES[name], optimizer)))
    assert are_all_maximal(solved)
    assert solved.classification is not None
    assert solved.classification.kind == "feature"
    # a second opinion: an analysis of its own, from the exponents alone
    again = tpc.scaling.classify(solved.module)
    assert {n: w.status for n, w in again.weights.items()} == {
        n: w.status for n, w in solved.classification.weights.items()
    }


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        ("momentum", (-1, -1, 0, -1)),
        ("adagrad", (0, 0, 1, 0)),
        ("rmsprop", (0, 0, 1, 0)),
        ("lion", (0, 0, 1, 0)),
        ("sign", (0, 0, 1, 0)),
        ("adafactor", (0, 0, HALF, 0)),
    ],
)
def test_other_optimizers(optimizer: str, rates: tuple[Fraction, ...]) -> None:
    text = perceptron(optimizer, depth=2).replace("u : [n] init zero", "u : [n]")
    solved = solve(elaborated(text))
    assert are_all_maximal(solved)
    assert tuple(w.c for w in solved.weights.values()) == rates


def test_written_factors_count_as_multipliers() -> None:
    """`n^(-1/2) * (W @ h)` is the NTK's way to write a hidden weight."""
    solved = solve(elaborated(program(BODIES["factors in the program"])))
    assert solved.exponents == {"U": (0, 0, -1), "W": (0, 0, -1), "V": (HALF, 0, -1)}


def test_low_rank_adapters() -> None:
    """An adapter begins at n^-1 where it reads moving features, else at n^(-1/2)."""
    solved = solve(elaborated(program(LORA, "adam")))
    assert are_all_maximal_of(solved, "A1", "A2", "B1", "B2")
    a1, a2 = (solved.weights[name] for name in ("A1", "A2"))
    assert (a1.a + a1.b, a2.a + a2.b) == (HALF, 1)
    b1, a1 = solved.weights["B1"], solved.weights["A1"]
    assert (a1.a + a1.c) - (b1.a + b1.c) == 1  # LoRA+: B learns n times as fast as A


def are_all_maximal_of(solved: Solved, *names: str) -> bool:
    found = solved.classification
    assert found is not None
    return all(found.weights[name].status == "maximal" for name in names)


def test_attention_divided_by_the_root_has_no_maximal_update() -> None:
    program_ = tpc.compile(text=program(ROOT_OF_WIDTH, "adam"))
    with pytest.raises(tpc.TpcError) as caught:
        program_.solve()
    (found,) = caught.value.diagnostics
    assert found.code == "E0940"
    assert "the score s is of size n^1/2" in found.headline
    assert found.span is not None
    assert found.span.line == 12
    assert "n^(-1/2) more" in str(found.help)
    # the parametrization itself warns, and the rest of the tool goes on
    assert [note.code for note in program_.notes] == ["E0940"]
    mended = program(ROOT_OF_WIDTH.replace("n^(-1/2)", "n^-1"), "adam")
    assert are_all_maximal(solve(elaborated(mended)))


def test_saddles_have_no_maximal_update_under_gradient_descent() -> None:
    with pytest.raises(tpc.TpcError) as caught:
        solve(elaborated(program(LORA, "sgd")))
    (found,) = caught.value.diagnostics
    assert found.code == "E0941"
    assert "`A1`, `A2`, `B1`, `B2`" in found.headline


def test_bottlenecks_vanish_at_initialisation() -> None:
    solved = solve(elaborated(program(BOTTLENECK, "adam")))
    assert [warning.code for warning in solved.warnings] == ["E0942"]
    biased = BOTTLENECK.replace("@ relu(U @ x)))", "@ relu(U @ x)) + b)")
    solved = solve(elaborated(program("param b : [n]\n" + biased, "adam")))
    assert are_all_maximal(solved)
    assert not solved.warnings


def test_stated_exponents_stay() -> None:
    text = perceptron("adam").replace("param V : [k, n]", "param V : [k, n] abc(1, 0, 3)")
    solved = solve(elaborated(text))
    assert solved.exponents["V"] == (1, 0, 3)
    assert solved.weights["V"].stated
    assert [warning.code for warning in solved.warnings] == ["E0941"]
    assert solve(elaborated(text), everything=True).exponents["V"] == (1, 0, 0)


def test_stated_exponents_that_are_in_the_way() -> None:
    text = perceptron("adam").replace("param V : [k, n]", "param V : [k, n] abc(0, 1/2, 1)")
    with pytest.raises(tpc.TpcError, match="the stated exponents of `V` make it so"):
        solve(elaborated(text))


def test_a_stated_rate_moves_the_multiplier() -> None:
    text = perceptron("sgd").replace("param V : [k, n]", "param V : [k, n] lr 0.1 * n^-1")
    assert solve(elaborated(text)).exponents["V"] == (0, 1, 1)


def test_tied_weights_have_one_gauge() -> None:
    module = tpc.compile(EXAMPLES / "tied_lm.tp").compilation.elaborated
    assert not solve(module, "table8").warnings
    (warning,) = solve(module, "table9").warnings
    assert warning.code == "E0943"
    assert "`E` is tied" in warning.headline


def test_decay_and_epsilon_scale() -> None:
    text = perceptron("adamw").replace(
        "adamw(lr = 0.1)", "adamw(lr = 0.1, decay = 0.01, eps = 1e-8)"
    )
    solved = solve(elaborated(text))
    hidden = solved.weights["W[2]"]
    assert str(hidden.decay) == "1/100*n"  # TP5: it acts through the learning rate
    assert hidden.eps is not None
    assert hidden.eps.power == -1
    assert are_all_maximal(solved)
    assert all("dominates" not in note for note in solved.classification.notes)  # type: ignore[union-attr]


def test_faithful_epsilon_is_solved() -> None:
    text = perceptron("adam").replace("(lr = 0.1)", "(lr = 0.1, eps = faithful)")
    solved = solve(elaborated(text), "table9")
    # TP4b: d = a + a_{L+1} + b_{L+1} for l <= L, and a_{L+1} for the readout
    expected = {"U": HALF, "u": HALF, "W[2]": 1, "W[3]": 1, "V": HALF}
    eps = {name: w.eps for name, w in solved.weights.items()}
    assert {name: -e.power.const for name, e in eps.items() if e is not None} == expected
    assert tpc.compile(text=text).classify().kind == "feature"


def test_without_training() -> None:
    text = perceptron().split("train:")[0]
    assert solve(elaborated(text)).exponents["V"] == (1, 0, -1)


def test_inner_steps() -> None:
    text = (EXAMPLES / "maml.tp").read_text()
    for optimizer in ("sgd", "adam"):
        solved = solve(elaborated(text.replace("optimizer sgd", f"optimizer {optimizer}")))
        assert are_all_maximal(solved)


ZOO = sorted((Path(__file__).resolve().parents[1] / "zoo").glob("*.tp"))


@pytest.mark.slow
@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_every_program_of_the_zoo(path: Path) -> None:
    """Each is maximal once it is solved for, or a diagnostic says what is in the way."""
    module = tpc.compile(path).compilation.elaborated
    refused: set[str] = set()
    try:
        solved = solve(module, everything=True)
    except tpc.TpcError as error:
        refused = {found.code for found in error.diagnostics}
    assert refused <= {"E0940", "E0941"}
    if refused:
        return
    assert are_all_maximal(solved)
    again = tpc.scaling.classify(solved.module)
    assert solved.classification is not None
    assert again.kind == solved.classification.kind
    if again.kind != "feature":
        frozen = any(spec.frozen for spec in module.params.values())
        assert (again.kind == "kernel" and frozen) or again.kind == "degenerate"


def test_unknown_gauge() -> None:
    with pytest.raises(KeyError, match="table8"):
        solve(elaborated(perceptron()), "table7")


# -- properties ------------------------------------------------------------------------------------

QUARTERS = st.integers(-6, 6).map(lambda k: Fraction(k, 4))


@settings(max_examples=5)
@given(data=st.data())
def test_gauge_shifts_of_what_is_given_change_nothing(data: st.DataObject) -> None:
    optimizer = data.draw(st.sampled_from(["sgd", "adam"]))
    module = elaborated(program(BODIES["router"], optimizer))
    times = 2 if optimizer == "sgd" else 1
    params = {}
    for name, spec in module.params.items():
        t = data.draw(QUARTERS)
        a, b, c = (data.draw(QUARTERS) for _ in range(3))
        triple = map(Affine.of, (a + t, b - t, c - times * t))
        params[name] = replace(spec, **dict(zip("abc", triple, strict=True)))
    moved = replace(module, params=MappingProxyType(params))
    assert solve(moved, everything=True).exponents == solve(module).exponents


@settings(max_examples=4)
@given(data=st.data())
def test_the_point_does_not_depend_on_where_the_search_begins(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["router", "zero branch", "scalar and gain"]))
    module = elaborated(program(BODIES[name], data.draw(st.sampled_from(["sgd", "adam"]))))
    usual = find(module)
    p = {n: e if n == "B" else e + data.draw(QUARTERS) for n, e in usual.p.items()}
    assert find(module, start=(p, {})).triples == usual.triples
