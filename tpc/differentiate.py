"""Reverse-mode differentiation: a walk over the graph that asks each op for its cotangents."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.node import Node, walk
from tpc.ops.add import add
from tpc.ops.batch import batch_sum
from tpc.ops.fill import constant, is_zero


def gradient(
    output: Node, wrt: Sequence[Node], *, seed: Node | None = None, per_sample: bool = False
) -> tuple[Node, ...]:
    """Return the derivatives of ``output`` with respect to ``wrt`` (zeros where there are none).

    ``seed`` is the cotangent of the output: one by default, so a scalar output is meant. The sum
    over samples is taken where a value that differs between samples depends on one that does not;
    with ``per_sample`` it is never taken and every sample has its own derivative (``grad`` inside a
    program: each task adapts its own copy of a weight).

    Raises:
        tpc.ops.base.MissingRule: an op on the way has no derivative.
    """
    order = list(walk([output]))
    reached = _depends_on(order, set(wrt))
    cotangents: dict[Node, Node] = {output: constant(1, output.type.dims) if seed is None else seed}
    for node in reversed(order):
        cotangent = cotangents.get(node)
        if cotangent is None or node not in reached or is_zero(cotangent):
            continue
        for operand, part in zip(node.operands, node.op.vjp(node, cotangent), strict=True):
            if part is None or operand not in reached:
                continue
            if not operand.type.batched and not per_sample and _many(node, part):
                part = batch_sum(part)
            before = cotangents.get(operand)
            cotangents[operand] = part if before is None else add(before, part)
    return tuple(cotangents.get(node, constant(0, node.type.dims)) for node in wrt)


def _many(node: Node, part: Node) -> bool:
    """Whether an unbatched operand was repeated for every sample (then its cotangents add up)."""
    return node.type.batched or part.type.batched


def _depends_on(order: Sequence[Node], targets: set[Node]) -> set[Node]:
    reached = set()
    for node in order:
        if node in targets or any(operand in reached for operand in node.operands):
            reached.add(node)
    return reached
