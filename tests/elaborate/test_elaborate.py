"""From trees to typed IR: what programs mean."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.diagnostics import Source, TpcError, render
from tpc.elaborate import Override, elaborate
from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.module import Module
from tpc.ir.node import walk
from tpc.ir.printer import print_module
from tpc.ir.verify import verify_module
from tpc.syntax import parse

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tp"))
HEAD = "width n\nsize d = 3, k = 2\nparametrization mup\ninput x : [d]\ntarget y : [k]\n"
PARAMS = "param U : [n, d]\nparam W : [n, n]\nparam V : [k, n]\n"
F = "def f(x) = V @ tanh(W @ tanh(U @ x))\n"
TRAIN = "train:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 0.1)\n"
NET = HEAD + PARAMS + F + TRAIN


def module(text: str, **overrides: Override) -> Module:
    found = elaborate(parse(Source.of(text)), overrides)
    verify_module(found)
    return found


def example(name: str, **overrides: Override) -> Module:
    path = next(each for each in EXAMPLES if each.stem == name)
    return module(path.read_text(encoding="utf-8"), **overrides)


def codes(text: str, **overrides: Override) -> list[str]:
    with pytest.raises(TpcError) as raised:
        module(text, **overrides)
    return [each.code for each in raised.value.diagnostics]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    found = module(path.read_text(encoding="utf-8"))
    assert print_module(found) == print_module(module(path.read_text(encoding="utf-8")))
    assert found.loss is not None
    assert set(found.trained) == set(found.params)
    assert all(found.optimizer_of(name) is not None for name in found.trained)
    assert set(walk([found.loss])) <= set(found.spans)


# ---- outputs and named values --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("perceptron", {"f": "batch [1]"}),
        ("word2vec", {"score": "batch [6]"}),
        ("maml", {"f": "batch [75, 5]"}),
        ("lstm", {"f": "batch [4, 3]"}),
    ],
)
def test_outputs(name: str, outputs: dict[str, str]) -> None:
    assert {each.name: str(each.node.type) for each in example(name).outputs} == outputs


def test_two_outputs() -> None:
    text = NET.replace("mse(f(x), y)", "mse(f(x), y) + mean(g(x)^2)")
    text = text.replace("def f", "param R : [1, n]\ndef g(x) = R @ tanh(U @ x)\ndef f")
    assert [each.name for each in module(text).outputs] == ["f", "g"]


def test_a_loss_of_ones_own_is_no_output() -> None:
    text = NET.replace("mse(f(x), y)", "mine(f(x), y)")
    text = text.replace("def f", "def mine(a, b) = mean((a - b)^2)\ndef f")
    assert [each.name for each in module(text).outputs] == ["f"]


def test_a_network_in_the_training_block() -> None:
    text = HEAD + PARAMS + "train:\n    h = tanh(U @ x)\n    g = V @ tanh(W @ h)\n"
    text += "    loss = mse(g, y)\n    optimizer sgd(lr = 0.1)\n"
    assert [each.name for each in module(text).outputs] == ["g"]


def test_without_training() -> None:
    found = module(HEAD + PARAMS + F)
    assert found.loss is None
    assert found.output.name == "f"
    assert found.trained == ()


def test_values_of_loops_are_numbered() -> None:
    names = [each.name for each in example("perceptron").values]
    assert names == ["z#1", "z#2", "z"]
    assert "h[4]" in [each.name for each in example("lstm").values]


# ---- overrides -----------------------------------------------------------------------------------


def test_sizes() -> None:
    found = example("perceptron", L=5, d="10")
    assert [name for name in found.params if name[0] == "W"] == ["W[2]", "W[3]", "W[4]", "W[5]"]
    assert str(found.params["U"].type) == "[n, 10]"
    assert "W[2]" not in example("perceptron", L=1).params


def test_activations() -> None:
    assert "tanh" in print_module(example("perceptron", phi="tanh"))
    assert "leaky_relu" in print_module(example("perceptron", phi="leaky_relu(0.2)"))


def test_exponents() -> None:
    found = example("phase", c=1, a1="-1/2", b1=Fraction(1, 2))
    assert found.exponents == ("a2", "b2", "a3", "b3")
    assert found.params["U"].a == Affine.of(Fraction(-1, 2))
    assert example("phase", a1="a2 + 1").params["U"].a == Affine.symbol("a2") + 1


def test_parametrization_and_reals() -> None:
    found = example("maml", parametrization="ntk", inner=0.25)
    assert found.parametrization == "ntk"
    assert found.reals["inner"] == Fraction(1, 4)


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"D": 3}, "E0706"),
        ({"U": 3}, "E0706"),
        ({"d": "("}, "E0706"),
        ({"d": "1/2"}, "E0306"),
        ({"d": float("nan")}, "E0706"),
        ({"phi": "reluu"}, "E0201"),
        ({"parametrization": "mop"}, "E0408"),
        ({"d": "x\n3"}, "E0706"),
        ({"d": "__import__('os')"}, "E0706"),
    ],
)
def test_bad_overrides(overrides: dict[str, Override], code: str) -> None:
    path = next(each for each in EXAMPLES if each.stem == "perceptron")
    assert codes(path.read_text(encoding="utf-8"), **overrides) == [code]


# ---- weights -------------------------------------------------------------------------------------


def spec(modifiers: str, axes: str = "[n, n]", head: str = HEAD) -> object:
    text = head + f"param U : [n, d] abc(0, 0, 0)\nparam W : {axes} {modifiers}\n"
    text += "param V : [k, n] abc(0, 0, 0)\n"
    found = module(text + "def f(x) = V @ tanh(U @ x)\n").params["W"]
    return (found.a, found.b, found.c, found.sigma, found.mult, found.rate, found.init)


BARE = HEAD.replace("parametrization mup\n", "")
HALF, ONE, ZERO = Affine.of(Fraction(1, 2)), Affine.of(1), Affine.of(0)
UNIT = Constant.of(1)


def test_modifiers() -> None:
    assert spec("abc(0, 1/2, 1)") == (ZERO, HALF, ONE, UNIT, UNIT, None, "normal")
    assert spec("") == (None, None, None, UNIT, UNIT, None, "normal")
    assert spec("init normal(2*n^(-1/2)) mult 3", head=BARE) == (
        *(ZERO, HALF, ZERO),
        *(Constant.of(2), Constant.of(3), None, "normal"),
    )
    assert spec("lr 0.1 * n^-1", head=BARE)[2] == ONE  # type: ignore[index]
    assert spec("mult n^-1 init zero")[:3] == (ONE, None, None)  # type: ignore[index]


@pytest.mark.parametrize(
    ("axes", "ratio"),
    [
        ("[3, 3, n, n]", Fraction(2, 9)),
        ("[n, 4*n]", Fraction(1, 2)),
        ("[n, d]", Fraction(2, 3)),
        ("[3, 3, n, 5]", Fraction(2, 45)),
        ("[k, n]", Fraction(2)),
    ],
)
def test_fan_in(axes: str, ratio: Fraction) -> None:
    assert spec("init fan_in(2)", axes)[3] == Constant.sqrt(ratio)  # type: ignore[index]


def test_families_with_two_indices() -> None:
    text = NET.replace("param W :", "param W[1..2, 1..2] :").replace("W @", "W[2, 1] @")
    assert "W[2, 1]" in module(text).params


def test_remarks() -> None:
    text = NET.replace("param W", "param b : [n]\nparam Q : [n, n]\nparam W")
    notes = module(text.replace("tanh(U @ x)", "tanh(U @ x + b)")).notes
    assert [(each.code, each.severity) for each in notes] == [
        ("E0411", "note"),
        ("E0410", "warning"),
    ]


# ---- meaning -------------------------------------------------------------------------------------


def same(one: str, other: str, decl: str = "") -> None:
    """Two bodies of f are the same graph."""
    made = [
        module(HEAD + decl + PARAMS + f"def f(x):\n{body}\n").output.node for body in (one, other)
    ]
    assert made[0] is made[1]


def test_functions_are_expanded() -> None:
    same(
        "    return V @ tanh(W @ (U @ x))",
        "    return V @ layer(A = W, h = U @ x)",
        "def layer(h, A) = tanh(A @ h)\n",
    )


def test_arguments_hide_params() -> None:
    same("    return V @ (W @ (U @ x))", "    return g(W @ (U @ x), V)", "def g(U, W) = W @ U\n")


def test_loops_are_unrolled() -> None:
    same(
        "    z = U @ x\n    for t in 1..2:\n        z = W @ z + t * z\n    return V @ z",
        "    z = U @ x\n    z = W @ z + z\n    z = W @ z + 2 * z\n    return V @ z",
    )
    same(
        "    z = U @ x\n    for t in 1..0:\n        z = W @ z\n    return V @ z",
        "    return V @ (U @ x)",
    )


def test_families_of_values() -> None:
    plain = "    return mean(stack(V @ (U @ x), V @ tanh(U @ x)), axis = 1)"
    same(
        "    s[1] = V @ (U @ x)\n    s[2] = V @ tanh(U @ x)\n    return mean(stack(s), axis = 1)",
        plain,
    )
    same(
        "    h[1] = U @ x\n    h[2] = tanh(U @ x)\n"
        "    return mean(stack(V @ h[t] for t in 1..2), axis = 1)",
        plain,
    )


def test_constants() -> None:
    same(
        "    return (2*d - 4)^(1/2) * n^-1 * (V @ (U @ x))",
        "    return sqrt(2) / n * (V @ (U @ x))",
    )
    same("    return -(-(V @ (U @ x)))", "    return V @ (U @ x)")


def test_shadowing_of_loop_variables() -> None:
    text = "    t = 5\n    z = U @ x\n    for t in 1..2:\n        z = t * z\n    return t * (V @ z)"
    same(text, "    return 10 * (V @ (U @ x))")


def test_inner_steps_carry_the_weights_scaling() -> None:
    text = print_module(example("maml"))
    assert text.count("= rate(") == 2
    assert "stop_gradient" in text


def test_optimizers() -> None:
    text = NET.replace(
        "    optimizer sgd(lr = 0.1)\n",
        "    optimizer muon(lr = 0.02) for W, U\n    optimizer adam(lr = 0.1, eps = 1e-8 * n^-1)\n",
    )
    first, rest = module(text).optimizers
    assert (first.name, first.params, rest.params) == ("muon", ("W", "U"), None)
    assert rest.options["eps"] == Coefficient(Constant.of(Fraction(1, 10**8)), Affine.of(-1))
    faithful = module(text.replace("1e-8 * n^-1", "faithful"))
    assert faithful.optimizers[1].options["eps"] == "faithful"


def test_dropout_sites_differ() -> None:
    text = NET.replace("tanh(U @ x)", "dropout(dropout(U @ x, rate = 1/2), rate = 1/2)")
    found = module(text)
    assert found.loss is not None
    sites = {each.attrs["site"] for each in walk([found.loss]) if "site" in each.attrs}
    assert len(sites) == 2


def test_written_activations() -> None:
    decl = "act phi(z) = z^2 / 2 + sin(z)\nact relu_too(z) = where(z > 0, z, 0)\n"
    decl += "act psi(z) = phi(z) * min(max(z, -1), 1) + leaky_relu(0.1)(z)\n"
    text = HEAD + decl + PARAMS + "def f(x) = V @ psi(W @ relu_too(U @ x))\n"
    assert "psi" in print_module(module(text))


def test_noise_in_the_training_block() -> None:
    text = NET.replace("train:\n", "train:\n    noise z : [d]\n").replace("f(x), y", "f(x + z), y")
    assert module(text).inputs["z"].role == "noise"


# ---- hard programs -------------------------------------------------------------------------------


def test_long_programs() -> None:
    lines = "".join("    z = z + x[1]\n" for _ in range(10_000))
    found = module(HEAD + PARAMS + f"def f(x):\n    z = V @ (U @ x)\n{lines}    return z\n")
    assert found.output.name == "f"


def test_long_sums() -> None:
    text = " + ".join(["x[1]"] * 3000)
    assert module(HEAD + PARAMS + f"def f(x) = V @ (U @ x) + {text}\n").output


NAMES = re.compile(r"\b[A-Za-z_]\w*\b|\d+")


@given(st.integers(0, 10**6))
def test_shuffled_names(seed: int) -> None:
    """Programs that parse but mean little end in diagnostics, never in another exception."""
    chance = random.Random(seed)
    text = chance.choice(EXAMPLES).read_text(encoding="utf-8")
    words = [each for each in NAMES.findall(text) if not each.isdigit() or len(each) < 3]
    places = list(NAMES.finditer(text))
    for _ in range(chance.randint(1, 4)):
        place = chance.choice(places)
        if place.end() - place.start() <= len(text):
            text = text[: place.start()] + chance.choice(words) + text[place.end() :]
            places = list(NAMES.finditer(text))
    try:
        module(text)
    except TpcError as error:
        found = error.diagnostics
    else:
        return
    assert render(found)
    assert any(each.severity == "error" for each in found)


def test_checking_loads_nothing_heavy() -> None:
    path = next(each for each in EXAMPLES if each.stem == "transformer")
    code = (
        "import sys\nfrom tpc.syntax import decode, parse\nfrom tpc.elaborate import elaborate\n"
        f"elaborate(parse(decode(open({str(path)!r}, 'rb').read(), 'x')))\n"
        "print([m for m in ('sympy', 'numba', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
