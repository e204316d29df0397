"""The word2vec example: its script runs, and an interrupted job gives the same result."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tpc
from tpc.datasets import analogies, cbow
from tpc.datasets.text import Text, corpus
from tpc.online.saving import Saving

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "word2vec"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    return {name: importlib.import_module(name) for name in ("jobs", "toy")}


@pytest.mark.parametrize(("name", "kind"), [("word2vec", "feature"), ("kernel", "kernel")])
def test_classes(name: str, kind: str) -> None:
    program = tpc.compile(FOLDER / f"{name}.tp").with_(vocab=50)
    assert program.classify().kind == kind
    gauge = program.online().gauge
    assert gauge.width == 50
    assert gauge.moving == {"U": kind == "feature", "V": True}


def test_toy_text(modules: dict[str, ModuleType]) -> None:
    words = modules["toy"].text(50).split()
    assert len(words) == 50 * modules["toy"].LENGTH
    assert words == modules["toy"].text(50).split()
    assert modules["toy"].questions().count("\n") == 1 + 12 * 11


@pytest.mark.parametrize("width", [None, 6])
def test_interrupted_job_gives_the_same_result(
    width: int | None,
    modules: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = modules["jobs"]
    monkeypatch.setattr(cbow, "BATCH", 200)
    path, asked = modules["toy"].write(tmp_path, 80)
    text = corpus(Text(str(path)), 3)
    source = cbow.Cbow(text, 3, 5, 1e-2)
    settings = jobs.Settings(path.name, "", asked.name, None, False, 3, 2, 3, False, 5, 1e-2)
    quadruples = analogies.questions(asked)
    job = jobs.Job("word2vec", width, 0)
    whole = jobs.run(job, source, settings, tmp_path / "whole", quadruples)

    calls, plain = [], Saving.keep

    def interrupted(self: Saving, more: dict[str, np.ndarray], *, now: bool = False) -> bool:
        calls.append(now)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return plain(self, more, now=len(calls) == 3)

    with monkeypatch.context() as patch:
        patch.setattr(Saving, "keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            jobs.run(job, source, settings, tmp_path / "two", quadruples)
    assert list((tmp_path / "two" / "jobs").glob("*.npz"))
    resumed = jobs.run(job, source, settings, tmp_path / "two", quadruples)
    assert not list((tmp_path / "two" / "jobs").glob("*.npz"))
    for each in (whole, resumed):
        each["epochs"].pop("seconds")
    assert json.dumps(whole) == json.dumps(resumed)
    again = jobs.run(job, source, settings, tmp_path / "two", quadruples)
    assert again["scores"] == whole["scores"]


def test_script(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    text, asked = modules["toy"].write(tmp_path, 300)
    command = [sys.executable, "-W", "error", str(FOLDER / "run.py"), "--text", text.as_uri()]
    command += ["--questions", str(asked), "--least", "3", "--epochs", "1", "--widths", "8"]
    command += ["--seeds", "2", "--window", "3", "--negatives", "5"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^kernel regime, infinite width +0\.00 ", done.stdout, re.MULTILINE)
    for name in ("widths.png", "capitals.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {each["class"] for each in results} == {"feature", "kernel"}
    assert all(each["settings"]["epochs"] == 1 for each in results)
    wrong = subprocess.run(
        [*command, "--sha256", "0" * 64, "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error[E0912]")
