"""Networks of finite width against their limit while they learn: what these examples share.

Every one reads data, predicts test points from both kernel limits, trains the same program at
finite widths, prints accuracies and draws the distances to the limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tpc
from tpc.data import DataSet

Array = np.ndarray


@dataclass(frozen=True)
class Size:
    """How much is done: samples (training and test together), widths, seeds and steps."""

    most: int
    widths: tuple[int, ...]
    seeds: int
    steps: int


def accuracy(f: Array, data: DataSet) -> float:
    """Return the fraction of test points whose class has the largest output."""
    return float((f.argmax(axis=-1) == data.test["y"].argmax(axis=-1)).mean())


def inputs(points: Mapping[str, Array]) -> dict[str, Array]:
    """Return what networks read: all but the targets y."""
    return {name: each for name, each in points.items() if name != "y"}


def predictions(program: tpc.Program, data: DataSet) -> dict[str, Any]:
    """Return what both limits predict, with ridges chosen by leaving points out."""
    test = inputs(data.test)
    options: dict[str, Any] = {"ridge": "loo", "centre": True, "covariance": True}
    return {
        "NNGP, posterior": program.predict(data.train, test, kind="nngp", **options),
        "NTK, trained to the end": program.predict(data.train, test, kind="ntk", **options),
    }


def curves(program: tpc.Program, data: DataSet, size: Size) -> dict[str, Array]:
    """Return outputs at the test points after every step: of networks, and of their limit.

    Arrays of networks are (seeds, steps + 1, points, outputs), that of the limit has no seeds. The
    random outputs before training are subtracted, and added to the targets, so that networks begin
    at zero as the limit's mean does.
    """
    run = program.limit("ntk").train(data.train, size.steps, test=inputs(data.test), start="mean")
    narrow = float(run.largest_rate) / 2 / (1 + (run.f.shape[-1] / size.widths[0]) ** 0.5) ** 2
    print(f"largest stable learning rate of the limit: {run.largest_rate:.3g}")
    print(f"half of what is stable at width {size.widths[0]}, by the rule of thumb: {narrow:.3g}\n")
    found = {
        f"network of width {width}": np.stack(
            [trained(program, data, width, seed, size.steps) for seed in range(size.seeds)]
        )
        for width in size.widths
    }
    return {**found, "infinite width": run.f}


def trained(program: tpc.Program, data: DataSet, width: int, seed: int, steps: int) -> Array:
    """Return what a network learns, (steps + 1, test points, outputs): outputs less the first."""
    points = {
        name: np.concatenate([each, data.test[name]]) for name, each in inputs(data.train).items()
    }
    count = len(data.train["y"])
    first = program.simulate(data.train, width=width, seeds=[seed], test=points).f[0, 0]
    shifted = {**data.train, "y": data.train["y"] + first[:count]}
    run = program.simulate(shifted, width=width, seeds=[seed], steps=steps, test=points)
    learned: Array = (run.f[0] - first)[:, count:]
    return learned


def table(predicted: Mapping[str, Any], paths: Mapping[str, Array], data: DataSet) -> str:
    """Return test accuracies as text, those of networks as means over seeds, with distances."""
    common = data.train["y"].mean(axis=0).argmax()
    rows = {"always the commonest": float((data.test["y"].argmax(axis=-1) == common).mean())}
    rows |= {name: accuracy(each.mean, data) for name, each in predicted.items()}
    lines = [f"{name:36}{value:8.1%}" for name, value in rows.items()]
    limit = paths["infinite width"]
    steps = len(limit) - 1
    for name, f in paths.items():
        line = f"{f'{name}, {steps} steps':36}"
        if f is limit:
            lines.append(f"{line}{accuracy(f[-1], data):8.1%}")
            continue
        value = np.mean([accuracy(each[-1], data) for each in f])
        far = gaps(f, limit)[:, -1].mean() / gaps(limit[None], 0 * limit)[0, -1]
        lines.append(f"{line}{value:8.1%}   at a distance of {far:.0%} of the limit's output")
    error = (0.25 / len(data.test["y"])) ** 0.5
    return "\n".join([*lines, "", f"standard error of an accuracy: at most {error:.1%}"])


def gaps(f: Array, limit: Array) -> Array:
    """Return root mean square distances to the limit, (seeds, steps + 1)."""
    distances: Array = ((f - limit) ** 2).mean(axis=(2, 3)) ** 0.5
    return distances


def draw_distances(axes: Any, paths: Mapping[str, Array]) -> None:
    """Draw the distance of every network to the limit, and their means over seeds."""
    limit = paths["infinite width"]
    networks = [(name, f) for name, f in paths.items() if f is not limit]
    for colour, (name, f) in zip(("#9ecae1", "#4292c6", "#08519c"), networks, strict=False):
        each = gaps(f, limit)[:, 1:]
        steps = np.arange(1, each.shape[1] + 1)
        axes.plot(steps, each.T, color=colour, linewidth=0.7, alpha=0.6)
        axes.plot(steps, each.mean(axis=0), color=colour, linewidth=2, label=f"{name}, mean")
    size = gaps(limit[None], 0 * limit)[0, 1:]
    dashed = (0, (4, 2))
    axes.plot(steps, size, color="#1b1b1b", linestyle=dashed, label="size of the limit's output")
    axes.set(xlabel="steps of gradient descent", ylabel="distance to infinite width", yscale="log")
    axes.set(title="The wider a network, the nearer it stays to its limit while it learns")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))


def job(description: str | None, source: str, given: Path) -> argparse.Namespace:
    """Return the options of a run: where ``source`` is read, what is written, how much is done."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(f"--{source}", type=Path, default=given, help="the data", dest="source")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder of the picture")
    parser.add_argument("--quick", action="store_true", help="few samples, steps and networks")
    return parser.parse_args()


def compare(
    program: tpc.Program, data: DataSet, size: Size
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Predict, train and print the table; return what both limits predict, and the curves."""
    print(f"{len(data.train['y']):,} training points, {len(data.test['y'])} test points")
    predicted = predictions(program, data)
    paths = curves(program, data, size)
    print(table(predicted, paths, data))
    return predicted, paths


def save(figure: Any, path: Path) -> None:
    """Write a picture and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"\npicture: {path}")
