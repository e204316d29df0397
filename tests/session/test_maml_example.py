"""The few-shot example runs from one command, on data of its layout, and continues what it did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets.tiny import tiny_omniglot

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "maml" / "run.py"
ROWS = ["linear-limit", "linear-8", "relu-gp"]


def run(folder: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), "--data", str(folder)]
    command += ["--output", str(output), "--size", "5", "--steps", "3", "--tests", "6", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_script(tmp_path: Path) -> None:
    folder, output = tiny_omniglot(tmp_path / "data"), tmp_path / "out"
    done = run(folder, output, "--rows", *ROWS)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ROWS
    assert (output / "table.txt").read_text() in done.stdout
    assert (output / "accuracy.png").stat().st_size > 1000
    found = json.loads((output / "result-linear-limit-0.json").read_text())
    assert found["method"] == "linear"
    assert found["row"]["settings"] == {}
    assert found["test"]["tasks"] == 6
    again = run(folder, output, "--rows", *ROWS)
    assert again.stdout == done.stdout
    assert "limit" not in again.stderr  # nothing was run again


def test_missing_data(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere", tmp_path / "out")
    assert done.returncode == 1
    assert "cannot read data from" in done.stderr
    assert "Traceback" not in done.stderr
