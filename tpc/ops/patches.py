"""Patches of an image or a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import OpTypeError, keyword, option, surface, value
from tpc.ops.transpose import transpose
from tpc.ops.windows import PADDINGS, Layout, layout, windows

if TYPE_CHECKING:
    from tpc.ir.node import Node

WINDOW_OPTIONS = (
    option("stride", "integers", (1,)),
    option("padding", "word", "valid", PADDINGS),
    option("dilation", "integers", (1,)),
)


@surface(value("x"), keyword("window", "integers"), *WINDOW_OPTIONS, name="patches")
def patches_function(
    x: Node,
    window: tuple[int, ...],
    stride: tuple[int, ...] = (1,),
    padding: str = "valid",
    dilation: tuple[int, ...] = (1,),
) -> Node:
    """Cut a value into windows: `[32, 32, c]` with `window = 3` gives `[30, 30, 3, 3, c]`.

    The axes before the last one (channels) are cut; the result has the places of the windows
    first, then the positions inside a window, then the channels. `padding = same` adds zeros as
    TensorFlow does, `circular` wraps around. An unshared convolution is
    `einsum("h w i j c, h w i j o c -> h w o", patches(x, window = 3), K)`.
    """
    return patches(x, spatial_layouts(x, window, stride, padding, dilation, "patches"))


def spatial_layouts(
    x: Node,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...],
    name: str,
) -> tuple[Layout, ...]:
    """Return the layout of the windows on each axis in front of the channels.

    Numbers given once stand for all axes.

    Raises:
        OpTypeError: no axis to cut, a width among them, or not one number for each of them.
    """
    count = x.type.rank - 1
    if count < 1:
        raise OpTypeError(
            f"`{name}` cuts the axes in front of the channels, but this is {x.type}",
            operand=0,
            help="images are [height, width, channels], sequences [time, channels]",
        )
    return window_layouts(x, count, window, stride, padding, dilation, name)


def window_layouts(
    x: Node,
    count: int,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...],
    name: str,
) -> tuple[Layout, ...]:
    """Return the layouts on the last ``count`` axes in front of the channels."""
    from tpc.ops.axes import check_finite

    first = x.type.rank - 1 - count
    axes = range(first, first + count)
    check_finite(x.type, axes, name)
    numbers = [each_axis(v, count, name) for v in (window, stride, dilation)]
    return tuple(
        layout(int(x.type.dims[axis].count), size, step, gap, padding)
        for axis, size, step, gap in zip(axes, *numbers, strict=True)
    )


def each_axis(numbers: tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    """Return one number for each of ``count`` axes; a single one stands for all.

    Raises:
        OpTypeError: there are neither one nor ``count``.
    """
    if len(numbers) == 1:
        return numbers * count
    if len(numbers) != count:
        raise OpTypeError(
            f"`{name}` has {count} axes to cut, but {len(numbers)} numbers are given",
            help="give one number for each, or a single one for all",
        )
    return numbers


def patches(x: Node, layouts: tuple[Layout, ...]) -> Node:
    """Return the patches along the axes in front of the last: places, positions, channels."""
    count, rank = len(layouts), x.type.rank
    first = rank - 1 - count
    for k, where in enumerate(layouts):
        x = windows(x, first + 2 * k, where)
    places = range(first, first + 2 * count, 2)
    inside = range(first + 1, first + 2 * count, 2)
    return transpose(x, (*range(first), *places, *inside, first + 2 * count))
