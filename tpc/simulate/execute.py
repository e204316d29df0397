"""Evaluation of a graph at finite width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tpc.ir.node import Node, walk
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM

if TYPE_CHECKING:
    from tpc.ops.base import Array, EvalContext


def execute(
    roots: Sequence[Node], bound: Mapping[Node, Array], context: EvalContext
) -> tuple[Array, ...]:
    """Return the values of ``roots``, given those of the leaves in ``bound``.

    Every node is evaluated once, and its value freed after its last use. ``bound`` may hold inner
    nodes too: what is below them is then not evaluated. Overflow and division by zero give
    infinities and NaN, never warnings: a diverging run is an answer.

    Raises:
        LookupError: an input or a weight has no value.
        tpc.ops.base.MissingRule: an op has no finite-width meaning.
    """
    import numpy as np

    order = _order(roots, bound)
    uses = Counter(operand for node in order if node not in bound for operand in node.operands)
    uses.update(roots)
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for node in order:
            values[node] = bound[node] if node in bound else _evaluate(node, values, context)
            for operand in node.operands if node not in bound else ():
                uses[operand] -= 1
                if not uses[operand]:
                    del values[operand]
    return tuple(values[root] for root in roots)


def _order(roots: Sequence[Node], bound: Mapping[Node, Array]) -> list[Node]:
    """Return the nodes to visit: those below ``roots``, but not those below bound ones only."""
    needed = set(roots)
    order = list(walk(roots))
    for node in reversed(order):
        if node in needed and node not in bound:
            needed.update(node.operands)
    return [node for node in order if node in needed]


def _evaluate(node: Node, values: Mapping[Node, Array], context: EvalContext) -> Array:
    if node.op is INPUT or node.op is PARAM:
        raise LookupError(f"{node.op.name} {node.attrs['name']} has no value")
    return node.op.evaluate(node, [values[operand] for operand in node.operands], context)


def peak_entries(roots: Sequence[Node], context: EvalContext) -> int:
    """Return how many numbers are alive at once at most while ``roots`` are evaluated."""
    from tpc.ops.repeat import REPEAT

    order = list(walk(roots))
    uses = Counter(operand for node in order for operand in node.operands)
    uses.update(roots)
    alive = peak = 0
    sizes: dict[Node, int] = {}
    for node in order:
        count = 0 if node.op is REPEAT else 1  # repeated values are views
        for extent in context.shape(node.type) if count else ():
            count *= extent
        sizes[node] = count
        alive += count
        peak = max(peak, alive)
        for operand in node.operands:
            uses[operand] -= 1
            if not uses[operand]:
                alive -= sizes[operand]
    return peak
