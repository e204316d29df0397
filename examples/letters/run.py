"""Which character comes next? An infinitely wide recurrent network answers, and finite ones.

Cuts a text into windows, predicts the next character from the NNGP and the NTK of ``letters.tp``,
trains the same program at finite widths, prints the accuracies and draws a picture.
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
    """Draw the distance of networks to their limit, and what the process says of some windows."""
    names = ["␣" if name == " " else name[:1] for name in data.names["ids"]]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 6.6), layout="constrained", dpi=110)
        upper, lower = figure.subplots(2, 1, height_ratios=(1, 1.3))
        draw_distances(upper, paths)
        rows = np.arange(0, len(data.test["ids"]), max(1, len(data.test["ids"]) // 14))[:14]
        chances = predicted["NNGP, posterior"].probabilities()[rows]
        lower.imshow(chances, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        windows = ["".join(names[i - 1] for i in data.test["ids"][row]) for row in rows]
        lower.set_yticks(range(len(rows)), windows, family="monospace")
        lower.set_xticks(range(len(names)), names, family="monospace")
        truth = data.test["y"][rows].argmax(axis=-1)
        lower.plot(truth, range(len(rows)), "o", mfc="none", color="#b3261e", label="what comes")
        lower.set(title="After a window: chances of the next character under the NNGP")
        lower.legend(loc="upper right", frameon=False)
        save(figure, path)


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    options = job(__doc__, "text", HERE / "text.txt")
    program = tpc.compile(HERE / "letters.tp")
    size = Size(120, (16,), 1, 5) if options.quick else Size(400, (64, 128, 256), 3, 30)
    program = program.with_(T=3) if options.quick else program
    reading = Reading(test=0.5, most=size.most, stride=2)
    data = load(program.module, [str(options.source)], reading)
    predicted, paths = compare(program, data, size)
    draw(options.output / "letters.png", predicted, paths, data)


if __name__ == "__main__":
    main()
