"""Convolution over two axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import surface, value
from tpc.ops.conv import convolve
from tpc.ops.patches import WINDOW_OPTIONS

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("K"), value("x"), *WINDOW_OPTIONS)
def conv2d(
    K: Node,
    x: Node,
    stride: tuple[int, ...] = (1,),
    padding: str = "valid",
    dilation: tuple[int, ...] = (1,),
) -> Node:
    """Convolve an image `[height, width, in]` with a kernel `[window, window, out, in]`.

    As in every deep-learning library the kernel is not flipped (a correlation). `padding = same`
    adds zeros as TensorFlow does, `circular` wraps around; `stride` and `dilation` are one
    number or one for each axis. It is built from `patches` and a contraction.
    """
    return convolve(K, x, 2, stride, padding, dilation)
