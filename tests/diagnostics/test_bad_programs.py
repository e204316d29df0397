"""Programs in tests/bad are refused (or remarked on) with the codes and at the places they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tpc.diagnostics import Diagnostic, TpcError, all_codes, render
from tpc.elaborate import elaborate
from tpc.syntax import decode, parse

BAD = Path(__file__).resolve().parents[1] / "bad"
PROGRAMS = sorted(BAD.glob("*.tp"))
EXPECT = re.compile(r"^# expect: (E\d{4}) (\d+:\d+)$", re.MULTILINE)
IN_NO_PROGRAM = {"E0111", "E0114", "E0119", "E0706"}


def diagnose(path: Path) -> tuple[Diagnostic, ...]:
    try:
        return elaborate(parse(decode(path.read_bytes(), path.name))).notes
    except TpcError as error:
        return error.diagnostics


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_bad_program(path: Path) -> None:
    expected = EXPECT.findall(path.read_text(encoding="utf-8"))
    if path.stem == "syntax-empty":
        expected = [("E0110", "1:1")]
    found = diagnose(path)
    places = [(each.code, f"{each.span.line}:{each.span.column}") for each in found if each.span]
    assert places == expected
    for form in ("full", "concise", "json", "github"):
        assert render(found, form)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_repair_is_proposed(path: Path) -> None:
    for each in diagnose(path):
        assert each.help or each.code == "E0101", each


def test_there_are_many() -> None:
    assert len(PROGRAMS) >= 100


def test_every_code_is_explained_and_shown() -> None:
    sources = [p for folder in ("syntax", "elaborate") for p in _package(folder).glob("*.py")]
    used = {code for p in sources for code in re.findall(r'"(E0\d{3})"', p.read_text())}
    assert used <= set(all_codes())
    shown = {code for p in PROGRAMS for code, _ in EXPECT.findall(p.read_text(encoding="utf-8"))}
    assert used - shown == IN_NO_PROGRAM


def _package(folder: str) -> Path:
    return Path(__file__).resolve().parents[2] / "tpc" / folder
