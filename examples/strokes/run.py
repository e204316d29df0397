"""From which alphabet is a character? An infinitely wide convolutional network answers.

Reads PNG images from a zip file, scales them down, predicts alphabets from the NNGP and the NTK of
``strokes.tp``, trains the same program at finite widths, prints accuracies and draws a picture.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import tpc
from tpc.data import DataSet, Reading, load

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # what the examples share is beside them

from comparison import Array, Size, compare, draw_distances, job, save  # noqa: E402


def draw(
    path: Path, predicted: Mapping[str, Any], paths: Mapping[str, Array], data: DataSet
) -> None:
    """Draw the distance of networks to their limit, and how confident the process is, and right."""
    names = data.names["y"]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 7), layout="constrained", dpi=110)
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.2, 1))
        axes = upper.subplots()
        draw_distances(axes, paths)
        lower.suptitle(
            "Test images as the network sees them: chances under the NNGP (right: green)"
        )
        rows = np.linspace(0, len(data.test["x"]) - 1, 10).astype(int)
        chances = predicted["NNGP, posterior"].probabilities()
        for axes, row in zip(lower.subplots(2, 5).flat, rows, strict=True):
            axes.imshow(-data.test["x"][row, :, :, 0], cmap="gray_r", interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            best, truth = chances[row].argmax(), data.test["y"][row].argmax()
            colour = "#1d6b3c" if best == truth else "#b3261e"
            axes.set_xlabel(f"{names[best]}, {chances[row, best]:.0%}", color=colour)
        save(figure, path)


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    options = job(__doc__, "images", HERE / "images.zip")
    program = tpc.compile(HERE / "strokes.tp")
    size = Size(20, (16,), 1, 5) if options.quick else Size(160, (16, 32, 64), 3, 25)
    program = program.with_(s=7) if options.quick else program
    reading = Reading(test=0.5, most=size.most, normalise=True)
    data = load(program.module, [f"x={options.source}"], reading)
    predicted, paths = compare(program, data, size)
    draw(options.output / "strokes.png", predicted, paths, data)


if __name__ == "__main__":
    main()
