"""A study over widths as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.report.axes import step_axis, width_axis

if TYPE_CHECKING:
    from tpc.study import Row, Study

_TITLES = {
    "initial": "f at init",
    "change": "change of f",
    "first_loss": "first loss",
    "last_loss": "last loss",
    "distance": "distance",
}


def study_text(found: Study) -> str:
    """Return the table: one row a width, and the log-log slopes below."""
    columns = _columns(found)
    head = f"{'width':>8}" + "".join(f"{_TITLES[name]:>14}" for name in columns)
    lines = [head]
    lines += [_line(row, columns) for row in found.rows]
    slopes = [found.slope(name) if name not in _LOSSES else None for name in columns]
    if any(slope is not None for slope in slopes):
        cells = "".join(f"{'' if s is None else format(s, '+.2f'):>14}" for s in slopes)
        lines.append(f"{'slope':>8}{cells}")
    if found.against is not None:
        lines.append(
            f"distance: relative Frobenius norm of the mean empirical {found.against.upper()} "
            "minus its limit"
        )
    return "\n".join(lines)


_LOSSES = ("first_loss", "last_loss")


def _columns(found: Study) -> list[str]:
    columns = ["initial"]
    if found.simulations[0].steps:
        columns += ["change", *_LOSSES]
    if found.against is not None:
        columns.append("distance")
    return columns


def _line(row: Row, columns: list[str]) -> str:
    return f"{row.width:>8}" + "".join(f"{getattr(row, name):>14.5g}" for name in columns)


def study_plot(found: Study, path: Path, title: str) -> None:
    """Draw the study to a file: loss curves by width, and sizes against width with slopes.

    Raises:
        TpcError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from tpc.storage import replacing

    trained = bool(found.simulations[0].steps)
    figure, axes = plt.subplots(1, 1 + trained, figsize=(5.2 * (1 + trained), 4), squeeze=False)
    _draw_sizes(axes[0][0], found)
    if trained:
        _draw_losses(axes[0][1], found)
    figure.suptitle(title)
    figure.tight_layout()
    kind = path.suffix.lstrip(".").lower() or "png"
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=150)
    plt.close(figure)


def _draw_sizes(draw: Any, found: Study) -> None:
    widths = [row.width for row in found.rows]
    for name in _columns(found):
        if name in _LOSSES:
            continue
        values = [getattr(row, name) for row in found.rows]
        slope = found.slope(name)
        label = _TITLES[name] + ("" if slope is None else f" (slope {slope:+.2f})")
        draw.loglog(widths, values, "o-", label=label)
    width_axis(draw, widths)
    draw.set_ylabel("root mean square")
    draw.legend()
    draw.grid(alpha=0.3, which="both")


def _draw_losses(draw: Any, found: Study) -> None:
    for simulation in found.simulations:
        curve = simulation.loss.mean(axis=0)
        steps = range(len(curve))
        draw.plot(steps, curve, label=f"n = {simulation.width}")
    step_axis(draw)
    draw.set_ylabel("training loss")
    draw.legend()
    draw.grid(alpha=0.3)
