"""Linear systems with kernels: conjugate gradients against factorisations, and their memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tpc
from tpc.limit.pivoted import pivoted_cholesky
from tpc.limit.predict import posterior
from tpc.limit.solving import ridge_solve, solve

RNG = np.random.default_rng(5)


def kernel(count: int, size: int = 6) -> np.ndarray:
    """Return the arc-cosine kernel of order one at random points of the sphere."""
    x = RNG.standard_normal((count, size))
    x /= np.linalg.norm(x, axis=1)[:, None]
    rho = np.clip(x @ x.T, -1, 1)
    return (rho * (np.pi - np.arccos(rho)) + np.sqrt(1 - rho**2)) / np.pi


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ridge", [1e-6, 0.1])
def test_conjugate_gradients_are_cholesky(dtype: type, ridge: float) -> None:
    K, y = kernel(300).astype(dtype), RNG.standard_normal((300, 3))
    found = solve(K, y, ridge, method="cg", tolerance=1e-10)
    exact = ridge_solve(K, y, ridge)
    true = np.linalg.norm(y - K @ found.x - ridge * found.x, axis=0) / np.linalg.norm(y, axis=0)
    assert true.max() == pytest.approx(found.residual, rel=1e-2)
    assert found.residual <= 1e-10
    condition = np.linalg.cond(K.astype(float) + ridge * np.eye(300))
    assert np.abs(found.x - exact).max() < 1e-10 * condition * np.abs(exact).max()
    assert "conjugate gradients" in found.note


@pytest.mark.parametrize("rank", [0, 1, 40])
def test_a_better_preconditioner_takes_fewer_iterations(rank: int) -> None:
    K, y = kernel(200), RNG.standard_normal(200)
    found = solve(K, y, 1e-3, method="cg", rank=rank)
    assert found.rank == rank
    assert found.x.shape == (200,)
    np.testing.assert_allclose(found.x, ridge_solve(K, y, 1e-3), atol=1e-5)
    if rank == 40:
        assert found.iterations < solve(K, y, 1e-3, method="cg", rank=0).iterations


def test_memory_of_a_kernel_in_a_file(tmp_path: Path) -> None:
    """A kernel of 32 MB in a file is solved with 6 MB; by itself where it would not fit."""
    count, room = 2000, 6 * 2**20
    np.save(tmp_path / "kernel.npy", kernel(count))
    K, y = np.load(tmp_path / "kernel.npy", mmap_mode="r"), RNG.standard_normal((count, 2))
    tracemalloc.start()
    found = solve(K, y, 1e-2, memory=room)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.method == "cg"
    assert peak < 1.5 * room
    np.testing.assert_allclose(found.x, ridge_solve(K, y, 1e-2), atol=1e-5)
    assert solve(K[:50, :50], y[:50], 1e-2, memory=room).method == "cholesky"


def test_posterior_by_conjugate_gradients() -> None:
    K = kernel(120)
    parts = K[:100, :100], K[100:, :100], K[100:, 100:], RNG.standard_normal((100, 2))
    exact, found = posterior(*parts, 0.1), posterior(*parts, 0.1, method="cg")
    np.testing.assert_allclose(found.mean, exact.mean, atol=1e-6)
    np.testing.assert_allclose(found.covariance, exact.covariance, atol=1e-6)
    assert "residual" in found.note


def test_what_cannot_be_solved_is_said() -> None:
    K = np.ones((20, 20))
    with pytest.raises(tpc.TpcError, match="residual"):
        solve(K, RNG.standard_normal(20), method="cg")
    with pytest.raises(tpc.TpcError, match="no solver"):
        solve(K, K[0], method="lu")  # type: ignore[arg-type]
    solved = solve(K, K[0], method="cg").x  # one solution of many: predictions are the same
    np.testing.assert_allclose(K @ solved, 1.0, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_semidefinite_kernels_of_any_size(scale: float) -> None:
    x = scale * RNG.standard_normal((9, 4))
    K = x @ x.T
    solved = ridge_solve(K, K)
    np.testing.assert_allclose(K @ solved, K, atol=1e-10 * scale**2)


@settings(max_examples=40, deadline=None)
@given(arrays(float, (7, 3), elements=st.floats(-2, 2, width=32)), st.integers(0, 7))
def test_pivoted_factors_are_below_the_kernel(x: np.ndarray, rank: int) -> None:
    """K - L L^T is positive semidefinite up to rounding, with the trace that is said."""
    K = x @ x.T
    factor, left = pivoted_cholesky(K, rank)
    rest = K - factor @ factor.T
    assert np.linalg.eigvalsh(rest).min() > -1e-12 * max(np.trace(K), 1e-300)
    assert np.trace(rest) == pytest.approx(left, abs=1e-12 * max(np.trace(K), 1e-300))
