"""What a user installs: the wheel holds the grammar, the licence and nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_ships_the_grammar(names: list[str]) -> None:
    assert "tpc/syntax/tp.lark" in names


def test_wheel_ships_every_module(names: list[str]) -> None:
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "tpc").rglob("*.py")}
    assert modules <= set(names)


def test_wheel_ships_the_licence_and_no_tests(names: list[str]) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tpc"}
