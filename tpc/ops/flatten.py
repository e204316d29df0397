"""All axes as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import OpTypeError, surface, value
from tpc.ops.reshape import merged, reshape

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("x"))
def flatten(x: Node) -> Node:
    """Merge all axes into one, in row-major order (the last axis runs fastest).

    A width among them makes the result a width: `[5, 5, n]` becomes `[25*n]`, which a readout
    `V : [k, 25*n]` contracts. Two widths do not merge.
    """
    if x.type.sort > 1:
        raise OpTypeError(
            f"`flatten` of {x.type}: two width axes do not merge into one",
            operand=0,
            help="contract one of them first",
        )
    if x.type.rank < 2:
        return x
    return reshape(x, ((x.type.rank, (merged(x.type.dims),)),))
