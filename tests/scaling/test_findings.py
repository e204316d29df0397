"""What classify tells apart and how it mends: a program for each, and the printed forms."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

import tpc
from tpc.scaling import Classification, Kind

HALF = Fraction(1, 2)
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "scaling"

DEEP = "def f(x) = V @ tanh(W @ tanh(U @ x))"
MUP = (
    "param U : [n, d] abc(-1/2, 1/2, 0)\nparam W : [n, n] abc(0, 1/2, 0)\n"
    "param V : [1, n] abc(1/2, 1/2, 0)"
)
NTK = (
    "param U : [n, d] abc(0, 0, 0)\nparam W : [n, n] abc(1/2, 0, 0)\n"
    "param V : [1, n] abc(1/2, 0, 0)"
)
STANDARD = (
    "param U : [n, d] abc(0, 0, 0)\nparam W : [n, n] abc(0, 1/2, 0)\n"
    "param V : [1, n] abc(0, 1/2, 0)"
)
ATTENTION = """def f(x):
    h = U @ x
    s = einsum("t n, u n -> t u", Q @ h, K @ h) * n^{power}
    z = h + einsum("t u, u n -> t n", softmax(s, axis = 2), h)
    return V @ tanh(mean(z, axis = 1))"""
ATTENTION_PARAMS = (
    "param U : [n, d] abc(0, 0, 1/2)\nparam Q, K : [n, n] abc(0, 1/2, 1)\n"
    "param V : [1, n] abc({readout})"
)

#: name: (body, params, optimizer, shape of x)
PROGRAMS = {
    "degenerate initialisation": (DEEP, MUP.replace("abc(0, 1/2, 0)", "abc(0, 1, 0)"), "sgd", "d"),
    "trivial with moving features": (
        DEEP,
        "param U : [n, d] abc(-1/2, 1/2, -1/2)\nparam W : [n, n] abc(0, 1/2, -1/2)\n"
        "param V : [1, n] abc(1, 1/2, 0)",
        "sgd",
        "d",
    ),
    "feature learning with lazy weights": (
        DEEP,
        MUP.replace("abc(0, 1/2, 0)", "abc(0, 1/2, 1)"),
        "sgd",
        "d",
    ),
    "weights that never move": (
        "def f(x) = V @ (A @ tanh(U @ x) + B @ (Z @ tanh(U @ x)))",
        "param U : [n, d] abc(-1/2, 1/2, 0)\nparam A : [n, n] abc(0, 1/2, 0)\n"
        "param B : [n, n] abc(0, 1/2, 0) init zero frozen\nparam Z : [n, n] abc(0, 1/2, 0)\n"
        "param V : [1, n] abc(1/2, 1/2, 0)",
        "sgd",
        "d",
    ),
    "kernel through the readout only": (
        "def f(x) = V @ tanh(U @ x)",
        "param U : [n, d] abc(0, 0, 1)\nparam V : [1, n] abc(0, 1/2, 1)",
        "sgd",
        "d",
    ),
    "both kernel and feature": (
        "def f(x):\n    h = U @ x\n    return V @ h",
        "param U : [n, d] abc(-1/2, 1/2, 0)\nparam V : [1, n] abc(1/2, 1/2, 0) frozen",
        "sgd",
        "d",
    ),
    "zero at initialisation": (DEEP, MUP, "sgd", "d"),
    "Gaussian process": (DEEP, NTK, "sgd", "d"),
    "deterministic at initialisation": (
        "def f(x) = n^-1 * (E @ tanh(E.T @ x))",
        "param E : [d, n] abc(0, 0, -1)",
        "sgd",
        "d",
    ),
    "mixture of Gaussian processes": (
        ATTENTION.format(power="(-1/2)"),
        ATTENTION_PARAMS.format(readout="1/2, 0, 1").replace("1)", "2)"),
        "adam",
        "T, d",
    ),
    "shrinkage by weight decay": (DEEP, NTK, "sgd decay", "d"),
}


def classified(body: str, params: str, optimizer: str = "sgd", shape: str = "d") -> Classification:
    line = {"sgd decay": "sgd(lr = 1, decay = 0.1)"}.get(optimizer, f"{optimizer}(lr = 1)")
    text = (
        f"width n\nsize d = 4, T = 3\ninput x : [{shape}]\n"
        f"target y : [{'d' if 'E.T' in body else 1}]\n{params}\n{body}\n"
        f"train:\n    loss = mse(f(x), y)\n    optimizer {line}\n"
    )
    return tpc.compile(text=text).classify()


@pytest.mark.parametrize("name", PROGRAMS)
def test_findings(name: str) -> None:
    found = classified(*PROGRAMS[name])
    (finding,) = [each for each in found.findings if each.name == name]
    assert finding.text
    assert finding.weights or finding.values


def test_findings_go_with_classes() -> None:
    """A finding that speaks of a class is made in that class alone."""
    kinds = {
        "trivial with moving features": Kind.TRIVIAL,
        "feature learning with lazy weights": Kind.FEATURE,
        "kernel through the readout only": Kind.KERNEL,
        "both kernel and feature": Kind.FEATURE,
        "degenerate initialisation": Kind.DEGENERATE,
    }
    for program in PROGRAMS.values():
        found = classified(*program)
        for finding in found.findings:
            assert kinds.get(finding.name, found.kind) is found.kind


def test_which_weights_are_meant() -> None:
    found = classified(*PROGRAMS["feature learning with lazy weights"])
    assert found.findings[0].weights == ("W",)
    found = classified(*PROGRAMS["kernel through the readout only"])
    assert found.findings[0].weights == ("V",)
    found = classified(*PROGRAMS["weights that never move"])
    assert found.findings[0].weights == ("Z",)


# -- mending ---------------------------------------------------------------------------------------

#: name: (body, params, optimizer, shape, which exponent, whose, by how much, then)
BROKEN = {
    "a forgotten readout multiplier": (
        *(DEEP, MUP.replace("abc(1/2, 1/2, 0)", "abc(0, 1/2, 0)"), "sgd", "d"),
        *("a", ("V",), HALF, Kind.FEATURE),
    ),
    "a rate of one weight too large": (
        *(DEEP, MUP.replace("abc(0, 1/2, 0)", "abc(0, 1/2, -1)"), "sgd", "d"),
        *("c", ("W",), Fraction(1), Kind.FEATURE),
    ),
    "rates of all weights too large": (
        *(DEEP, STANDARD, "adam", "d"),
        *("c", ("U", "W", "V"), Fraction(3, 2), Kind.KERNEL),
    ),
    "a readout that mends all rates": (
        *(DEEP, NTK.replace(", 0)", ", -1/3)"), "sgd", "d"),
        *("a", ("V",), Fraction(1, 6), Kind.KERNEL),
    ),
    "an initial deviation too large": (
        *(DEEP, NTK.replace("V : [1, n] abc(1/2, 0, 0)", "V : [1, n] abc(1/2, -1/4, 0)")),
        *("sgd", "d", "b", ("V",), Fraction(1, 4), Kind.KERNEL),
    ),
    "a hidden weight that vanishes": (
        *(DEEP, MUP.replace("abc(0, 1/2, 0)", "abc(0, 1, 0)"), "sgd", "d"),
        *("b", ("W",), -HALF, Kind.FEATURE),
    ),
    "a decay of more than all": (
        *(
            DEEP,
            NTK.replace("W : [n, n] abc(1/2, 0, 0)", "W : [n, n] abc(1/2, 0, 0) decay n"),
            "sgd",
        ),
        *("d", "decay", ("W",), Fraction(1), Kind.KERNEL),
    ),
    "attention divided by the root": (
        *(ATTENTION.format(power="(-1/2)"), ATTENTION_PARAMS.format(readout="1, 0, 0"), "adam"),
        *("T, d", "n", (), HALF, Kind.FEATURE),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_smallest_change_that_mends(name: str) -> None:
    *program, which, weights, change, kind = BROKEN[name]
    found = classified(*program)  # type: ignore[arg-type]
    assert found.kind in (Kind.UNSTABLE, Kind.DEGENERATE)
    mend = found.mend
    assert mend is not None
    assert (mend.which, mend.weights, mend.change, mend.kind) == (which, weights, change, kind)
    assert mend.text() in found.text()


def test_a_region_knows_of_decay() -> None:
    """Decay takes n^-c of a weight, and no more than all of it."""
    text = (
        "width n\nsize d = 4\nexponent c\ninput x : [d]\ntarget y : [1]\n"
        "param U : [n, d] abc(0, 0, c)\nparam V : [1, n] abc(1/2, 1/2, 0) frozen\n"
        "def f(x) = V @ tanh(U @ x)\ntrain:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 1)\n"
    )
    free = tpc.compile(text=text).region()
    bound = tpc.compile(text=text.replace("lr = 1", "lr = 1, decay = 0.1")).region()
    assert free.contains({"c": -HALF})
    assert not bound.contains({"c": -HALF})
    assert bound.contains({"c": 0})


def test_a_stable_program_needs_no_mending() -> None:
    assert classified(DEEP, MUP).mend is None


def test_where_no_single_change_mends() -> None:
    params = "param U : [n, d] abc(-1, 0, 0)\nparam W : [n, n] abc(-1, 0, 0)\n"
    found = classified(DEEP, params + "param V : [1, n] abc(0, -1, 0)")
    assert found.mend is None
    assert "no change of a single exponent mends it" in found.text()


# -- printed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PROGRAMS, *BROKEN])
def test_printed(name: str, request: pytest.FixtureRequest) -> None:
    program = PROGRAMS[name] if name in PROGRAMS else BROKEN[name][:4]
    found = classified(*program)  # type: ignore[arg-type]
    path = GOLDEN / "findings" / f"{name.replace(' ', '_')}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found.text(why=True) + "\n", encoding="utf-8")
    assert found.text(why=True) + "\n" == path.read_text(encoding="utf-8")
    data = json.loads(json.dumps(found.to_json()))
    assert [each["name"] for each in data["findings"]] == [f.name for f in found.findings]
    assert (data["mend"] is None) == (found.mend is None)
    assert all(weight["why"]["what"] for weight in data["weights"].values())
