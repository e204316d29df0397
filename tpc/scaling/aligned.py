"""Where in a program an assumed alignment of a weight with what it reads applies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tpc.ops.contract import CONTRACT
from tpc.ops.param import PARAM

if TYPE_CHECKING:
    from tpc.ir.alignment import Alignment
    from tpc.ir.node import Node
    from tpc.scaling.plan import Plan

#: A contraction of a weight: which operand the weight is, and what is assumed.
Aligned = Mapping["Node", tuple[int, "Alignment"]]


def aligned(plan: Plan, assumed: Mapping[str, Alignment]) -> Aligned:
    """Return the contractions at which weights that are less than fully aligned meet what they
    read: vectors of the forward pass, and of the backward pass, where an update must not be more
    aligned than it is in the forward pass or rates could never be larger.
    """
    if not assumed:
        return {}
    found = {}
    for node in plan.order:
        if node.op is CONTRACT:
            names = [_weight(operand) for operand in node.operands]
            for side, name in enumerate(names):
                if name is not None and name in assumed:
                    found[node] = (side, assumed[name])
    return found


def _weight(node: Node) -> str | None:
    while node.op.transparent and node.operands:
        node = node.operands[0]
    return str(node.attrs["name"]) if node.op is PARAM else None
