"""Generated modules: they stand alone, are cached by content, and are compiled once."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import numpy as np
import pytest
from limit.programs import perceptron

SCRIPT = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
import ntk
assert "tpc" not in sys.modules
np.save(sys.argv[2], ntk.evaluate(np.load(sys.argv[3])))
"""


@pytest.mark.slow
def test_stand_alone_module(tmp_path):
    limit = perceptron("silu", L=2).limit("ntk")
    (path,) = limit.write(tmp_path)
    assert path.name == "ntk.py"
    text = path.read_text()
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported == {"contextlib", "ctypes", "math", "numpy", "os", "threading"}
    assert "Sigma1 = <x, x'>" in text
    x = np.random.default_rng(0).standard_normal((4, 7))
    np.save(tmp_path / "x.npy", x)
    arguments = [str(tmp_path), str(tmp_path / "k.npy"), str(tmp_path / "x.npy")]
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "k.npy"), limit.evaluate(x), rtol=1e-12)


@pytest.mark.slow
def test_second_process_compiles_nothing(tmp_path):
    (tmp_path / "x.npy").parent.mkdir(exist_ok=True)
    np.save(tmp_path / "x.npy", np.ones((3, 7)))
    perceptron("relu", L=2).limit("ntk").write(tmp_path)
    arguments = [str(tmp_path), str(tmp_path / "k.npy"), str(tmp_path / "x.npy")]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")}

    def run():
        command = [sys.executable, "-c", SCRIPT, *arguments]
        subprocess.run(command, check=True, cwd=tmp_path, env=environment)
        return {(p.name, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.nb?")}

    first = run()
    assert first
    assert run() == first


def test_depth_adds_calls_not_functions():
    shallow, deep = (perceptron("relu", L=L).limit("ntk").source for L in (4, 40))
    assert shallow.count("def row_") + 2 >= deep.count("def row_")


def test_same_program_same_module():
    assert perceptron("relu").limit("ntk").source == perceptron("relu").limit("ntk").source
