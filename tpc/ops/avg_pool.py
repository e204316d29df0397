"""Averages over windows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.ir.types import TensorType
from tpc.ops.base import surface
from tpc.ops.literal import Table, literal
from tpc.ops.multiply import multiply
from tpc.ops.patches import spatial_layouts
from tpc.ops.repeat import repeat
from tpc.ops.scale import scale
from tpc.ops.sum_pool import POOL_ARGUMENTS, pool
from tpc.ops.windows import Layout

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(*POOL_ARGUMENTS)
def avg_pool(
    x: Node,
    window: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    padding: str = "valid",
) -> Node:
    """Average over windows of the axes in front of the channels.

    `stride` is the window where it is not given. With `padding = same` a window at the edge
    averages the positions that exist, as TensorFlow does.
    """
    layouts = spatial_layouts(x, window, stride or window, padding, (1,), "avg_pool")
    result = pool(x, layouts)
    for axis, where in enumerate(layouts):
        result = _divide_by_count(result, axis, where)
    return result


def _divide_by_count(x: Node, axis: int, where: Layout) -> Node:
    counts = [sum(position >= 0 for position in row) for row in where.positions()]
    if len(set(counts)) == 1:
        return scale(x, Constant.of(Fraction(1, counts[0])))
    weights = literal(Table.of((len(counts),), [1 / count for count in counts]))
    return multiply(x, along(weights, axis, x.type))


def along(vector: Node, axis: int, like: TensorType) -> Node:
    """Return a vector that varies along ``axis``, repeated to match ``like``."""
    return repeat(vector, tuple((k - axis, like.dims[k]) for k in range(axis + 1, like.rank)))
