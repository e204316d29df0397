"""The mean squared error."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.ops.add import add
from tpc.ops.base import OpTypeError, require_real, surface, value
from tpc.ops.mean import average
from tpc.ops.power import power
from tpc.ops.scale import scale

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("f"), value("y"))
def mse(f: Node, y: Node) -> Node:
    """The mean of `(f - y)^2` over all outputs (and, as every loss, over the batch).

    This is PyTorch's `mse_loss`: no factor 1/2, and k outputs divide by k.
    """
    error = residual(f, y, "mse")
    return average(power(error, Fraction(2)), tuple(range(error.type.rank)))


def residual(f: Node, y: Node, name: str) -> Node:
    """Return ``f - y``.

    Raises:
        OpTypeError: the two differ in their axes.
    """
    require_real((f.type, y.type), name)
    if f.type.dims != y.type.dims:
        raise OpTypeError(
            f"`{name}` compares values of equal axes, not {f.type} and {y.type}",
            operand=1,
            help="give the target the axes of the output",
        )
    return add(f, scale(y, -1))
