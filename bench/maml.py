"""CPU time of a meta-step of 32 tasks: ``python bench/maml.py [--peer PYTHON]``.

The limit of linear MAML as tpc evaluates it, against the same algorithm on the same network (784
plus 6 coordinates) written as a loop over tasks: in NumPy, and in PyTorch (float64, eager) where
``--peer`` names a Python that has it. Tasks are random sparse images; all three must agree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tpc
from tpc.feature.threads import single_threaded_products

PROGRAM = Path(__file__).resolve().parents[1] / "examples" / "maml" / "linear.tp"
D, WAYS, TASKS, INNER, RATE, CLIP, SIGMA_V = 784, 5, 32, 0.4, 0.1, 0.5, 1 / 32

PEER = """
import json, sys, time
import numpy as np
import torch
torch.set_num_threads(1)
data = np.load(sys.argv[1])
inner, rate, clip = 0.4, 0.1, 0.5
weights = [torch.tensor(data[k], requires_grad=True) for k in ("U", "B", "V")]
steps = len(data["xs"])
labels = torch.arange(5)
loss_of = torch.nn.functional.cross_entropy
losses, times = [], []
for step in range(steps):
    xs, xq = torch.tensor(data["xs"][step]), torch.tensor(data["xq"][step])
    began = time.process_time()
    for w in weights:
        w.grad = None
    total = 0.0
    for task in range(len(xs)):
        u, b, v = weights
        loss = loss_of((xs[task] @ u.T + b) @ v.T, labels)
        found = torch.autograd.grad(loss, weights)
        u, b, v = (w - inner * g for w, g in zip(weights, found))
        loss = loss_of((xq[task] @ u.T + b) @ v.T, labels)
        loss.backward()
        total += float(loss)
    torch.nn.utils.clip_grad_norm_(weights, clip)
    with torch.no_grad():
        for w in weights:
            w -= rate * w.grad
    times.append(time.process_time() - began)
    losses.append(total)
print(json.dumps([losses, times]))
"""


def start() -> list[np.ndarray]:
    """Return the limit's weights: coefficients over the initial Gaussians, and the constant."""
    size = 1 + D + WAYS
    u, v = np.zeros((size, D)), np.zeros((WAYS, size))
    u[1 : D + 1] = np.eye(D)
    v[:, D + 1 :] = SIGMA_V * np.eye(WAYS)
    return [u, np.zeros(size), v]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gradients(x: np.ndarray, weights: list[np.ndarray]) -> tuple[float, list[np.ndarray]]:
    u, b, v = weights
    h = x @ u.T + b
    p = softmax(h @ v.T)
    chi = (p - np.eye(WAYS)) / WAYS
    back = chi @ v
    return -float(np.log(np.diagonal(p)).mean()), [back.T @ x, back.sum(axis=0), chi.T @ h]


def loop(xs: np.ndarray, xq: np.ndarray, weights: list[np.ndarray]) -> float:
    """Make one meta-step of the plain loop over tasks."""
    total, summed = 0.0, [np.zeros_like(w) for w in weights]
    for support, query in zip(xs, xq, strict=True):
        _, found = gradients(support, weights)
        adapted = [w - INNER * g for w, g in zip(weights, found, strict=True)]
        loss, found = gradients(query, adapted)
        total += loss
        for s, g in zip(summed, found, strict=True):
            s += g
    norm = sum(float((s**2).sum()) for s in summed) ** 0.5
    for w, s in zip(weights, summed, strict=True):
        w -= RATE * min(1.0, CLIP / norm) * s
    return total


def timed(function: Callable[[int], float], steps: int) -> tuple[list[float], list[float]]:
    losses, times = [], []
    for step in range(steps):
        began = time.process_time()
        losses.append(function(step))
        times.append(time.process_time() - began)
    return losses, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="a Python that has PyTorch")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    shape = (2, options.steps, TASKS, WAYS, D)
    xs, xq = random.random(shape) * (random.random(shape) < 0.19)
    targets = np.tile(np.eye(WAYS), (TASKS, 1, 1))
    session = tpc.compile(PROGRAM).session(steps=options.steps)

    def step(number: int) -> float:
        return session.step({"xs": xs[number], "xq": xq[number], "ys": targets, "yq": targets})

    weights = start()
    found = {}
    with single_threaded_products():
        found["tpc"] = timed(step, options.steps)
        found["NumPy loop"] = timed(lambda k: loop(xs[k], xq[k], weights), options.steps)
    if options.peer:
        found["PyTorch loop"] = peer(options.peer, xs, xq)
    losses, times = found["tpc"]
    for name, (others, each) in found.items():
        apart = float(np.abs(np.subtract(losses, others)).max())
        best, middle = 1e3 * min(each), 1e3 * float(np.median(each))
        ratio = float(np.median(each) / np.median(times))
        print(f"{name:14} {best:8.1f} ms (median {middle:6.1f})  x{ratio:5.1f}  losses {apart:.1e}")


def peer(python: str, xs: np.ndarray, xq: np.ndarray) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.npz"
        u, b, v = start()
        np.savez(path, xs=xs, xq=xq, U=u, B=b, V=v)
        command = [python, "-c", PEER, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer failed:\n{done.stderr}")
    losses, times = json.loads(done.stdout)
    return losses, times


if __name__ == "__main__":
    main()
