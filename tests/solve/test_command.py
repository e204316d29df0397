"""``tpc solve`` on the command line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from solve.programs import ROOT_OF_WIDTH, perceptron, program

import tpc
from tpc.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "program.tp"
    path.write_text(perceptron("adam"), encoding="utf-8")
    return path


def test_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["solve", str(file)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "maximal update under adam, gauge table8"
    assert lines[5].split() == ["W[2..3]", "hidden", "1", "n^(-1/2)", "1/10", "n^-1"]


def test_a_program_that_says_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["solve", str(file), "--json"])
    full = json.loads(capsys.readouterr().out)
    file.write_text(perceptron("adam").replace("parametrization mup\n", ""), encoding="utf-8")
    main(["solve", str(file), "--json"])
    assert json.loads(capsys.readouterr().out)["weights"] == full["weights"]


def test_an_obstacle_is_told_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(program(ROOT_OF_WIDTH, "adam"), encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["solve", str(file)])
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("no maximal update") == 1


def test_export_to_a_file(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mup.py"
    main(["solve", str(file), "--export", "torch", "--base-width", "64", "-o", str(target)])
    assert "BASE_WIDTH = 64" in target.read_text(encoding="utf-8")
    assert str(target) in capsys.readouterr().out


def test_rates_only(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["solve", str(file), "--rates-only", "--set", "parametrization=standard", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["c"] == {"U": "1/2", "u": "1/2", "W[2]": "3/2", "W[3]": "3/2", "V": "1"}


def test_solved_programs(file: Path) -> None:
    solved = tpc.compile(file).solve(gauge="table9")
    assert solved.classify().kind == "feature"
    assert solved.module.params["V"].a == Fraction(1, 2)
    assert "W[2..3]" in solved.table(base_width=64)
    deeper = solved.with_(d=5)
    assert deeper.gauge == "table9"
    assert deeper.module.params["V"].a == Fraction(1, 2)
