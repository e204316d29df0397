"""What convolutions of any number of axes share: patches, then a contraction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import OpTypeError
from tpc.ops.contract import contract
from tpc.ops.patches import each_axis, patches, window_layouts
from tpc.ops.transpose import transpose
from tpc.ops.windows import fold, layout

if TYPE_CHECKING:
    from tpc.ir.node import Node

SHAPES = {1: "[window, out, in]", 2: "[window, window, out, in]"}


def convolve(
    kernel: Node,
    x: Node,
    count: int,
    stride: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...],
) -> Node:
    """Return ``y[o, c] = sum_{j, i} K[j, c, i] x[o * stride - before + j * dilation, i]``.

    The sum over the input channels is a plain sum also where they are a width.

    Raises:
        OpTypeError: kernel and value do not fit.
    """
    name = f"conv{count}d"
    window = _window(kernel, x, count, name)
    cut = patches(x, window_layouts(x, count, window, stride, padding, dilation, name))
    lead = x.type.rank - 1 - count
    places = tuple(range(lead + count))
    inside = tuple(range(100, 100 + count))
    out, in_ = 200, 201
    return contract(kernel, cut, (*inside, out, in_), (*places, *inside, in_), (*places, out))


def convolve_transpose(
    kernel: Node, x: Node, count: int, stride: tuple[int, ...], padding: str
) -> Node:
    """Return the transpose of a convolution: every position of ``x`` adds a kernel to the result.

    An axis of E positions becomes one of ``E * stride`` (``valid``: ``(E - 1) * stride + size``,
    or ``E * stride`` where that is more).

    Raises:
        OpTypeError: kernel and value do not fit.
    """
    name = f"conv{count}d_transpose"
    window = _window(kernel, x, count, name)
    steps = each_axis(stride, count, name)
    lead = x.type.rank - 1 - count
    places = tuple(range(lead + count))
    inside = tuple(range(100, 100 + count))
    out, in_ = 200, 201
    spread = contract(kernel, x, (*inside, out, in_), (*places, in_), (*places, *inside, out))
    order = [*range(lead)]
    for k in range(count):
        order += [lead + k, lead + count + k]
    result = transpose(spread, (*order, lead + 2 * count))
    for k, (size, step) in enumerate(zip(window, steps, strict=True)):
        extent = int(x.type.dims[lead + k].count)
        grown = extent * step + (max(size - step, 0) if padding == "valid" else 0)
        result = fold(result, lead + k, layout(grown, size, step, 1, padding))
    return result


def _window(kernel: Node, x: Node, count: int, name: str) -> tuple[int, ...]:
    if kernel.type.rank != count + 2 or any(dim.width for dim in kernel.type.dims[:count]):
        raise OpTypeError(
            f"`{name}` takes a kernel {SHAPES[count]}, but this is {kernel.type}", operand=0
        )
    if x.type.rank < count + 1:
        raise OpTypeError(
            f"`{name}` takes a value with {count} axes and channels last, but this is {x.type}",
            operand=1,
        )
    if kernel.type.dims[-1] != x.type.dims[-1]:
        raise OpTypeError(
            f"the kernel {kernel.type} reads {kernel.type.dims[-1]} channels, "
            f"but the value {x.type} has {x.type.dims[-1]}",
            operand=1,
            help=f"kernels are {SHAPES[count]}, channels stand last in the value",
        )
    return tuple(int(dim.count) for dim in kernel.type.dims[:count])
