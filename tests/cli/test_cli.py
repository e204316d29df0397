"""The command line as its user meets it: what it prints where, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tpc import cli
from tpc.pipeline import STAGES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = """
width n
size d = 3
input x : [d]
target y : [2]
param U : [n, d] abc(0, 0, 0)
param V : [2, n] abc(1/2, 0, 0)
def f(x) = V @ erf(U @ x)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.5)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "small.tp"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "data.npz"
    np.savez(
        path,
        x=random.standard_normal((6, 3)),
        y=np.array([0, 1, 0, 1, 0, 1]),
        test_x=random.standard_normal((4, 3)),
        test_y=np.array([0, 1, 1, 0]),
    )
    return path


def run(*arguments: object) -> int:
    """Run the command line; return its exit code."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.tp")), ids=lambda path: path.stem)
def test_every_example_checks(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert found["params"]


#: Programs for stages that not every program has.
FITTING = {"feature": "mean_field", "online": "word2vec"}


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_every_stage_prints(stage: str, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if stage in FITTING:
        program = EXAMPLES / f"{FITTING[stage]}.tp"
    assert run("check", program, "--emit", stage) == 0
    first = capsys.readouterr().out
    assert run("check", program, "--emit", stage) == 0
    assert first.strip()
    assert capsys.readouterr().out == first


def test_an_unknown_stage_is_usage(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", program, "--emit", "assembler") == 2
    assert "tree, ir" in capsys.readouterr().err


def test_expectations(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("classify", program, "--expect", "kernel") == 0
    assert run("classify", program, "--expect", "feature") == 3
    assert "expected feature, the program is kernel" in capsys.readouterr().err


def test_errors_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.tp"
    bad.write_text(PROGRAM.replace("erf(U @ x)", "erf(W @ x)"))
    for form, mark in (("full", "-->"), ("concise", ": error["), ("github", "::error ")):
        assert run("check", bad, "--format", form) == 1
        printed = capsys.readouterr()
        assert not printed.out
        assert mark in printed.err
    assert run("check", bad, "--format", "json") == 1
    assert json.loads(capsys.readouterr().err)["diagnostics"][0]["code"] == "E0201"


def test_usage(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    assert run("check") == 2
    assert run("check", program, "--set", "d") == 2
    assert run("simulate", program, "--widths", "8,zero") == 2
    assert run("simulate", program, "--seeds", "none") == 2
    assert run("explain", "E9999") == 2
    capsys.readouterr()


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", tmp_path / "none.tp") == 1
    assert "E0902" in capsys.readouterr().err


def test_a_bug_is_called_one(
    program: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("never")

    monkeypatch.setattr("tpc.api.compile", broken)
    assert run("check", program) == 70
    assert "this is a bug in tpc" in capsys.readouterr().err


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "E0201") == 0
    assert "E0201" in capsys.readouterr().out
    assert run("explain") == 0
    assert "E0910" in capsys.readouterr().out


def test_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tp"
    path.write_text("width  n\nsize d=3\n")
    assert run("fmt", path, "--check") == 1
    assert path.read_text() == "width  n\nsize d=3\n"
    assert run("fmt", path) == 0
    assert run("fmt", path, "--check") == 0
    assert "size d = 3" in path.read_text().replace("  ", " ")
    capsys.readouterr()


def test_run_with_kernels(
    program: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.npz"
    assert run("run", program, "--data", data, "--json", "--output", out) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "ntk"
    assert found["arrays"] == {"kernel": [6, 6], "kernel_test": [4, 6], "mean": [4, 2]}
    assert 0 <= found["numbers"]["test_accuracy"] <= 1
    with np.load(out) as saved:
        labels = np.eye(2)[[0, 1, 0, 1, 0, 1]]
        expected = saved["kernel_test"] @ np.linalg.solve(saved["kernel"], labels)
        assert np.allclose(saved["mean"], expected)


def test_early_stopping_is_between_start_and_end(
    program: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    means = []
    for time in ("0", "1", "1e9", "inf"):
        out = tmp_path / f"{time}.npz"
        assert run("run", program, "--data", data, "--time", time, "--output", out) == 0
        with np.load(out) as saved:
            means.append(saved["mean"])
    assert np.allclose(means[0], 0)
    assert not np.allclose(means[1], means[3], atol=1e-3)
    assert np.allclose(means[2], means[3], atol=1e-6)
    capsys.readouterr()


def test_run_with_features(
    program: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.npz"
    request = ("--set", "parametrization=mup", "--steps", "2", "--tolerance", "0.05")
    mup = program.with_name("mup.tp")
    mup.write_text(
        PROGRAM.replace("abc(0, 0, 0)", "")
        .replace("abc(1/2, 0, 0)", "")
        .replace("size d = 3", "size d = 3\nparametrization ntk")
    )
    assert run("run", mup, "--data", data, *request, "--output", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "feature"
    with np.load(out) as saved:
        assert saved["f"].shape == (3, 4, 2)
        assert np.allclose(saved["f"][0], 0)
        assert saved["error"].max() <= 0.05


def test_run_needs_data(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", program) == 1
    assert "--data" in capsys.readouterr().err


def test_simulate(
    program: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot, out = tmp_path / "p.png", tmp_path / "s.npz"
    request = ["--data", data, "--widths", "8,32", "--seeds", "0..2", "--steps", "2"]
    request += ["--against", "nngp", "--plot", plot, "--output", out]
    assert run("simulate", program, *request, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["width"] for row in found["rows"]] == [8, 32]
    assert all(row["distance"] > 0 for row in found["rows"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    with np.load(out) as saved:
        assert saved["f_32"].shape == (3, 3, 4, 2)


def test_simulate_is_reproducible(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for _ in range(2):
        assert run("simulate", program, "--widths", "8,16", "--steps", "2", "--batch", "3") == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_json_has_no_nan(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", program, "--widths", "8", "--json") == 0
    text = capsys.readouterr().out
    assert json.loads(text)["rows"][0]["last_loss"] is None
    assert "NaN" not in text


def test_too_large_a_batch(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = ("--widths", "8", "--steps", "1", "--batch", "99")
    assert run("simulate", program, *request) == 1
    assert "E0914" in capsys.readouterr().err


def test_compile_writes_a_module(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compile", program, "--kind", "nngp", "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / "nngp.py").read_text().startswith('"""NNGP kernel of')
    capsys.readouterr()


def test_feature_learning_has_no_kernel(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compile", EXAMPLES / "perceptron.tp", "-o", tmp_path / "out") == 1
    assert "E0903" in capsys.readouterr().err


def test_feature_learning_has_equations(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("derive", EXAMPLES / "mean_field.tp") == 0
    assert "Z[V(t+1)] = Z[V(t)]" in capsys.readouterr().out
    assert run("derive", EXAMPLES / "adam_perceptron.tp", "--kind", "feature") == 0
    assert "optimizer step" in capsys.readouterr().out
