"""Predicted and measured slopes as a table and as a picture (the coordinate check)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.report.axes import width_axis

if TYPE_CHECKING:
    from tpc.slopes import Row, Slopes

_WHAT = {"initial": "at init", "change": "change"}
_MOST = 10


def slopes_text(found: Slopes) -> str:
    """Return the table: one line for each size of each value, and the counts below."""
    names = max((len(row.name) for row in found.rows), default=5)
    widths = "".join(f"{f'n = {width}':>12}" for width in found.widths)
    lines = [f"{'value':{max(names, 5)}}  {'':8}{widths}{'predicted':>11}{'measured':>16}  verdict"]
    lines += [_line(row, max(names, 5)) for row in found.rows]
    said = [f"{count} {verdict.value}" for verdict, count in found.counts.items() if count]
    how = f"{found.steps} steps, {len(found.seeds)} seeds, learning rates times {found.factor}"
    lines.append(f"{', '.join(said)}: {how}")
    if not found.judged:
        kind = found.classification.kind.value
        lines.append(f"the program is {kind}: its exponents are those of the step that broke it")
    return "\n".join(lines)


def _line(row: Row, names: int) -> str:
    sizes = "".join(f"{size:>12.4g}" for size in row.means)
    predicted = "0" if row.predicted == math.inf else power_text(row)
    if row.slope is None:
        measured = "0" if row.zero else "none"
    else:
        error = "" if row.error is None else f" +-{row.error:.2f}"
        measured = f"{row.slope:+.2f}{error}"
    head, verdict = f"{row.name:{names}}  {_WHAT[row.quantity]:8}", row.verdict.value
    return f"{head}{sizes}{predicted:>11}{measured:>16}  {verdict}"


def power_text(row: Row) -> str:
    """Return the predicted slope, -e, as text: ``-1/2``."""
    assert row.predicted != math.inf
    return str(-row.predicted) if row.predicted else "0"


def slopes_plot(found: Slopes, path: Path, title: str) -> None:
    """Draw sizes against width to a file: one colour a value, predictions dashed.

    A loop's values (``z#1``, ``z#2``, ``z``) share a colour; of many names the outputs and the
    last ones are drawn.

    Raises:
        TpcError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from tpc.storage import replacing

    names = _drawn(found)
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.4), sharex=True)
    for draw, quantity in zip(axes, ("change", "initial"), strict=True):
        _panel(draw, found, quantity, names)
    figure.suptitle(f"{title}: {found.classification.kind.value}")
    figure.tight_layout()
    kind = path.suffix.lstrip(".").lower() or "png"
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=150)
    plt.close(figure)


def _family(name: str) -> str:
    """Return the name that the values of one loop or family share."""
    return re.split(r"[#\[]", name)[0]


def _drawn(found: Slopes) -> list[str]:
    """Return the families to draw, in the order of the program, outputs last."""
    outputs = [_family(name) for name in found.classification.outputs]
    names = list(dict.fromkeys(_family(row.name) for row in found.rows))
    inner = [name for name in names if name not in outputs]
    return [*inner[-max(_MOST - len(outputs), 1) :], *dict.fromkeys(outputs)]


def _panel(draw: Any, found: Slopes, quantity: str, names: Sequence[str]) -> None:
    from matplotlib import colormaps

    palette = colormaps["tab10"]
    for number, name in enumerate(names):
        family = [r for r in found.rows if _family(r.name) == name and r.quantity == quantity]
        shown = [row for row in family if row.slope is not None]
        for row in shown:
            last = row is shown[-1]
            draw.loglog(
                row.widths,
                row.means,
                "o-" if last else "-",
                color=palette(number % 10),
                alpha=1.0 if last else 0.35,
                label=_label(row, name) if last else None,
            )
        if shown and shown[-1].predicted != math.inf:
            _prediction(draw, shown[-1], palette(number % 10))
    _at_least_a_decade(draw)
    width_axis(draw, found.widths)
    draw.set_ylabel("root mean square of a coordinate")
    draw.set_title("change by training" if quantity == "change" else "at initialisation")
    draw.grid(alpha=0.3, which="major")
    draw.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _at_least_a_decade(draw: Any) -> None:
    """Widen the axis of sizes, so that scatter does not look like a slope."""
    low, high = draw.get_ylim()
    missing = 10 * low / high
    if missing > 1:
        draw.set_ylim(low / missing**0.5, high * missing**0.5)


def _label(row: Row, name: str) -> str:
    predicted = "0" if row.predicted == math.inf else power_text(row)
    return f"{name}: {row.slope:+.2f} (predicted {predicted})"


def _prediction(draw: Any, row: Row, colour: Any) -> None:
    """Draw the predicted power through the last point."""
    end, size = row.widths[-1], row.means[-1]
    line = [size * (width / end) ** -float(row.predicted) for width in row.widths]
    draw.loglog(row.widths, line, "--", color=colour, linewidth=1, alpha=0.8)
