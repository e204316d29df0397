"""The set-up command, without setting anything up."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dev() -> dict[str, Any]:
    """The names of dev.py, not run as a script."""
    return runpy.run_path(str(ROOT / "dev.py"))


def dev_py(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "dev.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--help",), 0), (("no-such",), 2)])
def test_usage(arguments: tuple[str, ...], code: int) -> None:
    done = dev_py(*arguments)
    assert done.returncode == code
    assert "dev.py demo" in done.stdout


def test_old_python_is_refused(
    dev: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit):
        dev["check_version"]()
    assert "Python 3.11 or newer is needed; this is 3.10.4" in capsys.readouterr().err


def test_stamp_spares_an_installation(dev: dict[str, Any], tmp_path: Path) -> None:
    """An environment with a fresh stamp is left alone (it has no pip to run here)."""
    stamp = tmp_path / "tpc-installed.txt"
    stamp.write_text(dev["fingerprint"]("[dev]") + "\n", encoding="utf-8")
    dev["install"](tmp_path, "[dev]")
    dev["install"](tmp_path, "")


def test_missing_pip_is_explained(
    dev: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not dev["works"](tmp_path / "nothing")
    failing = subprocess.CompletedProcess([], 1, "", "ensurepip is not available")
    make = dev["make_environment"]
    make.__globals__["subprocess"] = type(
        "Fake", (), {"run": staticmethod(lambda *_, **__: failing)}
    )
    with pytest.raises(SystemExit):
        make(tmp_path / "env")
    assert "ensurepip" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a bash script")
def test_continuous_integration_is_a_script() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
