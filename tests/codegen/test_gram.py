"""Kernel matrices band by band: in one pass, in bounded memory, in files, after a kill."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from limit.programs import limit, perceptron

import tpc
from tpc.limit import bands, store

TESTS = Path(__file__).resolve().parents[1]
N = 70
SMALL = 12_000  # bytes of buffers that make several bands of 70 columns


@pytest.fixture(scope="module")
def program():
    return perceptron("relu", L=2)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((N, 7))


@pytest.mark.slow
def test_two_kinds_in_one_pass(program, x):
    both = program.kernels(x)
    for kind, found in both.items():
        np.testing.assert_allclose(found, program.limit(kind).evaluate(x), rtol=1e-13)
        np.testing.assert_array_equal(found, found.T)
    assert list(both) == ["nngp", "ntk"]
    cross = program.kernels(x[:9], x, kinds=("ntk",))["ntk"]
    np.testing.assert_allclose(cross, both["ntk"][:9], rtol=1e-7)


def test_little_memory_changes_nothing(program, x):
    kernel = program.limit("ntk")
    plans = []
    found = kernel.evaluate(x, memory=SMALL, plan=plans.append)
    np.testing.assert_allclose(found, kernel.evaluate(x), rtol=1e-13)
    (plan,) = plans
    assert plan.bands > 3
    assert plan.buffers <= SMALL
    assert "upper half" in plan.text()
    assert f"{plan.bands} bands of {plan.height} rows" in plan.text()


def test_a_band_is_never_empty(program, x):
    found = program.limit("ntk").evaluate(x, memory=1)
    np.testing.assert_allclose(found, program.limit("ntk").evaluate(x), rtol=1e-13)


def test_single_precision(program, x):
    kernel = program.limit("ntk")
    exact, found = kernel.evaluate(x), kernel.evaluate(x, dtype="float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, found.T)
    assert np.abs(found / exact - 1).max() < 6.1e-8


def test_the_diagonal_alone(program, x):
    both, alone = program.kernels(x), program.kernels(x, diagonal=True)
    for kind in both:
        np.testing.assert_array_equal(alone[kind], np.diag(both[kind]))
    with pytest.raises(TypeError, match="no X2"):
        program.kernels(x, x, diagonal=True)


def test_the_diagonal_of_kept_axes():
    kernel = limit(
        """
width n
size d = 3, T = 2
parametrization ntk
input x : [T, d]
param U : [n, d]
param V : [4, n]
def f(x) = einsum("k n, t n -> t k", V, relu(U @ x))
""",
        "nngp",
    )
    x = np.random.default_rng(1).standard_normal((5, 2, 3))
    whole, own = kernel.evaluate(x), kernel.evaluate(x, diagonal=True)
    assert whole.shape == (5, 5, 2, 2)
    np.testing.assert_allclose(own, whole[range(5), range(5)], rtol=1e-14)
    np.testing.assert_allclose(kernel.evaluate(x, memory=1), whole, rtol=1e-13)


def test_progress_counts_bands(program, x):
    seen = []
    program.limit("ntk").evaluate(x, memory=SMALL, progress=lambda *done: seen.append(done))
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_files_hold_what_memory_would(program, x, tmp_path, dtype):
    path = tmp_path / "folder" / "K.npy"
    found = program.kernels(x, out=path, memory=SMALL, dtype=dtype)
    whole = np.load(path)
    expected = program.kernels(x, memory=SMALL, dtype=dtype)
    assert whole.shape == (2, N, N)
    for i, kind in enumerate(expected):
        np.testing.assert_array_equal(found[kind], expected[kind])
        np.testing.assert_array_equal(whole[i], expected[kind])
    assert [p.name for p in path.parent.iterdir()] == ["K.npy"]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from limit.programs import perceptron

def stop(done, total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

perceptron("relu", L=2).limit("ntk").evaluate(
    np.load(sys.argv[2]), out=sys.argv[3], memory=int(sys.argv[4]), progress=stop
)
"""


def test_a_killed_run_is_taken_up(program, x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    path = tmp_path / "K.npy"
    arguments = [str(TESTS), str(tmp_path / "x.npy"), str(path), str(SMALL)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    state = json.loads((tmp_path / "K.npy.part.json").read_text())
    assert state["done"] == 2
    kernel = program.limit("ntk")
    for other in (
        lambda: kernel.evaluate(x + 1, out=path, resume=True),
        lambda: kernel.evaluate(x, out=path, resume=True, dtype="float32"),
        lambda: program.limit("nngp").evaluate(x, out=path, resume=True),
    ):
        with pytest.raises(tpc.TpcError, match="belongs to another program") as refusal:
            other()
        assert refusal.value.diagnostics[0].code == "E0970"
    seen = []
    found = kernel.evaluate(x, out=path, resume=True, progress=lambda *a: seen.append(a))
    assert seen[0][0] == 3  # the first two bands were kept
    np.testing.assert_array_equal(found, kernel.evaluate(x, memory=SMALL))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["K.npy", "x.npy"]


def test_without_resume_a_run_starts_anew(program, x, tmp_path):
    path = tmp_path / "K.npy"
    (tmp_path / "K.npy.part").write_bytes(b"left over")
    (tmp_path / "K.npy.part.json").write_text("{}")
    kernel = program.limit("ntk")
    with pytest.raises(tpc.TpcError, match="belongs to another program"):
        kernel.evaluate(x, out=path, resume=True)
    np.testing.assert_array_equal(kernel.evaluate(x, out=path), kernel.evaluate(x))
    again = kernel.evaluate(x, out=path, resume=True)  # nothing is left to take up
    np.testing.assert_array_equal(again, kernel.evaluate(x))


def test_a_full_disk_is_noticed_before_the_run(program, x, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "posix_fallocate", full)
    with pytest.raises(tpc.TpcError, match="No space left") as refusal:
        program.limit("ntk").evaluate(x, out=tmp_path / "K.npy")
    assert refusal.value.diagnostics[0].code == "E0901"
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_written(program, x, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "K.npy", tmp_path):
        with pytest.raises(tpc.TpcError, match="cannot write"):
            program.limit("ntk").evaluate(x, out=path)


def test_kernels_that_do_not_fit_into_memory(program, monkeypatch):
    monkeypatch.setattr("tpc.feature.memory.available", lambda: 10_000)
    x = np.random.default_rng(0).standard_normal((40, 7))
    with pytest.raises(tpc.TpcError, match="the kernel takes") as refusal:
        program.limit("ntk").evaluate(x)
    assert "float32" in refusal.value.diagnostics[0].help


@pytest.mark.slow
def test_series_that_are_too_slow_are_mended_in_every_band(x):
    kernel = perceptron("tanh", L=1).limit("nngp")
    data = 10.0 * x[:6]
    data[3] = -(1 + 1e-6) * data[1]
    whole = kernel.evaluate(data)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(kernel.evaluate(data, memory=1), whole, rtol=1e-12)
    np.testing.assert_allclose(whole, whole.T, rtol=0)


def test_plans_are_readable():
    plan = bands.Plan(100_000, 100_000, 2, True, 500, 2**30, 3 * 2**30, 1e13, 7300.0, 12.0, 40)
    assert plan.text() == (
        "kernel 2 x 100000 x 100000, upper half computed and mirrored: 200 bands of 500 rows, "
        "40 done before\n"
        "output 3.0 GB, buffers 1.0 GB, 1e+13 floating-point operations, about 2.0 h; "
        "compiled in 12 s"
    )
