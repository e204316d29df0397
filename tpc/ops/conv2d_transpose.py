"""Transposed convolution over two axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import option, surface, value
from tpc.ops.conv import convolve_transpose
from tpc.ops.windows import PADDINGS

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(
    value("K"),
    value("x"),
    option("stride", "integers", (1,)),
    option("padding", "word", "valid", PADDINGS),
)
def conv2d_transpose(
    K: Node, x: Node, stride: tuple[int, ...] = (1,), padding: str = "valid"
) -> Node:
    """Grow an image: every pixel adds a copy of the kernel `[window, window, out, in]`.

    The linear map is the transpose of a `conv2d` with the same stride and padding that reads the
    larger image; an axis of E pixels becomes one of `E * stride` (`valid`:
    `(E - 1) * stride + window`).
    """
    return convolve_transpose(K, x, 2, stride, padding)
