"""Half the squared error, summed."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.ops.base import surface, value
from tpc.ops.batch import batch_sum
from tpc.ops.mse import residual
from tpc.ops.power import power
from tpc.ops.scale import scale
from tpc.ops.sum import total

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("f"), value("y"))
def squared_error(f: Node, y: Node) -> Node:
    """`1/2 sum (f - y)^2`, over all outputs and over the batch, as in the theory papers.

    Its gradient flow is `df/dt = -K (f - y)`, without factors.
    """
    error = residual(f, y, "squared_error")
    loss = total(power(error, Fraction(2)), tuple(range(error.type.rank)))
    return scale(batch_sum(loss), Constant.of(Fraction(1, 2)))
