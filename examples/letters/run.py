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
    program: tpc.Program, data: DataSet, widths: tuple[int, ...], seeds: int, steps: int
) -> dict[str, Array]:
    """Return outputs at the test windows after every step: of networks, and of their limit.

    Arrays of networks are (seeds, steps + 1, windows, outputs), that of the limit has no seeds. The
    random outputs before training are subtracted, and added to the targets, so that networks begin
    at zero as the limit's mean does.
    """
    test = {"ids": data.test["ids"]}
    run = program.limit("ntk").train(data.train, steps, test=test, start="mean")
    narrow = float(run.largest_rate) / 2 / (1 + (run.f.shape[-1] / widths[0]) ** 0.5) ** 2
    print(f"largest stable learning rate of the limit: {run.largest_rate:.3g}")
    print(f"half of what is stable at width {widths[0]}, by the rule of thumb: {narrow:.3g}\n")
    found = {
        f"network of width {width}": np.stack(
            [trained(program, data, width, seed, steps) for seed in range(seeds)]
        )
        for width in widths
    }
    return {**found, "infinite width": run.f}


def trained(program: tpc.Program, data: DataSet, width: int, seed: int, steps: int) -> Array:
    """Return what a network learns, (steps + 1, test windows, outputs): outputs less the first."""
    points = {"ids": np.concatenate([data.train["ids"], data.test["ids"]])}
    count = len(data.train["ids"])
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
    axes.legend(frameon=False, fontsize=9, ncols=2)


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
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=HERE / "text.txt", help="a text in UTF-8")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder of the picture")
    parser.add_argument("--quick", action="store_true", help="few windows, steps, widths and seeds")
    options = parser.parse_args()
    program = tpc.compile(HERE / "letters.tp")
    small, full = (120, (16,), 1, 5), (400, (64, 128, 256), 3, 30)
    most, widths, seeds, steps = small if options.quick else full
    program = program.with_(T=3) if options.quick else program
    data = load(program.module, [str(options.text)], Reading(test=0.5, most=most, stride=2))
    print(f"{len(data.train['ids']):,} training windows, {len(data.test['ids'])} test windows")
    predicted = predictions(program, data)
    paths = curves(program, data, widths, seeds, steps)
    print(table(predicted, paths, data))
    draw(options.output / "letters.png", predicted, paths, data)
    print(f"\npicture: {options.output / 'letters.png'}")


if __name__ == "__main__":
    main()
