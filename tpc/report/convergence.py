"""Distances to a limit as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.report.axes import step_axis, width_axis

if TYPE_CHECKING:
    from tpc.convergence import Convergence

_COLUMNS = {"draw": "one network", "mean": "mean", "noise": "its noise"}
_KINDS = {
    "feature": "the feature-learning limit",
    "ntk": "the kernel limit started from each network's own f_0",
}


def convergence_text(found: Convergence) -> str:
    """Return the table: one row a width, and the log-log slopes below."""
    lines = [f"{'width':>8}" + "".join(f"{title:>14}" for title in _COLUMNS.values())]
    for row in found.rows:
        cells = "".join(f"{getattr(row, name):>14.5g}" for name in _COLUMNS)
        lines.append(f"{row.width:>8}{cells}")
    slopes = [found.slope(name) for name in _COLUMNS]
    if any(slope is not None for slope in slopes):
        cells = "".join(f"{'' if s is None else format(s, '+.2f'):>14}" for s in slopes)
        lines.append(f"{'slope':>8}{cells}")
    lines.append(f"distance of f_t to {_KINDS[found.kind]};")
    lines.append("root mean square over steps, points and outputs")
    lines.append(f"mean: of {found.seeds} networks; its noise: what chance alone adds to that,")
    spread = found.mean_slope_error
    lines.append("which its slope leaves out" + (f" (within {spread:.2f})" if spread else ""))
    if found.error:
        lines.append(f"standard error of the limit itself: at most {found.error:.1g}")
    return "\n".join(lines)


def convergence_plot(found: Convergence, path: Path, title: str) -> None:
    """Draw distances against the width, and the distance of one network along training.

    Raises:
        TpcError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from tpc.storage import replacing

    steps = found.by_step.shape[1] - 1
    figure, axes = plt.subplots(1, 1 + bool(steps), figsize=(5.2 * (1 + bool(steps)), 4))
    panels = list(axes) if steps else [axes]
    _draw_widths(panels[0], found)
    if steps:
        for row, curve in zip(found.rows, found.by_step, strict=True):
            panels[1].plot(range(steps + 1), curve, label=f"n = {row.width}")
        step_axis(panels[1])
        panels[1].set_ylabel("distance of one network")
        panels[1].legend()
        panels[1].grid(alpha=0.3)
    figure.suptitle(title)
    figure.tight_layout()
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix.lstrip(".").lower() or "png", dpi=150)
    plt.close(figure)


def _draw_widths(draw: Any, found: Convergence) -> None:
    widths = [row.width for row in found.rows]
    for name, style in (("draw", "o-"), ("mean", "s-"), ("noise", "--")):
        slope = found.slope(name)
        label = _COLUMNS[name] + ("" if slope is None else f" (slope {slope:+.2f})")
        draw.loglog(widths, [getattr(row, name) for row in found.rows], style, label=label)
    width_axis(draw, widths)
    draw.set_ylabel("distance to the limit")
    draw.legend()
    draw.grid(alpha=0.3, which="both")
