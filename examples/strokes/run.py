"""From which alphabet is a character? An infinitely wide convolutional network answers.

Reads PNG images from a zip file, scales them down, predicts alphabets from the NNGP and the NTK of
``strokes.tp``, trains the same program at finite widths, prints accuracies and draws a picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import tpc
from tpc.data import DataSet, Reading, load

HERE = Path(__file__).resolve().parent
Array = np.ndarray


def accuracy(f: Array, data: DataSet) -> float:
    """Return the fraction of test images whose alphabet has the largest output."""
    return float((f.argmax(axis=-1) == data.test["y"].argmax(axis=-1)).mean())


def predictions(program: tpc.Program, data: DataSet) -> dict[str, Any]:
    """Return what both limits predict, with ridges chosen by leaving images out."""
    test = {"x": data.test["x"]}
    options: dict[str, Any] = {"ridge": "loo", "centre": True, "covariance": True}
    return {
        "NNGP, posterior": program.predict(data.train, test, kind="nngp", **options),
        "NTK, trained to the end": program.predict(data.train, test, kind="ntk", **options),
    }


def curves(
    program: tpc.Program, data: DataSet, widths: tuple[int, ...], steps: int
) -> dict[str, Array]:
    """Return outputs at the test images after every step: of networks, and of their limit.

    The random outputs before training are subtracted, and added to the targets, so that networks
    begin at zero as the limit's mean does.
    """
    points = {"x": np.concatenate([data.train["x"], data.test["x"]])}
    count, found = len(data.train["x"]), {}
    for width in widths:
        first = program.simulate(data.train, width=width, test=points).f[0, 0]
        shifted = {**data.train, "y": data.train["y"] + first[:count]}
        run = program.simulate(shifted, width=width, steps=steps, test=points)
        found[f"network of width {width}"] = (run.f[0] - first)[:, count:]
    run = program.limit("ntk").train(data.train, steps, test={"x": data.test["x"]}, start="mean")
    print(f"largest stable learning rate: {run.largest_rate:.3g}\n")
    return {**found, "infinite width": run.f}


def table(predicted: Mapping[str, Any], paths: Mapping[str, Array], data: DataSet) -> str:
    """Return test accuracies as text, and that of the commonest alphabet."""
    common = data.train["y"].mean(axis=0).argmax()
    rows = {"always the commonest": float((data.test["y"].argmax(axis=-1) == common).mean())}
    rows |= {name: accuracy(each.mean, data) for name, each in predicted.items()}
    rows |= {f"{name}, {len(f) - 1} steps": accuracy(f[-1], data) for name, f in paths.items()}
    return "\n".join(f"{name:36}{value:8.1%}" for name, value in rows.items())


def draw(
    path: Path, predicted: Mapping[str, Any], paths: Mapping[str, Array], data: DataSet
) -> None:
    """Draw the distance of networks to their limit, and how confident the process is, and right."""
    names = data.names["y"]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 7), layout="constrained", dpi=110)
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.2, 1))
        axes = upper.subplots()
        limit = paths["infinite width"]
        for colour, (name, f) in zip(
            ("#9ecae1", "#4292c6", "#08519c"), paths.items(), strict=False
        ):
            if name != "infinite width":
                gap = ((f - limit) ** 2).mean(axis=(1, 2)) ** 0.5
                axes.plot(gap, color=colour, label=name)
        size = (limit**2).mean(axis=(1, 2)) ** 0.5
        axes.plot(size, color="#1b1b1b", linestyle=(0, (4, 2)), label="size of the limit's output")
        axes.set(xlabel="steps of gradient descent", ylabel="distance to infinite width")
        axes.set(title="Wide networks compute what their limit says", ylim=(0, None))
        axes.legend(frameon=False)
        lower.suptitle(
            "Test images as the network sees them: chances under the NNGP (right: green)"
        )
        rows = np.linspace(0, len(data.test["x"]) - 1, 10).astype(int)
        chances = predicted["NNGP, posterior"].probabilities()
        for axes, row in zip(lower.subplots(2, 5).flat, rows, strict=True):
            axes.imshow(-data.test["x"][row], cmap="gray_r", interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            best, truth = chances[row].argmax(), data.test["y"][row].argmax()
            colour = "#1d6b3c" if best == truth else "#b3261e"
            axes.set_xlabel(f"{names[best]}, {chances[row, best]:.0%}", color=colour)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=HERE / "images.zip", help="zip or folder")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder of the picture")
    parser.add_argument("--quick", action="store_true", help="few images, steps and widths")
    options = parser.parse_args()
    program = tpc.compile(HERE / "strokes.tp")
    most, widths, steps = (40, (16,), 5) if options.quick else (450, (32, 128), 80)
    program = program.with_(s=4) if options.quick else program
    reading = Reading(test=0.25, most=most, normalise=True)
    data = load(program.module, [f"x={options.images}"], reading)
    print(f"{len(data.train['x']):,} training images, {len(data.test['x'])} test images")
    predicted = predictions(program, data)
    paths = curves(program, data, widths, steps)
    print(table(predicted, paths, data))
    draw(options.output / "strokes.png", predicted, paths, data)
    print(f"\npicture: {options.output / 'strokes.png'}")


if __name__ == "__main__":
    main()
