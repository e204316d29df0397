"""The examples on images and on text: their data are what is said, and their scripts run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tpc
from tpc.data import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    "name", ["strokes", *(pytest.param(n, marks=pytest.mark.slow) for n in ("letters", "digits"))]
)
def test_script(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name / "run.py"), "--quick"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "infinite width, 5 steps" in done.stdout
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_images() -> None:
    program = tpc.compile(EXAMPLES / "strokes" / "strokes.tp")
    data = load(program.module, [str(EXAMPLES / "strokes" / "images.zip")])
    assert data.train["x"].shape == (680, 14, 14, 1)
    assert data.names["y"] == ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin")


def test_text() -> None:
    program = tpc.compile(EXAMPLES / "letters" / "letters.tp")
    data = load(program.module, [str(EXAMPLES / "letters" / "text.txt")])
    assert sorted(data.names["ids"])[:3] == [" ", "<unknown>", "a"]
    assert len(data.names["ids"]) == 28


def test_digits() -> None:
    program = tpc.compile(EXAMPLES / "digits" / "digits.tp")
    data = load(program.module, [str(EXAMPLES / "digits" / "digits.npz")])
    assert data.train["x"].shape == (1000, 64)
    assert data.test["y"].shape == (797, 10)
    counts = data.train["y"].sum(axis=0) + data.test["y"].sum(axis=0)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
