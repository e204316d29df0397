"""Evaluation of a graph in the limit: a walk that asks the rules of the ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tpc.feature.value import Value
from tpc.ir.node import ordered

if TYPE_CHECKING:
    import numpy as np

    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node


def evaluate(
    roots: Sequence[Node], bound: Mapping[Node, Operand], context: FeatureContext
) -> tuple[Operand, ...]:
    """Return the limits of ``roots``, given those of the leaves in ``bound``.

    Every node is evaluated once, and its value freed after its last use.

    Raises:
        MissingRule: an op has no rule for this limit.
        TpcError: the program has no deterministic limit here.
    """
    order, uses = ordered(tuple(roots)), _uses(tuple(roots)).copy()
    values: dict[Node, Operand] = {}
    for node in order:
        operands = [values[operand] for operand in node.operands]
        found = bound[node] if node in bound else node.op.feature(node, operands, context)
        values[node] = _typed(found, context.space.dtype)
        for operand in node.operands:
            uses[operand] -= 1
            if not uses[operand]:
                del values[operand]
    return tuple(values[root] for root in roots)


def _typed(operand: Operand, dtype: np.dtype[Any]) -> Operand:
    """Return samples in the precision of their space: one number in another would spread."""
    if not isinstance(operand, Value) or operand.array.dtype.kind != "f":
        return operand
    if operand.array.dtype == dtype:
        return operand
    return operand.mapped(lambda array: array.astype(dtype))


@lru_cache(maxsize=64)
def _uses(roots: tuple[Node, ...]) -> Counter[Node]:
    """Return how often each value is read, as an operand or as a result."""
    uses = Counter(operand for node in ordered(roots) for operand in node.operands)
    uses.update(roots)
    return uses
