"""`tpc run --steps` and `tpc simulate --against limit` as their user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.cli.test_cli import PROGRAM, run

MUP = (
    PROGRAM.replace("abc(0, 0, 0)", "")
    .replace("abc(1/2, 0, 0)", "")
    .replace("size d = 3", "size d = 3\nparametrization mup")
    .replace("V @ erf(U @ x)", "V @ z")
    .replace("def f(x) =", "def f(x):\n    z = erf(U @ x)\n    return")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        x=random.standard_normal((6, 3)),
        y=np.array([0, 1, 0, 1, 0, 1]),
        test_x=random.standard_normal((4, 3)),
        test_y=np.array([0, 1, 1, 0]),
    )
    (tmp_path / "kernel.tp").write_text(PROGRAM)
    (tmp_path / "feature.tp").write_text(MUP)
    return tmp_path


def test_training_under_the_kernel(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out.npz"
    request = ["--data", folder / "data.npz", "--steps", "3", "--start", "mean"]
    assert run("run", folder / "kernel.tp", *request, "--output", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "ntk"
    assert found["arrays"] == {"f": [4, 4, 2], "error": [4, 4, 2], "loss": [3], "loss_error": [3]}
    assert 0 <= float(found["numbers"]["test_accuracy"]) <= 1
    with np.load(folder / "data.npz") as data:
        x, y, test = data["x"], np.eye(2)[data["y"]], data["test_x"]
    limit = tpc.compile(folder / "kernel.tp").limit("ntk")
    run_ = limit.train({"x": x, "y": y}, 3, test={"x": test}, start="mean")
    with np.load(out) as saved:
        np.testing.assert_array_equal(saved["f"], run_.f)
    assert not out.with_name("out.npz.part").exists()


def test_draws_by_seed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for seed in ("0", "0", "1"):
        request = ["--data", folder / "data.npz", "--steps", "2", "--batch", "3", "--seed", seed]
        assert run("run", folder / "kernel.tp", "--kind", "ntk", *request) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_recorded_kernels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out.npz"
    request = ["--data", folder / "data.npz", "--steps", "2", "--tolerance", "0.02"]
    assert run("run", folder / "feature.tp", *request, "--record", "z", "--output", out) == 0
    capsys.readouterr()
    with np.load(out) as saved:
        assert saved["kernel_z"].shape == (3, 4, 4)
        assert saved["kernel_error_z"].shape == (3, 4, 4)


def test_an_interrupted_run_continues(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ["--data", folder / "data.npz", "--steps", "4", "--tolerance", "0.02"]
    outputs = [folder / "whole.npz", folder / "parts.npz"]
    assert run("run", folder / "feature.tp", *request, "--output", outputs[0]) == 0

    def interrupt(done: int) -> None:
        if done > 200:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tpc.cli_run.progress_bar", _bar_of(interrupt))
        patch.setattr("tpc.feature.run.FeatureLimit.train.__kwdefaults__", _defaults())
        assert run("run", folder / "feature.tp", *request, "--output", outputs[1]) == 130
    assert (folder / "parts.npz.part").exists()
    assert not outputs[1].exists()
    capsys.readouterr()
    assert run("run", folder / "feature.tp", *request, "--output", outputs[1]) == 0
    assert "continuing" in capsys.readouterr().err
    assert not (folder / "parts.npz.part").exists()
    with np.load(outputs[0]) as whole, np.load(outputs[1]) as parts:
        for name in whole:
            np.testing.assert_array_equal(whole[name], parts[name])


def _defaults() -> dict[str, object]:
    from tpc.feature import FeatureLimit

    return {**(FeatureLimit.train.__kwdefaults__ or {}), "save_every": 0.0}


def _bar_of(show: object) -> object:
    from contextlib import contextmanager

    @contextmanager
    def bar(title: str, total: int) -> object:
        yield show

    return bar


@pytest.mark.parametrize("name", ["kernel", "feature"])
def test_convergence(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = ["--data", folder / "data.npz", "--widths", "16,64,256", "--seeds", "16"]
    request += ["--steps", "3", "--batch", "3", "--plot", folder / "p.png", "--against", "limit"]
    out = folder / "networks.npz"
    assert run("simulate", folder / f"{name}.tp", *request, "--json", "--output", out) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == ("ntk" if name == "kernel" else "feature")
    assert found["slopes"]["draw"] == pytest.approx(-0.5, abs=0.2)
    assert all(row["mean"] < row["draw"] for row in found["rows"])
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert run("simulate", folder / f"{name}.tp", *request) == 0
    assert "one network" in capsys.readouterr().out


@pytest.mark.parametrize(
    "request_",
    [
        ["--steps", "2", "--ridge", "0.1"],
        ["--steps", "2", "--record", "z"],
    ],
)
def test_requests_that_do_not_go_together(
    request_: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", folder / "kernel.tp", "--data", folder / "data.npz", *request_) == 2
    capsys.readouterr()


def test_convergence_needs_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", folder / "kernel.tp", "--against", "limit") == 2
    assert "--steps" in capsys.readouterr().err
