"""What the axes of several pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def width_axis(draw: Any, widths: Sequence[int]) -> None:
    """Make the x axis one of widths: logarithmic, with a tick at every width that was run."""
    from matplotlib.ticker import NullLocator

    draw.set_xscale("log", base=2)
    draw.set_xticks(widths, [str(width) for width in widths])
    draw.xaxis.set_minor_locator(NullLocator())
    draw.set_xlabel("width n")


def step_axis(draw: Any) -> None:
    """Make the x axis one of training steps: whole numbers."""
    from matplotlib.ticker import MaxNLocator

    draw.xaxis.set_major_locator(MaxNLocator(integer=True))
    draw.set_xlabel("step")
