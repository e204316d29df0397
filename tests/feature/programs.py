"""Programs and data of the tests of feature-learning limits."""

from __future__ import annotations

import numpy as np

import tpc
from tpc.ir.module import Module
from tpc.simulate import simulate

Data = dict[str, np.ndarray]

PERCEPTRON = """
width n
size d = {d}, k = {k}
act phi = {act}
input x : [d]
target y : [k]
param U : [n, d] {first}
{params}
param V : [k, n] {last}
def f(x):
    z = phi(U @ x)
{body}
    return V @ z
train:
    loss = squared_error(f(x), y)
    optimizer {optimizer}
"""


def module_of(text: str) -> Module:
    return tpc.compile(text=text).module


def perceptron(
    layers: int,
    act: str = "tanh",
    *,
    optimizer: str = "sgd(lr = 0.2)",
    d: int = 5,
    k: int = 1,
    first: str = "abc(-1/2, 1/2, 0)",
    last: str = "abc(1/2, 1/2, 0)",
    init: str = "",
) -> Module:
    """Maximal update, unless the exponents say otherwise."""
    hidden = range(2, layers + 1)
    params = "\n".join(f"param W{j} : [n, n] abc(0, 1/2, 0) {init}" for j in hidden)
    body = "\n".join(f"    z = phi(W{j} @ z)" for j in hidden)
    return module_of(
        PERCEPTRON.format(
            d=d, k=k, act=act, first=first, last=last, params=params, body=body, optimizer=optimizer
        )
    )


def data(batch: int = 4, d: int = 5, k: int = 1, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    return {
        "x": random.standard_normal((batch, d)) / np.sqrt(d),
        "y": np.sign(random.standard_normal((batch, k))),
    }


def extrapolated(
    module: Module,
    points: Data,
    steps: int,
    *,
    width: int = 128,
    seeds: int = 128,
    test: Data | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of finite networks, extrapolated linearly in 1/n from two widths, and its error."""
    narrow = simulate(module, points, width=width, steps=steps, test=test, seeds=range(2 * seeds))
    wide = simulate(module, points, width=2 * width, steps=steps, test=test, seeds=range(seeds))
    return 2 * wide.mean - narrow.mean, np.sqrt(4 * wide.error**2 + narrow.error**2)


def deviations(
    f: np.ndarray, error: np.ndarray, g: np.ndarray, other: np.ndarray, least: float = 1e-3
) -> np.ndarray:
    """Differences in standard errors (those of both sides and a floor)."""
    return (f - g) / np.sqrt(error**2 + other**2 + least**2)
