"""Axes named by the user: checks, and shapes that come back after a reduction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tpc.ir.types import TensorType
from tpc.ops.base import OpTypeError

if TYPE_CHECKING:
    from tpc.ir.node import Node


def check_axes(x: TensorType, axes: Iterable[int], name: str) -> None:
    """Check that 0-based ``axes`` are axes of ``x``, each named once.

    Raises:
        OpTypeError: they are not.
    """
    axes = tuple(axes)
    for axis in axes:
        if not 0 <= axis < x.rank:
            raise OpTypeError(
                f"`{name}`: there is no axis {axis + 1}, the value is {x}",
                operand=0,
                help=f"axes are counted from 1 to {x.rank}" if x.rank else "a scalar has no axes",
            )
    if len(set(axes)) != len(axes):
        raise OpTypeError(f"`{name}`: an axis is named twice", operand=0)


def check_finite(x: TensorType, axes: Iterable[int], name: str) -> None:
    """Check that ``axes`` are finite axes of ``x``.

    Raises:
        OpTypeError: one does not exist, or is a width.
    """
    axes = tuple(axes)
    check_axes(x, axes, name)
    for axis in axes:
        if x.dims[axis].width:
            raise OpTypeError(
                f"`{name}`: axis {axis + 1} of {x} is a width, it must be finite",
                operand=0,
                help="coordinates of a width are exchangeable: reduce them with mean or @",
            )


def restore(reduced: Node, axes: tuple[int, ...], like: TensorType) -> Node:
    """Repeat a value that was reduced over ``axes`` back to the axes of ``like``."""
    from tpc.ops.repeat import repeat

    return repeat(reduced, tuple((axis, like.dims[axis]) for axis in sorted(axes)))
