"""Convolution over one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import surface, value
from tpc.ops.conv import convolve
from tpc.ops.patches import WINDOW_OPTIONS

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("K"), value("x"), *WINDOW_OPTIONS)
def conv1d(
    K: Node,
    x: Node,
    stride: tuple[int, ...] = (1,),
    padding: str = "valid",
    dilation: tuple[int, ...] = (1,),
) -> Node:
    """Convolve a sequence `[time, in]` with a kernel `[window, out, in]`.

    As in every deep-learning library the kernel is not flipped (a correlation). `padding = same`
    adds zeros as TensorFlow does, `circular` wraps around; `stride` and `dilation` are one
    number. It is built from `patches` and a contraction.
    """
    return convolve(K, x, 1, stride, padding, dilation)
