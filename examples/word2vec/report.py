"""Tables and pictures of a study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tpc.report.axes import step_axis, width_axis

STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
LIMIT, NETWORK, KERNEL = "#1b1b1b", "#08519c", "#b3261e"


def groups(results: Iterable[dict[str, Any]]) -> dict[tuple[str, int | None], list[dict[str, Any]]]:
    """Return results by program and width, seeds together."""
    found: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
    for each in results:
        job = each["job"]
        found.setdefault((job["program"], job["width"]), []).append(each)
    return found


def percent(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard error, in percent; the error is NaN for a single value."""
    mean = 100 * float(np.mean(values))
    error = math.nan
    if len(values) > 1:
        error = 100 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, error


def accuracies(results: Sequence[dict[str, Any]], section: str = "all") -> list[float]:
    """Return the share of right answers of each result."""
    found = []
    for each in results:
        (score,) = (s for s in each["scores"] if s["section"] == section)
        found.append(score["right"] / score["asked"] if score["asked"] else math.nan)
    return found


def name_of(program: str, width: int | None) -> str:
    """Return what a row of the table is called."""
    kind = "infinite width" if width is None else f"width {width:,}"
    return kind if program == "word2vec" else f"kernel regime, {kind}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return accuracies by width: mean and standard error over seeds, CPU time of an epoch."""
    head = f"{'':32}{'analogies':>14}{'seeds':>7}{'loss':>9}{'s/epoch':>9}{'memory':>10}"
    lines = [head]
    for (program, width), some in groups(results).items():
        mean, error = percent(accuracies(some))
        spread = "" if math.isnan(error) else f" ± {error:.2f}"
        loss = np.mean([each["epochs"]["loss"][-1] for each in some])
        seconds = np.median([s for each in some for s in each["epochs"]["seconds"]])
        memory = f"{some[0]['memory'] / 1e6:,.0f} MB"
        accuracy = f"{mean:.2f}{spread}"
        lines.append(
            f"{name_of(program, width):32}{accuracy:>14}{len(some):>7}{loss:9.4f}{seconds:9.2f}"
            f"{memory:>10}"
        )
    return "\n".join(lines)


def sections(results: Sequence[dict[str, Any]]) -> str:
    """Return accuracies by section, a column for each width."""
    found = groups(results)
    heads = [
        ("kernel " if program != "word2vec" else "") + ("limit" if width is None else str(width))
        for program, width in found
    ]
    lines = [f"{'section':30}{'asked':>7}" + "".join(f"{head:>14}" for head in heads)]
    for score in results[0]["scores"]:
        if score["asked"]:
            cells = (percent(accuracies(some, score["section"]))[0] for some in found.values())
            row = "".join(f"{cell:14.1f}" for cell in cells)
            lines.append(f"{score['section']:30}{score['asked']:>7}{row}")
    return "\n".join(lines)


def words(result: dict[str, Any]) -> str:
    """Return nearest neighbours and answers of one network."""
    lines = []
    for word, near in result["neighbours"]["near"].items():
        lines.append(f"{word:12} " + ", ".join(f"{w} {c:.2f}" for w, c in near))
    lines.append("")
    for question, best in result["neighbours"]["answers"].items():
        lines.append(f"{question:44} " + ", ".join(f"{w} {c:.2f}" for w, c in best))
    return "\n".join(lines)


def widths_picture(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Draw accuracy against width, with the limits as levels; and over epochs."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4), layout="constrained", dpi=120)
        left, right = figure.subplots(1, 2)
        _widths(left, results)
        _epochs(right, results)
        figure.savefig(path)


def _widths(axes: Axes, results: Sequence[dict[str, Any]]) -> None:
    for program, colour in (("word2vec", NETWORK), ("kernel", KERNEL)):
        found = {w: s for (p, w), s in groups(results).items() if p == program}
        points = [(w, *percent(accuracies(s))) for w, s in found.items() if w is not None]
        label = "maximal update" if program == "word2vec" else "kernel regime"
        if points:
            w, mean, error = zip(*sorted(points), strict=True)
            bars = np.nan_to_num(error)
            axes.errorbar(w, mean, bars, marker="o", color=colour, capsize=3, label=label)
        if None in found:
            mean, error = percent(accuracies(found[None]))
            axes.axhline(mean, color=colour, linestyle="--", label=f"{label}: limit")
            if not math.isnan(error):
                axes.axhspan(mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    width_axis(axes, sorted({width for _, width in groups(results) if width is not None}))
    axes.set_ylabel("analogies answered, %")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.legend(frameon=False)


def _epochs(axes: Axes, results: Sequence[dict[str, Any]]) -> None:
    found = {w: s for (p, w), s in groups(results).items() if p == "word2vec"}
    shades = mpl.colormaps["Blues"](np.linspace(0.35, 0.95, max(len(found), 2)))
    for (width, some), shade in zip(found.items(), shades, strict=False):
        path = 100 * np.mean([each["epochs"]["accuracy"] for each in some], axis=0)
        colour = LIMIT if width is None else shade
        label = "limit" if width is None else f"n = {width}"
        axes.plot(range(1, len(path) + 1), path, color=colour, label=label)
    step_axis(axes)
    axes.set_xlabel("epoch")
    axes.set_ylabel("analogies answered, %")
    axes.legend(frameon=False)


def capitals_picture(path: Path, kernel: dict[str, Any], limit: dict[str, Any]) -> None:
    """Draw countries and capitals in two principal components: kernel limit, and muP limit."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained", dpi=120)
        titles = ("kernel limit: as before training", "maximal update: after training")
        for axes, result, title in zip(figure.subplots(1, 2), (kernel, limit), titles, strict=True):
            _capitals(axes, result["capitals"], title)
        figure.savefig(path)


def _capitals(axes: Axes, found: dict[str, Any], title: str) -> None:
    axes.set_title(title)
    places = np.array(found["places"]).reshape(-1, 2, 2)
    for (country, capital), ((x0, y0), (x1, y1)) in zip(found["pairs"], places, strict=True):
        axes.plot([x0, x1], [y0, y1], color="#bbbbbb", linewidth=1, zorder=1)
        axes.scatter([x0], [y0], color=NETWORK, s=14, zorder=2)
        axes.scatter([x1], [y1], color=KERNEL, s=14, zorder=2)
        for name, x, y in ((country, x0, y0), (capital, x1, y1)):
            axes.annotate(name, (x, y), fontsize=8, xytext=(3, 2), textcoords="offset points")
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second")
