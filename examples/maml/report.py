"""A table and a picture of the results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from tpc.storage import replacing

Result = Mapping[str, Any]


def merged(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Return, by row, the mean accuracy over seeds in per cent, and its standard error.

    The error is the one over tasks; with several seeds, their spread where it is larger.
    """
    found: dict[str, list[Result]] = {}
    for each in results:
        found.setdefault(each["row"]["name"], []).append(each)
    merged = {}
    for name, each in found.items():
        means = [100 * r["test"]["mean"] for r in each]
        mean, count = sum(means) / len(means), len(means)
        error = math.sqrt(sum((100 * r["test"]["error"]) ** 2 for r in each)) / count
        if count > 1:
            spread = math.sqrt(sum((m - mean) ** 2 for m in means) / (count - 1) / count)
            error = max(error, spread)
        merged[name] = {**each[0], "mean": mean, "error": error, "seeds": count}
    return merged


def table(results: Sequence[Result], order: Sequence[str]) -> str:
    """Return the table, a line for each row."""
    rows = merged(results)
    lines = [f"{'network':14}{'evaluated by':14}{'steps':>7}{'CPU s':>8}{'accuracy':>18}{'TP4':>8}"]
    for name in order:
        if name not in rows:
            continue
        r = rows[name]
        said = "" if r["row"]["published"] is None else f"{r['row']['published']:.2f}"
        shown = f"{r['mean']:.2f} +- {r['error']:.2f}"
        lines.append(
            f"{name:14}{r['method']:14}{r['steps']:>7}{r['CPU seconds']:>8.0f}{shown:>18}{said:>8}"
        )
    return "\n".join(lines) + "\n"


def plot(results: Sequence[Result], path: Path) -> None:
    """Draw accuracy over width; limits and kernels are horizontal bands."""
    from matplotlib.figure import Figure

    rows = merged(results)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="width", ylabel="test accuracy in per cent")
    for family, colour in (("linear", "C0"), ("relu", "C1")):
        finite = sorted(
            (r["row"]["width"], r["mean"], r["error"], r["row"]["published"])
            for name, r in rows.items()
            if name.startswith(family) and r["row"]["width"]
        )
        if finite:
            w, mean, error, _ = zip(*finite, strict=True)
            axes.errorbar(w, mean, error, fmt="o-", color=colour, label=f"{family}, finite width")
            said = [(x, p) for x, _, _, p in finite if p is not None]
            axes.plot(*zip(*said, strict=True), "x", color="black") if said else None
        for kind, style in (("limit", "-"), ("ntk", "--"), ("gp", ":")):
            if (r := rows.get(f"{family}-{kind}")) is not None:
                axes.axhline(r["mean"], ls=style, color=colour, label=f"{family}, {kind}")
                low, high = r["mean"] - r["error"], r["mean"] + r["error"]
                axes.axhspan(low, high, color=colour, alpha=0.15, lw=0)
    widths = sorted({r["row"]["width"] for r in rows.values() if r["row"]["width"]})
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.plot([], [], "x", color="black", label="published (TP4)")
    axes.legend(fontsize="small")
    image = BytesIO()
    figure.savefig(image, format="png", dpi=120)
    with replacing(path) as file:
        file.write(image.getvalue())
