"""Sums over windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import keyword, option, surface, value
from tpc.ops.patches import spatial_layouts
from tpc.ops.sum import total
from tpc.ops.windows import PADDINGS, Layout, windows

if TYPE_CHECKING:
    from tpc.ir.node import Node

POOL_ARGUMENTS = (
    value("x"),
    keyword("window", "integers"),
    option("stride", "integers"),
    option("padding", "word", "valid", PADDINGS),
)


@surface(*POOL_ARGUMENTS)
def sum_pool(
    x: Node,
    window: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    padding: str = "valid",
) -> Node:
    """Sum over windows of the axes in front of the channels.

    `stride` is the window where it is not given. With `padding = same` the padding counts as
    zeros: `sum_pool(x, window = 2) / 4` divides by the window also at the edge.
    """
    return pool(x, spatial_layouts(x, window, stride or window, padding, (1,), "sum_pool"))


def pool(x: Node, layouts: tuple[Layout, ...]) -> Node:
    """Return the sums over windows, one axis after the other."""
    for axis, where in enumerate(layouts):
        x = total(windows(x, axis, where), (axis + 1,))
    return x
