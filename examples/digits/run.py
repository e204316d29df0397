"""Which digit is it? An infinitely wide perceptron answers, and finite ones.

Reads images of 8 x 8 pixels, predicts digits from the NNGP and the NTK of ``digits.tp``, trains the
same program at finite widths, prints accuracies and draws a picture.
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
    path: Path,
    predicted: Mapping[str, Any],
    paths: Mapping[str, Array],
    data: DataSet,
    images: Array,
) -> None:
    """Draw the distance of networks to their limit, and the digits the process doubts most."""
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 7), layout="constrained", dpi=110)
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.2, 1))
        draw_distances(upper.subplots(), paths)
        lower.suptitle("The test images that the NNGP is least sure of (right: green)")
        chances = predicted["NNGP, posterior"].probabilities()
        doubted = chances.max(axis=1).argsort(kind="stable")[:10]
        for axes, row in zip(lower.subplots(2, 5).flat, doubted, strict=True):
            axes.imshow(images[row].reshape(8, 8), cmap="gray_r", interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            best, truth = chances[row].argmax(), data.test["y"][row].argmax()
            colour = "#1d6b3c" if best == truth else "#b3261e"
            said = f"{best}, {chances[row, best]:.0%}"
            axes.set_xlabel(said if best == truth else f"{said}: it is {truth}", color=colour)
        save(figure, path)


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    options = job(__doc__, "digits", HERE / "digits.npz")
    program = tpc.compile(HERE / "digits.tp")
    size = Size(100, (16,), 1, 5) if options.quick else Size(1000, (32, 128, 512), 3, 100)
    reading = Reading(most=size.most, normalise=True)
    data = load(program.module, [str(options.source)], reading)
    predicted, paths = compare(program, data, size)
    with np.load(options.source) as file:
        draw(options.output / "digits.png", predicted, paths, data, file["test_x"])


if __name__ == "__main__":
    main()
