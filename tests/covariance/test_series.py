"""Arrays of expectations without a closed form, against the expectation of every pair."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.covariance import series
from tpc.limit.dual import dual
from tpc.limit.positions import PositionLimit

PROGRAM = """
width n
size d = 2, T = 9
parametrization ntk
input x : [T, d]
param U : [n, d] mult 2
param V : [1, n]
def f(x) = V @ {read}
"""
POOLED = "mean({phi}(U @ x), axis = 1)"
X = np.random.default_rng(5).standard_normal((4, 9, 2))
X[2, :3] = 30 * X[0, 4]  # collinear, and steep
X[3, 5] = 0.0


def expected(phi: str, kind: str, left, right):
    k = 4 * np.einsum("npd,mqd->nmpq", left, right)
    q1, q2 = (4 * (x**2).sum(axis=-1) for x in (left, right))
    sides = q1[:, None, :, None], k, q2[None, :, None, :]
    value = dual(phi).expectation(*sides)
    if kind == "ntk":
        value = value + k * dual(phi).derivative().expectation(*sides)
    return value.mean(axis=(2, 3))


CASES = [("tanh", "ntk", series.MOST)]
SLOW = [
    ("tanh", "ntk", 0),
    *((phi, kind, series.MOST) for phi in ("softplus", "elu") for kind in ("nngp", "ntk")),
]


@pytest.mark.parametrize(
    ("phi", "kind", "room"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_pooled(phi: str, kind: str, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST", room)
    limit = tpc.compile(text=PROGRAM.format(read=POOLED.format(phi=phi))).limit(kind)
    assert isinstance(limit, PositionLimit)
    own = expected(phi, kind, X, X)
    size = np.abs(own).max()
    np.testing.assert_allclose(limit.evaluate(X), own, rtol=0, atol=3e-10 * size)
    other = limit.evaluate(X[:2], X[2:])
    np.testing.assert_allclose(other, own[:2, 2:], rtol=0, atol=3e-10 * size)
    diagonal = limit.evaluate(X, diagonal=True)
    np.testing.assert_allclose(diagonal, np.diag(own), rtol=0, atol=3e-10 * size)
