"""Phase diagrams: named points, exact slices against numeric classes, text, LaTeX, pictures."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

import tpc
from tpc.cli import cli
from tpc.phase import Phase
from tpc.scaling import Kind, classify

ROOT = Path(__file__).resolve().parents[2]
PHASE = ROOT / "examples" / "phase.tp"
HALF = Fraction(1, 2)

SHALLOW = """width n
size d = 4
exponent a1, b1, a2, b2, c
input x : [d]
target y : [1]
param U : [n, d] abc(a1, b1, c)
param V : [1, n] abc(a2, b2, c)
def f(x) = V @ tanh(U @ x)
train:
    loss = mse(f(x), y)
    optimizer {optimizer}(lr = 1)
"""


@pytest.fixture(scope="module")
def diagram() -> Phase:
    return tpc.compile(PHASE).phase("c", "b3")


def kind_in(found: Phase, x: Fraction, y: Fraction) -> Kind:
    """Return the class that the parts of a slice give a place."""
    assert found.slice is not None
    point = {found.slice.x: x, found.slice.y: y}
    here = {
        part.kind
        for part in found.slice.parts
        if part.polyhedron.contains(point) and all(f.evaluate(point) > 0 for f in part.positive)
    }
    assert len(here) <= 1
    return here.pop() if here else Kind.UNSTABLE


@pytest.mark.parametrize(
    ("x", "y", "at"),
    [
        ("c", "b3", {}),
        ("c", "b3", {"a1": 0, "a2": 0, "a3": 0}),
        ("b2", "b3", {"a2": 0}),
        ("a1", "b1", {}),
        ("a1", "b2", {"a2": 0, "b1": 0}),
        ("a3", "c", {"a1": 0}),
    ],
)
def test_a_slice_says_what_classify_says(x: str, y: str, at: dict[str, int]) -> None:
    program = tpc.compile(PHASE)
    found = program.phase(x, y, at=at)
    assert found.slice is not None
    (left, right), (low, high) = found.slice.box
    for i in range(5):
        for j in range(5):
            place = left + (right - left) * Fraction(i, 4), low + (high - low) * Fraction(j, 4)
            point = found.slice.point(*place)
            assert kind_in(found, *place) == classify(program.module, point).kind, point
    for corner in found.slice.corners:
        point = found.slice.point(*corner)
        assert kind_in(found, *corner) == classify(program.module, point).kind


@pytest.mark.parametrize(
    ("x", "y", "at", "names"),
    [
        ("a3 + b3", "c", {}, ("(a3 + b3)", "c")),
        ("a3+b3", "2*a3 + c", {"a1": 0}, ("(a3 + b3)", "(2*a3 + c)")),
        ("c", "a1 - 1/2*a2", {"a2": 0}, ("c", "(a1 - a2/2)")),
    ],
)
def test_axes_may_be_combinations(
    x: str, y: str, at: dict[str, int], names: tuple[str, str]
) -> None:
    found = tpc.compile(PHASE).phase(x, y, at=at)
    assert found.slice is not None
    assert (found.slice.x, found.slice.y) == names
    (left, right), (low, high) = found.slice.box
    for i in range(4):
        for j in range(4):
            place = left + (right - left) * Fraction(i, 3), low + (high - low) * Fraction(j, 3)
            point = found.slice.point(*place)
            assert kind_in(found, *place) == classify(found.module, point).kind, point
    assert found.latex()
    json.dumps(found.to_json())
    kinds = {mark.name: mark.kind for mark in found.marks}
    assert kinds == {"standard": Kind.UNSTABLE, "ntk": Kind.KERNEL, "mup": Kind.FEATURE}


@pytest.mark.parametrize("axis", ["q", "a1 +", "a1 b1", "3", "a1 - a1", "a1 + q"])
def test_axes_that_are_none(axis: str) -> None:
    with pytest.raises(tpc.TpcError, match="E0934"):
        tpc.compile(PHASE).phase(axis, "c")


def test_an_axis_whose_exponents_are_given() -> None:
    with pytest.raises(tpc.TpcError, match="fixed by what is given"):
        tpc.compile(PHASE).phase("a3 + b3", "c", at={"a3": 0, "b3": 0})


def test_named_parametrizations(diagram: Phase) -> None:
    kinds = {mark.name: mark.kind for mark in diagram.marks}
    assert kinds == {"standard": Kind.UNSTABLE, "ntk": Kind.KERNEL, "mup": Kind.FEATURE}
    for mark in diagram.marks:
        assert mark.point is not None
        assert classify(diagram.module, mark.point).kind is mark.kind
        assert mark.places.contains(mark.point)
    assert diagram.slice is not None
    ((mark,)) = diagram.slice.marks
    assert (mark.names, mark.x, mark.y) == (("mup",), 0, HALF)


def test_mean_field_is_the_maximal_update_of_one_hidden_layer() -> None:
    found = tpc.compile(text=SHALLOW.format(optimizer="sgd")).phase("c", "b2")
    assert [mark.names for mark in found.slice.marks] == [("mean_field", "mup")]
    assert {mark.name for mark in found.marks} == {"standard", "ntk", "mean_field", "mup"}
    by_name = {mark.name: mark for mark in found.marks}
    assert by_name["mean_field"].places == by_name["mup"].places


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adafactor"])
def test_gauges_of_a_named_parametrization(optimizer: str) -> None:
    """Every vertex and every line of the places is of the class of the name."""
    program = tpc.compile(text=SHALLOW.format(optimizer=optimizer))
    for mark in program.phase().marks:
        if mark.point is None:
            continue
        for line in mark.places.generators.lines:
            for t in (-1, HALF):
                moved = {s: mark.point[s] + t * line[s] for s in mark.point}
                assert classify(program.module, moved).kind is mark.kind


def test_faces_by_example(diagram: Phase) -> None:
    names = {each.name for each in diagram.examples}
    assert {"feature 1", "kernel 1", "trivial"} <= names
    for each in diagram.examples:
        assert each.face.contains(each.point)
        assert each.found.kind is each.face.kind
        assert bool(each.moving) == (each.face.kind is not Kind.TRIVIAL)


def test_exponents_of_a_slice_follow_the_equalities() -> None:
    found = tpc.compile(PHASE).phase("a1", "b3")
    assert found.slice is not None
    assert str(found.slice.at["b1"]) == "-a1"
    assert found.slice.at["b2"] == HALF


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"x": "c", "y": "q"}, "E0934"),
        ({"x": "c", "y": "c"}, "E0934"),
        ({"x": "c", "y": "b3", "at": {"c": 0}}, "E0934"),
        ({"x": "c", "y": "b3", "through": "mean_field"}, "E0934"),
        ({"x": "c"}, "E0935"),
    ],
)
def test_refusals(request_: dict[str, object], code: str) -> None:
    program = tpc.compile(PHASE)
    with pytest.raises(tpc.TpcError) as caught:
        program.phase(**request_)  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == code


def test_what_nothing_fixes_is_asked_for() -> None:
    text = SHALLOW.format(optimizer="sgd").replace(
        "V : [1, n] abc(a2, b2, c)", "V : [1, n] abc(0, 0, c)"
    )
    text = text.replace("a2, b2, c", "c").replace("exponent a1, b1, c", "exponent a1, b1, c, e")
    text = text.replace("V @ tanh(U @ x)", "n^(-e) * (V @ tanh(U @ x))")
    with pytest.raises(tpc.TpcError) as caught:
        tpc.compile(text=text).phase("c", "b1")
    assert caught.value.diagnostics[0].code == "E0935"
    assert "e free" in caught.value.diagnostics[0].headline


def test_without_exponents_there_is_no_diagram() -> None:
    with pytest.raises(tpc.TpcError) as caught:
        tpc.compile(ROOT / "examples" / "perceptron.tp").phase()
    assert caught.value.diagnostics[0].code == "E0936"


def test_forms_of_the_answer(diagram: Phase, tmp_path: Path) -> None:
    latex = diagram.region.latex()
    assert r"a_{1} + b_{1} &= 0" in latex
    assert latex.count("{") - latex.count(r"\left\{") == latex.count("}")
    assert diagram._repr_latex_().startswith("$")
    data = json.loads(json.dumps(diagram.to_json()))
    assert data["slice"]["parts"][0]["kind"] == "trivial"
    assert data["named"][2]["name"] == "mup"
    for suffix in ("png", "svg"):
        path = tmp_path / f"diagram.{suffix}"
        diagram.plot(path)
        assert path.stat().st_size > 5_000


def test_the_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["phase", str(PHASE), *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert "named parametrizations" in run()
    assert "all else is unstable" in run("--x", "c", "--y", "b3", "--plot", f"{tmp_path}/p.png")
    assert run("--latex").startswith(r"\begin{gathered}")
    assert json.loads(run("--json", "--x", "c", "--y", "b3", "--at", "a1=0"))["schema"] == 1
    assert CliRunner().invoke(cli, ["phase", str(PHASE), "--x", "c"]).exit_code == 2
