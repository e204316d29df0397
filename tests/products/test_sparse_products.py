"""Products with sparse factors are those of dense ones."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.products import choose, matrix_product
from tpc.products.sparse import sparse_product


def sparse(rows: int, columns: int, density: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, columns)) * (random.random((rows, columns)) < density)


@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize(("rows", "inner", "columns"), [(7, 30, 5), (40, 90, 600), (3, 8, 1030)])
def test_sparse_is_dense(order: str, rows: int, inner: int, columns: int) -> None:
    x = sparse(rows, inner, 0.3, 0)
    x[1] = 0.0
    if order == "strided":
        x = np.repeat(x, 2, axis=1)[:, ::2]
    x = x if order == "strided" else np.asarray(x, order=order)  # type: ignore[call-overload]
    y = sparse(inner, columns, 1.0, 1)
    for each in (y, np.asfortranarray(y)):
        np.testing.assert_allclose(sparse_product(x, each), x @ each, atol=1e-12)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_either_factor_may_be_sparse(
    side: int, density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "LARGE", 1)
    factors = [sparse(60, 70, 1.0, 0), sparse(70, 80, 1.0, 1)]
    rows, columns = factors[side].shape
    factors[side] = sparse(rows, columns, density, 2)
    x, y = factors
    for a in (x, np.asfortranarray(x)):
        for b in (y, np.asfortranarray(y)):
            np.testing.assert_allclose(matrix_product(a, b), x @ y, atol=1e-12)


def test_sampling_finds_what_is_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def noted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        taken.append(x.shape)
        return np.asarray(x @ y)

    monkeypatch.setattr(choose, "LARGE", 1)
    monkeypatch.setattr("tpc.products.sparse.sparse_product", noted)
    dense = sparse(100, 200, 1.0, 0)
    matrix_product(sparse(50, 100, 0.15, 1), dense)
    matrix_product(dense.T, sparse(100, 50, 0.15, 1))
    matrix_product(sparse(50, 100, 0.5, 1), dense)
    matrix_product(sparse(50, 100, 0.1, 1).astype(np.float32), dense)
    matrix_product(sparse(4, 100, 0.1, 1), dense)
    assert taken == [(50, 100), (50, 100)]


def test_stacks_are_dense_products() -> None:
    x, y = sparse(30, 40, 0.1, 0).reshape(3, 10, 40), sparse(40, 50, 1.0, 1)
    np.testing.assert_allclose(matrix_product(x, y), x @ y)
