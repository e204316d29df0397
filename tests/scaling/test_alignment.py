"""Less than full alignment of weights with what they read (Everett et al. 2024)."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

import tpc
from tpc.cli import cli
from tpc.ir.alignment import Alignment
from tpc.scaling import Kind, Status, classify, region

HALF = Fraction(1, 2)

PROGRAM = """width n
size d = 4
input x : [d]
target y : [1]
param U : [n, d] abc({0})
param W[1..2] : [n, n] abc({1})
param V : [1, n] abc({2})
def f(x) = V @ tanh(W[2] @ tanh(W[1] @ tanh(U @ x)))
train:
    loss = mse(f(x), y)
    optimizer {optimizer}(lr = 1)
"""

#: Rows of Everett et al. 2024, table 1, with alpha = u = 1: (a, b, c) of input, hidden, readout.
EVERETT = {
    ("standard", "sgd"): ("0, 0, -1/2", "0, 1/2, 1/2", "0, 1/2, 1"),
    ("standard", "adam"): ("0, 0, 0", "0, 1/2, 1", "0, 1/2, 1"),
    ("standard", "adafactor"): ("0, 0, 0", "0, 1/2, 1/2", "0, 1/2, 1/2"),
    ("ntk", "sgd"): ("0, 0, -1/2", "1/2, 0, -1/2", "1/2, 0, 0"),
    ("ntk", "adam"): ("0, 0, 0", "1/2, 0, 1/2", "1/2, 0, 1/2"),
    ("ntk", "adafactor"): ("0, 0, 0", "1/2, 0, 1/2", "1/2, 0, 1/2"),
}
MUP = {
    "sgd": ("-1/2, 1/2, 0", "0, 1/2, 0", "1/2, 1/2, 0"),
    "adam": ("-1/2, 1/2, 1/2", "0, 1/2, 1", "1/2, 1/2, 1/2"),
}


def program(rows: tuple[str, str, str], optimizer: str) -> tpc.Program:
    return tpc.compile(text=PROGRAM.format(*rows, optimizer=optimizer))


@pytest.mark.parametrize("row", EVERETT, ids=" ".join)
def test_rows_of_everett(row: tuple[str, str]) -> None:
    """Unstable with full alignment; with omega = 1/2 stable, every weight maximally updated."""
    one = program(EVERETT[row], row[1])
    assert one.classify().kind is Kind.UNSTABLE
    found = one.classify(alignment={"readout": HALF})
    assert found.kind is Kind.FEATURE
    assert found.r == 0
    assert (found.output.init, found.output.change) == (0, 0)
    assert {weight.status for weight in found.weights.values()} == {Status.MAXIMAL}
    assert {weight.output for weight in found.weights.values()} == {0}


@pytest.mark.parametrize("optimizer", MUP)
def test_the_maximal_update_stays_what_it_is(optimizer: str) -> None:
    one = program(MUP[optimizer], optimizer)
    for alignment in ({"readout": 1}, {"all.all": 1}):
        assert one.classify(alignment=alignment) == one.classify()
    less = one.classify(alignment={"readout": HALF})
    assert less.kind is Kind.FEATURE
    # by the initial readout features now move the output by n^-1/2 alone, by the update by one
    assert less.weights["V"].update == 0


def test_with_full_alignment_nothing_changes() -> None:
    for row, rows in EVERETT.items():
        one = program(rows, row[1])
        full = one.assuming({"all.all": 1})
        assert full.module.alignment == {}
        assert full.classify() == one.classify()


def test_an_update_without_alignment() -> None:
    """dW x is then n^1/2 times its entries: the rate of a hidden weight may be n^1/2 larger."""
    rows = ("-1/2, 1/2, 0", "0, 1/2, -1/2", "1/2, 1/2, 0")
    one = program(rows, "sgd")
    assert one.classify().kind is Kind.UNSTABLE
    found = one.classify(alignment={"hidden.updates": HALF})
    assert found.kind is Kind.FEATURE
    assert found.weights["W[1]"].update == 0
    assert found.weights["W[1]"].status is Status.MAXIMAL


def test_between_the_two() -> None:
    third = Fraction(2, 3)
    rows = ("0, 0, -1/2", "0, 1/2, 1/2", "0, 2/3, 1")
    one = program(rows, "sgd")
    found = one.classify(alignment={"V.omega": third})
    assert found.kind is not Kind.UNSTABLE
    assert one.classify(alignment={"V.omega": third + Fraction(1, 10)}) is not None


def test_numeric_and_symbolic_agree() -> None:
    text = PROGRAM.format("0, 0, c", "0, 1/2, e", "0, b, 1", optimizer="sgd")
    text = text.replace("size d = 4", "size d = 4\nexponent b, c, e")
    one = tpc.compile(text=text).assuming({"readout": "1/2", "hidden.updates": "3/4"})
    found = region(one.module)
    assert found.alignment
    for b in (HALF, Fraction(3, 4), Fraction(1)):
        for c in (-1, -HALF, Fraction(0)):
            for e in (0, HALF, Fraction(1, 4)):
                point = {"b": b, "c": Fraction(c), "e": Fraction(e)}
                numeric = classify(one.module, point)
                stable = numeric.kind not in (Kind.UNSTABLE, Kind.DEGENERATE)
                assert found.kind(point) == (numeric.kind if stable else None), point


@pytest.mark.parametrize(
    ("stated", "names", "assumed"),
    [
        ({"readout": "1/2"}, {"V"}, Alignment(omega=HALF)),
        ({"W.updates": HALF}, {"W[1]", "W[2]"}, Alignment(alpha=HALF, u=HALF)),
        ({"W[2].u": HALF}, {"W[2]"}, Alignment(u=HALF)),
        ({"all.all": HALF, "input.all": 1, "hidden.all": 1}, {"V"}, Alignment(HALF, HALF, HALF)),
    ],
)
def test_who_is_meant(stated: dict[str, object], names: set[str], assumed: Alignment) -> None:
    found = program(MUP["sgd"], "sgd").assuming(stated)  # type: ignore[arg-type]
    assert set(found.module.alignment) == names
    assert set(found.module.alignment.values()) == {assumed}


@pytest.mark.parametrize(
    "stated", [{"Z": 1}, {"V.beta": 1}, {"V": "1/3"}, {"V": 2}, {"V": "half"}, {"readouts": 1}]
)
def test_refusals(stated: dict[str, object]) -> None:
    with pytest.raises(tpc.TpcError) as caught:
        program(MUP["sgd"], "sgd").assuming(stated)  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == "E0937"


def test_what_is_assumed_is_printed(tmp_path: object) -> None:
    one = program(EVERETT["standard", "adam"], "adam")
    assert "alignment assumed: full" in one.classify().text()
    less = one.classify(alignment={"readout": "1/2"})
    assert "alignment assumed: omega = 1/2 at V; full elsewhere" in less.text(why=True)
    assert json.loads(json.dumps(less.to_json()))["alignment"] == {
        "V": {"omega": "1/2", "alpha": "1", "u": "1"}
    }
    with_half = ["classify", "examples/perceptron.tp", "--alignment", "readout=1/2", "--json"]
    done = CliRunner().invoke(cli, with_half)
    assert json.loads(done.stdout)["alignment"]["V"]["omega"] == "1/2"
    phase = ["phase", "examples/phase.tp", "--alignment", "V=1/2"]
    assert "omega = 1/2 at V" in CliRunner().invoke(cli, phase).output


@pytest.mark.parametrize(
    ("stated", "readout", "hidden"),
    [
        ({}, ("1", "0", "0"), ("0", "1/2", "1")),
        # a readout less aligned with what its features do may begin at order one
        ({"readout": "1/2"}, ("1", "-1/2", "0"), ("0", "1/2", "1")),
        # updates less aligned with what they act on may be larger
        ({"readout.updates": "1/2"}, ("1", "0", "-1/2"), ("0", "1/2", "1")),
        ({"hidden.updates": "1/2"}, ("1", "0", "0"), ("0", "1/2", "1/2")),
    ],
)
def test_maximal_update_under_an_assumption(
    stated: dict[str, str], readout: tuple[str, ...], hidden: tuple[str, ...]
) -> None:
    text = PROGRAM.format("0, 0, 0", "0, 1/2, 1", "1, 0, 0", optimizer="adam")
    solved = tpc.compile(text=text).assuming(stated).solve().solved
    found = {name: tuple(map(str, abc)) for name, abc in solved.exponents.items()}
    assert (found["V"], found["W[1]"], found["W[2]"]) == (readout, hidden, hidden)
    assert solved.classification is not None
    assert {weight.update for weight in solved.classification.weights.values()} == {0}


def test_solve_prints_what_is_assumed(tmp_path: Path) -> None:
    path = tmp_path / "program.tp"
    path.write_text(PROGRAM.format("0, 0, 0", "0, 1/2, 1", "1, 0, 0", optimizer="adam"))
    for more in ([], ["--rates-only"]):
        request = ["solve", str(path), "--alignment", "readout=1/2", *more]
        said = CliRunner().invoke(cli, request)
        assert said.exit_code == 0, said.output
        assert "alignment assumed: omega = 1/2 at V" in said.output
        data = json.loads(CliRunner().invoke(cli, [*request, "--json"]).stdout)
        assert data["alignment"]
