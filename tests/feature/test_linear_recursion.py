"""Deep linear networks against the master theorem written out: no basis, no regression, no samples.

Every Z is a list of coefficients over symbols: initial vectors and Zhats, as they come. Zhats have
the covariances that the theorem gives them; Zdots use derivatives, which are coefficients.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.feature.programs import Data, data, perceptron
from tpc.feature import feature_limit


class Symbols:
    """Gaussian symbols with their covariance; a Z is an array of coefficients, zero-padded."""

    def __init__(self, most: int, initial: int) -> None:
        self.covariance = np.zeros((most, most))
        self.covariance[:initial, :initial] = np.eye(initial)
        self.used, self.most = initial, most

    def unit(self, position: int) -> np.ndarray:
        found: np.ndarray = np.eye(1, self.most, position)[0]
        return found

    def moment(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(x @ self.covariance @ y)


class Matrix:
    """An initial matrix: its arguments, with the symbols that stand for their images' hats."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.sides: list[list[tuple[np.ndarray, int]]] = [[], []]

    def apply(self, x: np.ndarray, transposed: int) -> np.ndarray:
        """Zhat + Zdot."""
        symbols = self.symbols
        new = symbols.used
        symbols.used += 1
        for other, position in self.sides[transposed]:
            value = symbols.moment(x, other)
            symbols.covariance[new, position] = symbols.covariance[position, new] = value
        symbols.covariance[new, new] = symbols.moment(x, x)
        self.sides[transposed].append((x, new))
        found = symbols.unit(new)
        for y, position in self.sides[1 - transposed]:
            found = found + y * x[position]
        return found


def recursion(points: Data, layers: int, steps: int, rate: float) -> np.ndarray:
    x, y = points["x"], points["y"][:, 0]
    batch, d = x.shape
    symbols = Symbols(d + 1 + 2 * (layers - 1) * batch * (steps + 1), d + 1)
    u = np.array([symbols.unit(j) for j in range(d)])
    v = symbols.unit(d)
    weights = [Matrix(symbols) for _ in range(layers - 1)]
    pairs: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in weights]

    def act(layer: int, z: np.ndarray, transposed: int) -> np.ndarray:
        found = weights[layer].apply(z, transposed)
        for left, right in pairs[layer]:
            if transposed:
                left, right = right, left
            found = found - rate * left * symbols.moment(right, z)
        return found

    path = []
    for step in range(steps + 1):
        h = [x @ u]
        for layer in range(layers - 1):
            h.append(np.array([act(layer, z, 0) for z in h[-1]]))
        path.append([symbols.moment(v, z) for z in h[-1]])
        if step == steps:
            break
        chi = np.array(path[-1]) - y
        back = np.outer(chi, v)
        moved: list[list[tuple[np.ndarray, np.ndarray]]] = []
        for layer in reversed(range(layers - 1)):
            moved.append(list(zip(back, h[layer], strict=True)))
            back = np.array([act(layer, z, 1) for z in back])
        for layer, new in zip(reversed(range(layers - 1)), moved, strict=True):
            pairs[layer] += new
        u, v = u - rate * x.T @ back, v - rate * chi @ h[-1]
    return np.array(path)[:, :, None]


@pytest.mark.parametrize(("layers", "steps"), [(1, 8), (2, 6), (3, 4)])
def test_every_step(layers: int, steps: int) -> None:
    points = data(3, d=4)
    module = perceptron(layers, "identity", d=4, optimizer="sgd(lr = 0.1)")
    run = feature_limit(module).train(points, steps)
    assert run.method == "linear"
    np.testing.assert_allclose(run.f, recursion(points, layers, steps, 0.1), atol=1e-10)


def test_one_hidden_layer_closes() -> None:
    """As many Gaussians as inputs and outputs, for any number of steps."""
    limit, points = feature_limit(perceptron(1, "identity", optimizer="sgd(lr = 0.01)")), data()
    spent, sizes = [], []
    for steps in (20, 120):
        start = time.process_time()
        sizes.append(limit.train(points, steps).particles)
        spent.append((time.process_time() - start) / steps)
    assert sizes[0] == sizes[1]
    assert spent[1] < 2 * spent[0]
