"""Measure feature-learning limits against finite widths: ``python bench/feature.py``.

Prints CPU times: the limit and the average of finite networks at the same error; what quasi-random
samples gain; how the limit's time grows with steps and batch; a long run of a network with one
hidden layer on images. ``--truth`` prints a table instead: limits of many programs at the default
tolerance against networks of two widths, extrapolated in 1/n (minutes to an hour of CPU time).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tpc
from tpc.feature import feature_limit
from tpc.feature.draws import SOBOL, Draws
from tpc.feature.network import FeatureNetwork
from tpc.feature.space import Particles
from tpc.feature.threads import single_threaded_products
from tpc.ir import Module
from tpc.simulate import simulate

PROGRAM = """
width n
size d = 5
act phi = {act}
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
{params}
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    z = phi(U @ x)
{body}
    return V @ z
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = {lr})
"""
ERROR = 0.005
ROOT = Path(__file__).resolve().parents[1]


def perceptron(layers: int, act: str, lr: str, d: int = 5) -> Module:
    hidden = range(2, layers + 1)
    params = "\n".join(f"param W{j} : [n, n] abc(0, 1/2, 0)" for j in hidden)
    body = "\n".join(f"    z = phi(W{j} @ z)" for j in hidden)
    text = PROGRAM.format(act=act, params=params, body=body, lr=lr)
    return tpc.compile(text=text).with_(d=d).module


def data(batch: int, d: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, d))
    return {"x": x / np.sqrt(d), "y": np.sign(random.standard_normal((batch, 1)))}


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def against_finite_widths() -> None:
    """Two hidden layers, tanh, batch 4, 8 steps, to 0.005: the limit and finite networks."""
    module, points = perceptron(2, "tanh", "0.5"), data(4)
    limit = feature_limit(module)
    # products on one thread each: threads that wait for each other would count as work
    reference = limit.train(points, 8, tolerance=ERROR / 5)
    spent, run = cpu(lambda: limit.train(points, 8, tolerance=ERROR / 2))
    worst = np.abs(run.f - reference.f).max()
    print(f"limit: {run}")
    print(f"limit: {spent:.2f} s of CPU time, largest deviation from a finer run {worst:.4f}")
    with single_threaded_products():
        probe = simulate(module, points, width=256, steps=8, seeds=range(64))
    bias = np.abs(probe.mean - reference.f).max()
    width = 2 ** math.ceil(math.log2(256 * bias / (ERROR / 2)))  # the bias falls like 1/n
    spread = probe.f.std(axis=0, ddof=1).max() * math.sqrt(256 / width)
    seeds = math.ceil((spread / (ERROR / 2)) ** 2)
    with single_threaded_products():
        once, _ = cpu(lambda: simulate(module, points, width=width, steps=8, seeds=range(4)))
    finite = once / 4 * seeds
    print(f"finite: about {seeds} networks of width {width} for the same error: {finite:.1f} s")
    print(f"finite over limit: {finite / spent:.0f}")


def samples() -> None:
    """What quasi-random, stratified and moment-matched samples gain over independent ones."""
    limit, points = feature_limit(perceptron(2, "tanh", "0.5")), data(4)
    network = {}
    for name, draws in (("independent", Independent), ("as used", Draws)):
        paths = []
        for seed in range(16):
            space = Particles(2048, draws(seed, SOBOL))
            run = FeatureNetwork(limit.module, space, 8)
            for _ in range(8):
                run.step(points, 4)
            paths.append(run.predict([limit.module.output.node], points, 4)[0])
        network[name] = float(np.std(paths, axis=0, ddof=1).max())
        print(f"2048 samples, {name}: error of f_8 {network[name]:.5f}")
    print(f"variance ratio: {(network['independent'] / network['as used']) ** 2:.0f}")


class Independent(Draws):
    """Independent Gaussian samples."""

    def normal(self, count: int, extent: int) -> np.ndarray:
        """Return the next samples."""
        return self._random.standard_normal((count, extent))


def growth() -> None:
    """The law is O(M (T B)^2) for T steps of B samples, and linear while M T B dominates."""
    limit = feature_limit(perceptron(2, "tanh", "0.1"))
    spent = {}
    for steps, batch in ((16, 4), (32, 4), (64, 4), (128, 4), (8, 8), (8, 16), (8, 32), (8, 64)):
        points = data(batch, d=max(5, batch))
        work = feature_limit(perceptron(2, "tanh", "0.1", d=max(5, batch)))
        each = min(
            cpu(lambda p=points, t=steps, w=work: w.train(p, t, particles=8192, replicates=1))[0]
            for _ in range(2)
        )
        spent[steps, batch] = each
        print(f"steps {steps:3} batch {batch:3}: {each:6.2f} s of CPU time")
    print(f"doubling T from 64: x {spent[128, 4] / spent[64, 4]:.1f} (the law: at most 4)")
    print(f"doubling B from 32: x {spent[8, 64] / spent[8, 32]:.1f} (the law: at most 4)")
    linear, points = feature_limit(perceptron(1, "identity", "0.01")), data(4)
    for steps in (100, 1000):
        each, _ = cpu(lambda t=steps: linear.train(points, t))
        print(f"linear, one hidden layer: {each / steps * 1e3:.2f} ms a step in {steps} steps")
    assert limit.method == "particles"


def long_run(steps: int) -> None:
    """One hidden layer, relu, 1000 real images of 225 pixels, all in every step.

    At a rate of one the run turns unstable after some seventy steps, and no error bar stays small.
    """
    arrays = np.load(ROOT / "examples" / "characters" / "characters.npz")
    x = arrays["x"][:1000].astype(float)
    x /= np.sqrt((x**2).sum(axis=1, keepdims=True))
    y = np.where(arrays["y"][:1000, None] % 2 == 0, 1.0, -1.0)
    limit = feature_limit(perceptron(1, "relu", "0.2", d=225))
    points, test = {"x": x, "y": y}, {"x": x[:100]}
    size: dict[str, Any] = {"particles": 2048, "replicates": 4, "test": test}
    few = min(steps, 20)
    once, double = cpu(lambda: limit.train(points, few, **size))
    half, single = cpu(lambda: limit.train(points, few, precision="single", **size))
    print(f"1000 images, {few} steps: {once:.1f} s of CPU time in double precision, {half:.1f} s")
    print(f"in single; largest difference of an f_t {np.abs(single.f - double.f).max():.1e}")
    start = time.perf_counter()
    spent, run = cpu(lambda: limit.train(points, steps, precision="single", **size))
    elapsed = time.perf_counter() - start
    error = float(np.sqrt((run.error**2).mean()))
    print(f"1000 images: {run}")
    print(
        f"standard error of an f_t: {error:.4f} (root mean square), {run.error.max():.4f} at most"
    )
    print(f"{spent / steps * 1000 / 60:.1f} minutes of CPU time for 1000 steps, "
          f"{elapsed / steps * 1000 / 60:.1f} of the clock")  # fmt: skip


def truth(width: int, seeds: int, only: str) -> None:
    """Every f_t against the extrapolation from ``width`` (2 seeds) and 2 width (seeds)."""
    sys.path.insert(0, str(ROOT))
    from tests.feature.truth import all_cases, compared

    print("largest over all t and samples; combined standard errors of the limit and of networks")
    print(f"{'program':24}{'evaluated by':>13}{'|f|':>7}{'difference':>12}{'deviation':>11}"
          f"{'error':>9}{'of networks':>13}{'CPU s':>8}")  # fmt: skip
    for case in all_cases(width, seeds):
        if only not in case.name:
            continue
        with single_threaded_products():
            spent, found = cpu(lambda c=case: compared(c))
        print(f"{case.name:24}{found.run.method:>13}{np.abs(found.expected).max():7.2f}"
              f"{found.difference:12.4f}{found.deviation:11.2f}{found.run.error.max():9.4f}"
              f"{found.noise.max():13.4f}{spent:8.1f}", flush=True)  # fmt: skip


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truth", action="store_true", help="limits against finite widths")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=2048)
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument("--steps", type=int, default=20, help="of the run on images")
    parser.add_argument("--images", action="store_true", help="the run on images alone")
    asked = parser.parse_args()
    if asked.truth:
        truth(asked.width, asked.seeds, asked.only)
        return
    if not asked.images:
        against_finite_widths()
        samples()
        growth()
    long_run(asked.steps)


if __name__ == "__main__":
    main()
