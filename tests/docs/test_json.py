"""docs/json.md names exactly the members that the commands print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tpc.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
PERCEPTRON = str(ROOT / "examples" / "perceptron.tp")
CHARACTERS = str(ROOT / "examples" / "characters" / "characters.tp")
PHASE = str(ROOT / "examples" / "phase.tp")

COMMANDS = {
    "`tpc check --json`": ["check", PERCEPTRON],
    "`tpc classify --json`": ["classify", PERCEPTRON],
    "`tpc classify --json` with unknown exponents": ["classify", PHASE],
    "`tpc solve --json`": ["solve", PERCEPTRON],
    "`tpc solve --rates-only --json`": ["solve", PERCEPTRON, "--rates-only"],
    "`tpc phase --json`": ["phase", PHASE, "--x", "c", "--y", "b3"],
    "`tpc derive --json`": ["derive", CHARACTERS],
    "`tpc derive --kind feature --json`": ["derive", PERCEPTRON, "--kind", "feature"],
    "`tpc run --json`": ["run", CHARACTERS, "--data", "mine.npz"],
    "`tpc compile --json`": ["compile", CHARACTERS, "-o", "written"],
    "`tpc simulate --json`": ["simulate", CHARACTERS, "--widths", "8", "--seeds", "1"],
    "`tpc simulate --against limit --json`": [
        *("simulate", CHARACTERS, "--set", "d=3", "--against", "limit"),
        *("--widths", "8", "--seeds", "2", "--steps", "1"),
    ],
    "`tpc simulate --slopes --json`": [
        "simulate",
        PERCEPTRON,
        "--slopes",
        "--widths",
        "8,16",
        "--seeds",
        "1",
    ],
}


def documented(heading: str) -> set[str]:
    """Return the members in the table under a heading of the page."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("heading", COMMANDS)
def test_members(
    heading: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", x=np.eye(3, 225), y=np.arange(3))
    main([*COMMANDS[heading], "--json"])
    assert set(json.loads(capsys.readouterr().out)) == documented(heading)


def test_diagnostics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.tp"
    bad.write_text("width n\nparam W : [n, m]\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["check", str(bad), "--json"])
    document = json.loads(capsys.readouterr().err)
    assert set(document) == documented("Diagnostics")
    mentioned = set(re.findall(r"`(\w+)`", PAGE.split("## Diagnostics\n", 1)[1]))
    assert set(document["diagnostics"][0]) <= mentioned
