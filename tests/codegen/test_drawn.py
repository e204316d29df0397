"""Kernels with expectations over several Gaussians as modules that stand alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tpc

HEAD = """
width n
size d = 2, T = 2
parametrization ntk
input {inputs}
param U, G : [n, d]
param W, R : [n, n]
param b : [n] init one
param V : [{outputs}, n]
"""
GATED = """
def f(x):
    s = tanh(U @ x[1])
    for t in 2..T:
        s = relu(tanh(W @ s + U @ x[t]) * sigmoid(R @ s + G @ x[t])) + softplus(W @ s)
    return V @ s
"""
NORMED = """
def f(x):
    h = layer_norm(relu(U @ x), axis = 1)
    return V @ relu(tanh(W @ h) + R @ h)
"""
SCORES = """
def f(x):
    h = einsum("n d, t d -> t n", U, x)
    s = einsum("t n, u n -> t u", W @ h, R @ h) * n^(-1/2)
    return V @ einsum("t u, u n -> t n", softmax(s, axis = 2), h)[1]
"""
CASES = {
    "gated": ("x : [T, d]", GATED, "nngp"),
    "gated tangent": ("x : [T, d]", GATED.replace(" + softplus(W @ s)", ""), "ntk"),
    "normed": ("x : [d]", NORMED, "nngp"),
    "scores": ("x : [T, d]", SCORES, "nngp"),
}
SCRIPT = """
import sys
import numpy as np
import kernel
x, y = np.load("x.npy"), np.load("y.npy")
own, error = kernel.with_errors(x, sampling=1e-2)
np.savez("out.npz", own=own, error=error, cross=kernel.evaluate(x, y, sampling=1e-2))
assert "tpc" not in sys.modules
"""


def limit_of(name: str) -> tpc.limit.Limit:
    inputs, body, kind = CASES[name]
    return tpc.compile(text=HEAD.format(inputs=inputs, outputs=1) + body).kernel_limit(kind)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_modules_have_the_same_numbers(name: str, tmp_path: Path) -> None:
    """Kernel, errors, and two sets of samples, in a process without this package."""
    limit = limit_of(name)
    limit.write(tmp_path)
    (tmp_path / f"{limit.kind}.py").rename(tmp_path / "kernel.py")
    rng = np.random.default_rng(0)
    (shape,) = limit.inputs.values()
    x, y = rng.standard_normal((3, *shape)), rng.standard_normal((2, *shape))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, check=True, env=environment)
    found = np.load(tmp_path / "out.npz")
    own, error = limit.with_errors(x, sampling=1e-2)
    cross, _ = limit.with_errors(x, y, sampling=1e-2)
    np.testing.assert_allclose(found["own"], own, rtol=1e-9)
    np.testing.assert_allclose(found["cross"], cross, rtol=1e-9)
    np.testing.assert_allclose(found["error"], error, rtol=1e-6, atol=1e-12)


def test_modules_need_numpy_and_numba_only() -> None:
    tree = ast.parse(limit_of("gated").module_text(1e-10))
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {
        str(node.module).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert names <= {"math", "os", "collections", "concurrent", "functools", "types"} | {
        "numpy",
        "numba",
    }


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    from scipy.special import ndtri

    text = limit_of("scores").module_text(1e-10)
    tree = ast.parse(text)
    wanted = [n for n in tree.body if getattr(n, "name", "") in ("quantiles", "ndtri")]
    for node in wanted:
        node.decorator_list = []  # type: ignore[attr-defined]
    place: dict[str, object] = {}
    source = "import math\nimport numpy as np\n" + "\n".join(map(ast.unparse, wanted))
    exec(source, place)
    u = np.concatenate([np.geomspace(1e-15, 0.5, 50), 1 - np.geomspace(1e-15, 0.5, 50)])
    found = place["ndtri"](u)  # type: ignore[operator]
    np.testing.assert_allclose(found, ndtri(u), rtol=1e-13, atol=1e-15)
