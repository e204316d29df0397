"""Which values are Gaussian in the limit, and by which weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.covariance.values import STAGE
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.covariance.engine import Engine
    from tpc.ir.node import Node


def independent(node: Node, axis: int) -> bool:
    """Whether positions along an axis are uncorrelated by construction."""
    return node.op.independent(node, axis)


def law(node: Node, engine: Engine) -> str | None:
    """Return the initial weight that a node is a contraction with, or None."""
    from tpc.limit.contraction import weight_below
    from tpc.ops.contract import CONTRACT

    if node.op is not CONTRACT:
        return None
    for operand in node.operands:
        param = weight_below(operand)
        if param is not None and engine.params[param.attrs["name"]].init != "one":
            return str(param.attrs["name"])
    return None


def gaussian(node: Node, engine: Engine) -> bool:
    """Whether a node is Gaussian of mean zero in the limit, given the numbers of its samples."""
    from tpc.limit.contraction import weight_below
    from tpc.ops.gather import GATHER
    from tpc.ops.index_map import IndexMap
    from tpc.ops.repeat import REPEAT
    from tpc.ops.sum import SUM
    from tpc.ops.windows import FOLD

    seen: set[Node] = set()
    todo = [node]
    while todo:
        each = todo.pop()
        if each in seen:
            continue
        seen.add(each)
        parts = each.op.addends(each)
        if law(each, engine) is not None or weight_below(each) is not None:
            if engine.sources(each) and _ones(each, engine):
                return False
        elif each.op is GATHER:
            todo.append(each.operands[0])
        elif engine.numbers.is_number(each):
            if engine.numbers.array(each).quantity is not None:
                return False
        elif parts is not None:
            todo.extend(x for _, x in parts)
        elif isinstance(each.op, IndexMap) or each.op in (REPEAT, SUM, FOLD):
            todo.extend(each.operands)
        else:
            rest = [x for x in each.operands if not engine.numbers.is_number(x)]
            if len(each.operands) != 2 or len(rest) != 1 or each.op.name not in _PRODUCTS:
                return False
            todo.extend(rest)
    return True


_PRODUCTS = ("multiply", "contract")


def _ones(node: Node, engine: Engine) -> bool:
    from tpc.limit.contraction import weight_below

    param = weight_below(node)
    return param is not None and engine.params[param.attrs["name"]].init == "one"


def require_gaussian(node: Node, engine: Engine) -> None:
    """Refuse a nonlinearity of something that is no sum of Gaussians.

    Raises:
        MissingRule: with the node at fault.
    """
    if not gaussian(node, engine):
        raise MissingRule(node, STAGE, "a nonlinearity of values that are not Gaussian")
