"""Kernels over arrays of positions as modules that need only NumPy and Numba."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tpc

CONVNET = """
width n
size s = 4, k = 2
parametrization ntk
input x : [s, s, 2]
target y : [k]
param U : [3, 3, n, 2] init fan_in(2)
param W : [3, 3, n, n]
param V : [k, n]
def f(x):
    h = relu(conv2d(U, x, padding = same))
    h = avg_pool(h, window = 2)
    h = {phi}(conv2d(W, h, padding = same))
    return V @ mean(h, axis = (1, 2))
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
ATTENTION = """
width n
size k = 2, T = 9
parametrization ntk
input x : [T, 3]
input m : [T]
target y : [k]
param U : [n, 3]
param Q, R, A : [n, n]
param V : [k, n]
def f(x, m):
    z = U @ x
    s = einsum("t c, u c -> t u", Q @ z, Q @ z) * n^-1
    z = z + A @ einsum("t u, u c -> t c", softmax(s, axis = 2, mask = m), R @ z)
    return V @ mean(relu(z), axis = 1)
train:
    loss = mse(f(x, m), y)
    optimizer sgd(lr = 0.1)
"""
SCRIPT = """
import sys
import numpy as np
import kernel
data = np.load("data.npz")
one, two = ({n[1:]: data[n] for n in data if n[0] == side} for side in "12")
np.savez("out.npz", own=kernel.evaluate(one), cross=kernel.evaluate(one, two))
assert "tpc" not in sys.modules
"""


def samples(program: tpc.Program, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(count)
    shapes = program.limit("ntk").inputs
    found = {name: rng.standard_normal((count, *shape)) for name, shape in shapes.items()}
    if "m" in found:
        found["m"] = (found["m"] > -1).astype(float)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("text", [CONVNET.format(phi="erf"), ATTENTION], ids=["image", "sequence"])
def test_written_module_is_the_limit(text: str, kind: str, tmp_path: Path) -> None:
    program = tpc.compile(text=text)
    limit = program.limit(kind)
    limit.write(tmp_path)
    (tmp_path / f"{kind}.py").rename(tmp_path / "kernel.py")
    one, two = samples(program, 4), samples(program, 3)
    arrays = {f"{k}{n}": a for k, part in ((1, one), (2, two)) for n, a in part.items()}
    np.savez(tmp_path / "data.npz", **arrays)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    assert np.abs(found["own"] - limit.evaluate(one)).max() < 1e-13
    assert np.abs(found["cross"] - limit.evaluate(one, two)).max() < 1e-13


def test_module_imports_nothing_else() -> None:
    text = tpc.compile(text=CONVNET.format(phi="erf")).limit("ntk").source
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in imports}
    assert not any(name.startswith(("tpc", "scipy")) for name in names)
    assert "np.empty" in text


def test_without_a_closed_form() -> None:
    """A series needs the function itself: the module is refused with a reason."""
    with pytest.raises(tpc.TpcError, match="without a closed form") as caught:
        tpc.compile(text=CONVNET.format(phi="tanh")).limit("ntk").module_text(1e-10)
    assert "E0964" in str(caught.value)
