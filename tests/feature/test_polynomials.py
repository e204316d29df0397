"""One hidden layer with a polynomial activation: the limit is exact."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from tests.feature.programs import Data, data, deviations, extrapolated, perceptron
from tests.feature.truth import MAXIMAL_UPDATE, MEAN_FIELD, SQUARE
from tpc.feature import feature_limit

#: A polynomial of d + 1 Gaussians: coefficients by exponents.
Poly = dict[tuple[int, ...], float]
CUBIC = "polynomial(1/10, 1, 1/4, -1/5)"


def product(p: Poly, q: Poly) -> Poly:
    found: Poly = defaultdict(float)
    for i, a in p.items():
        for j, b in q.items():
            found[tuple(x + y for x, y in zip(i, j, strict=True))] += a * b
    return found


def added(p: Poly, q: Poly, factor: float = 1.0) -> Poly:
    found: Poly = defaultdict(float, p)
    for i, a in q.items():
        found[i] += factor * a
    return found


def expectation(p: Poly) -> float:
    """Isserlis: E z^k = (k - 1)!! for even k, and zero for odd."""
    total = 0.0
    for exponents, a in p.items():
        if all(k % 2 == 0 for k in exponents):
            total += a * math.prod(math.prod(range(k - 1, 0, -2)) for k in exponents)
    return total


def composed(coefficients: list[float], h: Poly) -> Poly:
    """Horner."""
    one = dict.fromkeys([tuple([0] * len(next(iter(h))))], 1.0)
    found: Poly = {}
    for c in reversed(coefficients):
        found = added(product(found, h), one, c)
    return found


def recursion(points: Data, steps: int, rate: float, phi: list[float]) -> np.ndarray:
    """Theorem 6.1 of TP4, in polynomial algebra."""
    x, y = points["x"], points["y"]
    batch, d = x.shape
    slope = [k * c for k, c in enumerate(phi)][1:]
    units = [tuple(int(i == j) for i in range(d + 1)) for j in range(d + 1)]
    u: list[Poly] = [{units[j]: 1.0} for j in range(d)]
    v: Poly = {units[d]: 1.0}
    path = []
    for step in range(steps + 1):
        h = []
        for i in range(batch):
            total: Poly = {}
            for j in range(d):
                total = added(total, u[j], x[i, j])
            h.append(total)
        z = [composed(phi, each) for each in h]
        path.append([expectation(product(v, each)) for each in z])
        if step == steps:
            break
        chi = np.array(path[-1]) - y[:, 0]
        back = [product(v, composed(slope, each)) for each in h]
        for i in range(batch):
            v = added(v, z[i], -rate * chi[i])
            u = [added(u[j], back[i], -rate * chi[i] * x[i, j]) for j in range(d)]
    return np.array(path)[:, :, None]


@pytest.mark.parametrize("mean_field", [False, True])
def test_against_polynomial_algebra(mean_field: bool) -> None:
    points = data(3, d=2)
    first, last = MEAN_FIELD if mean_field else MAXIMAL_UPDATE
    module = perceptron(1, SQUARE, d=2, optimizer="sgd(lr = 0.1)", first=first, last=last)
    run = feature_limit(module).train(points, 3)
    assert run.method == "polynomial"
    assert (run.error == 0).all()
    np.testing.assert_allclose(run.f, recursion(points, 3, 0.1, [0, 0, 0.5]), atol=1e-10)


def test_a_cubic() -> None:
    points = data(2, d=2)
    run = feature_limit(perceptron(1, CUBIC, d=2, optimizer="sgd(lr = 0.05)")).train(points, 2)
    assert run.method == "polynomial"
    phi = [0.1, 1.0, 0.25, -0.2]
    np.testing.assert_allclose(run.f, recursion(points, 2, 0.05, phi), atol=1e-10)


def test_against_samples_and_finite_widths() -> None:
    module, points = perceptron(1, SQUARE, optimizer="momentum(lr = 0.05, beta = 0.5)"), data()
    test = {"x": data(2, seed=3)["x"][:, :5]}
    limit = feature_limit(module)
    exact = limit.train(points, 2, test=test, record=["z"])
    assert exact.method == "polynomial"
    sampled = limit.train(points, 2, test=test, particles=4096, replicates=8, record=["z"])
    assert sampled.method == "quasi"
    assert np.abs(deviations(sampled.f, sampled.error, exact.f, exact.error)).max() < 4
    np.testing.assert_allclose(sampled.kernels["z"], exact.kernels["z"], atol=0.02)
    g, other = extrapolated(module, points, 2, width=64, seeds=48, test=test)
    assert np.abs(deviations(exact.f, exact.error, g, other)).max() < 3.5


def test_degrees_that_grow_too_high_are_sampled() -> None:
    limit, points = feature_limit(perceptron(1, SQUARE, optimizer="sgd(lr = 0.01)")), data()
    assert limit.train(points, 3, tolerance=0.1).method == "polynomial"
    # the degree doubles with each step
    assert limit.train(points, 12, particles=256, replicates=1).method == "quasi"
    assert limit.train(points, 12, tolerance=0.5).method == "quasi"


def test_nothing_else_is_a_polynomial() -> None:
    for act in ("relu", "tanh"):
        module = perceptron(1, act)
        assert feature_limit(module).train(data(), 1, tolerance=0.1).method == "quasi"
    entrywise = perceptron(1, SQUARE, optimizer="adam(lr = 0.01)", first="abc(-1/2, 1/2, 1/2)",
                           last="abc(1/2, 1/2, 1/2)")  # fmt: skip
    assert feature_limit(entrywise).train(data(), 1, tolerance=0.1).method == "quasi"
