"""Measured slopes of small programs, from Python and from the command line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.cli import main
from tpc.slopes import rate_factor, with_rates
from tpc.slopes.measure import Probe
from tpc.slopes.rates import ACCEPTED, movement
from tpc.study import random_data, target_kinds

ZOO = Path(__file__).resolve().parents[1] / "zoo"
NTK = ZOO / "mlp_ntk_sgd.tp"


def zoo(name: str) -> tpc.Program:
    return tpc.compile(ZOO / f"{name}.tp")


def test_rates_are_multiplied_everywhere() -> None:
    program = tpc.compile(
        text="""
width n
input x : [2]
target y : [1]
param U : [n, 2]  init normal(1) lr 0.5
param V : [1, n]  init normal(n^-1) lr 0.25 * n^-1
def f(x) = V @ tanh(U @ x)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 3)
"""
    )
    module = with_rates(program.module, Fraction(1, 4))
    assert module.optimizers[0].options["lr"].constant.value == 0.75
    assert module.params["U"].rate.value == 0.125
    assert module.params["V"].rate.value == 0.0625
    assert module.params["V"].c == program.module.params["V"].c


@pytest.mark.parametrize("name", ["mlp_mup_sgd", "mlp_muon", "attention_sgd", "mlp_ntk_sgd"])
def test_the_factor_makes_values_move_by_a_part_of_themselves(name: str) -> None:
    module = zoo(name).module
    probe = Probe(module, random_data(module, 4))
    factor = rate_factor(probe, 32, 3, 0)
    moved = movement(probe.sizes(with_rates(module, factor), 32, 3, 0), probe.outputs)
    assert ACCEPTED[0] <= moved <= ACCEPTED[1]


def test_the_program_own_rate_does_not_matter() -> None:
    """Rates that diverge, and rates that do nothing, give the same exponents."""
    text = NTK.read_text(encoding="utf-8")
    for rate in ("1000000", "0.000001"):
        program = tpc.compile(text=text.replace("lr = 0.1", f"lr = {rate}"))
        found = program.slopes(widths=(32, 64, 128, 256), seeds=range(8))
        assert found.holds
        assert found.row("f").slope == pytest.approx(0, abs=0.2)
        assert found.row("h").slope == pytest.approx(-0.5, abs=0.2)


def test_dropout_draws_the_same_masks_before_and_after() -> None:
    module = with_rates(zoo("dropout_mup").module, Fraction(0))
    sizes = Probe(module, random_data(module, 3)).sizes(module, 16, 2, 0)
    assert set(sizes.change.values()) == {0.0}


def test_data_of_the_user_are_used() -> None:
    program = zoo("mlp_ntk_sgd")
    zero = {"x": np.zeros((3, 8)), "y": np.ones((3, 2))}
    found = program.slopes(zero, widths=(16, 32), seeds=range(2))
    assert found.row("f", "initial").zero
    assert not found.holds


def test_random_data_fit_the_loss() -> None:
    for name, kind in (
        ("mlp_standard_adam", "probabilities"),
        ("tied_lm_adam", "probabilities"),
        ("mlp_logistic", "binary"),
        ("word2vec_mup", "binary"),
    ):
        module = zoo(name).module
        kinds = target_kinds(module)
        assert list(kinds.values()) == [kind]
        target = random_data(module, 5)[next(iter(kinds))]
        assert set(np.unique(target)) <= {0.0, 1.0}
        if kind == "probabilities":
            assert (target.sum(axis=-1) == 1).all()
    assert target_kinds(zoo("critic_mup").module) == {"a": "probabilities"}
    assert not target_kinds(zoo("mlp_ntk_sgd").module)


def test_random_inputs_have_unit_norm() -> None:
    module = zoo("attention_mup").module
    x = random_data(module, 2000)["x"]
    assert (x**2).sum(axis=-1).mean() == pytest.approx(1, abs=0.05)


def test_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "plots" / "check.png"
    request = ["simulate", str(NTK), "--slopes", "--widths", "16,32,64", "--seeds", "2"]
    main([*request, "--plot", str(plot)])
    text = capsys.readouterr().out
    assert "predicted" in text
    assert "z      change" in text
    assert plot.read_bytes().startswith(b"\x89PNG")
    main([*request, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["widths"] == [16, 32, 64]
    assert {row["name"] for row in found["rows"]} == {"h", "z", "f"}


@pytest.mark.parametrize("more", [["--widths", "16"], ["--batch", "2"], ["--against", "ntk"]])
def test_requests_that_make_no_sense(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", str(NTK), "--slopes", "--seeds", "1", *more])
    assert ended.value.code in (1, 2)
    assert "slopes" in capsys.readouterr().err
