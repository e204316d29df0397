"""docs/data.md: arrays that do not fit are refused with a code that says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tpc.cli import main

PROGRAM = """\
width n
size d = 3, k = 4
parametrization ntk
input x : [d]
target y : [k]
param U : [n, d]
param V : [k, n]
def f(x) = V @ relu(U @ x)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
X = np.eye(4, 3)
NAN = np.where(np.arange(12).reshape(4, 3) == 5, np.nan, 1.0)

REFUSED = {
    "wrong shape": ({"x": np.ones((4, 2))}, "expected (N, 3)"),
    "no samples": ({"x": np.ones((0, 3))}, "no samples"),
    "not a number": ({"x": NAN}, "(1, 2): nan"),
    "infinite": ({"x": np.where(np.isnan(NAN), np.inf, NAN)}, "inf"),
    "no such array": ({"X": X}, "no array for input `x`"),
    "complex": ({"x": X + 1j}, "real numbers"),
    "text": ({"x": np.full((4, 3), "a")}, "real numbers"),
    "labels too large": ({"x": X, "y": np.arange(4) + 1}, "4 classes"),
    "labels below zero": ({"x": X, "y": np.arange(4) - 1}, "4 classes"),
    "counts differ": ({"x": X, "y": np.arange(3), "test_x": X}, "4 samples but 3"),
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.tp").write_text(PROGRAM, encoding="utf-8")
    return "net.tp"


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main(["run", *arguments])
    assert end.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_do_not_fit(
    name: str, program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays, words = REFUSED[name]
    np.savez("data.npz", **arrays)
    message = refusal([program, "--data", "data.npz"], capsys)
    assert message.startswith("error[E09")
    assert words in message


def test_files_that_are_no_data(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("noise.npz").write_bytes(bytes(range(200)))
    np.save("objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.save("x.npy", X)
    for argument in ("noise.npz", "missing.npz", "x=objects.npy", "x.npy"):
        assert "error[E09" in refusal([program, "--data", argument], capsys)


def test_single_arrays_and_labels(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("x.npy", X)
    np.save("y.npy", np.arange(4))
    np.save("t.npy", X[:2])
    data = ["--data", "x=x.npy", "--data", "y=y.npy", "--data", "test_x=t.npy"]
    main(["run", program, *data, "--ridge", "0.1", "--output", "out.npz"])
    assert "kernel_test" in capsys.readouterr().out
    with np.load("out.npz") as saved:
        assert saved["kernel"].shape == (4, 4)
        assert saved["mean"].shape == (2, 4)
