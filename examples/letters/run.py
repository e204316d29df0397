"""Which character comes next? An infinitely wide recurrent network answers, and finite ones.

Cuts a text into windows, predicts the next character from the NNGP and the NTK of ``letters.tp``,
trains the same program at finite widths, prints the accuracies and draws a picture.
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
    """Return the fraction of test windows whose next character has the largest output."""
    return float((f.argmax(axis=-1) == data.test["y"].argmax(axis=-1)).mean())


def predictions(program: tpc.Program, data: DataSet) -> dict[str, Any]:
    """Return what both limits predict, with ridges chosen by leaving windows out."""
    test = {"ids": data.test["ids"]}
    options: dict[str, Any] = {"ridge": "loo", "centre": True, "covariance": True}
    return {
        "NNGP, posterior": program.predict(data.train, test, kind="nngp", **options),
        "NTK, trained to the end": program.predict(data.train, test, kind="ntk", **options),
    }


def curves(
    program: tpc.Program, data: DataSet, widths: tuple[int, ...], steps: int
) -> dict[str, Array]:
    """Return outputs at the test windows after every step: of networks, and of their limit.

    The random outputs before training are subtracted, and added to the targets, so that networks
    begin at zero as the limit's mean does.
    """
    points = {"ids": np.concatenate([data.train["ids"], data.test["ids"]])}
    count, found = len(data.train["ids"]), {}
    for width in widths:
        first = program.simulate(data.train, width=width, test=points).f[0, 0]
        shifted = {**data.train, "y": data.train["y"] + first[:count]}
        run = program.simulate(shifted, width=width, steps=steps, test=points)
        found[f"network of width {width}"] = (run.f[0] - first)[:, count:]
    run = program.limit("ntk").train(
        data.train, steps, test={"ids": data.test["ids"]}, start="mean"
    )
    print(f"largest stable learning rate: {run.largest_rate:.3g}\n")
    return {**found, "infinite width": run.f}


def table(predicted: Mapping[str, Any], paths: Mapping[str, Array], data: DataSet) -> str:
    """Return test accuracies as text, and that of the commonest character."""
    common = data.train["y"].mean(axis=0).argmax()
    rows = {"always the commonest": float((data.test["y"].argmax(axis=-1) == common).mean())}
    rows |= {name: accuracy(each.mean, data) for name, each in predicted.items()}
    rows |= {f"{name}, {len(f) - 1} steps": accuracy(f[-1], data) for name, f in paths.items()}
    return "\n".join(f"{name:36}{value:8.1%}" for name, value in rows.items())


def draw(
    path: Path, predicted: Mapping[str, Any], paths: Mapping[str, Array], data: DataSet
) -> None:
    """Draw the distance of networks to their limit, and what the process says of some windows."""
    names = ["␣" if name == " " else name[:1] for name in data.names["ids"]]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 6.6), layout="constrained", dpi=110)
        upper, lower = figure.subplots(2, 1, height_ratios=(1, 1.3))
        limit = paths["infinite width"]
        for colour, (name, f) in zip(
            ("#9ecae1", "#4292c6", "#08519c"), paths.items(), strict=False
        ):
            if name != "infinite width":
                gap = ((f - limit) ** 2).mean(axis=(1, 2)) ** 0.5
                upper.plot(gap, color=colour, label=name)
        size = (limit**2).mean(axis=(1, 2)) ** 0.5
        upper.plot(size, color="#1b1b1b", linestyle=(0, (4, 2)), label="size of the limit's output")
        upper.set(xlabel="steps of gradient descent", ylabel="distance to infinite width")
        upper.set(title="Wide networks compute what their limit says", yscale="log")
        upper.legend(frameon=False)
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
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=HERE / "text.txt", help="a text in UTF-8")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder of the picture")
    parser.add_argument("--quick", action="store_true", help="few windows, steps and widths")
    options = parser.parse_args()
    program = tpc.compile(HERE / "letters.tp")
    most, widths, steps = (120, (16,), 5) if options.quick else (400, (32, 128), 60)
    program = program.with_(T=3) if options.quick else program
    data = load(program.module, [str(options.text)], Reading(test=0.2, most=most, stride=2))
    print(f"{len(data.train['ids']):,} training windows, {len(data.test['ids'])} test windows")
    predicted = predictions(program, data)
    paths = curves(program, data, widths, steps)
    print(table(predicted, paths, data))
    draw(options.output / "letters.png", predicted, paths, data)
    print(f"\npicture: {options.output / 'letters.png'}")


if __name__ == "__main__":
    main()
