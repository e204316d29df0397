"""What the analysis needs of a module's graph: independent of the parametrization, made once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.ir.node import Node, walk
from tpc.ops.add import ADD, add
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import constant, is_zero
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM, param
from tpc.ops.rate import RATE, forward_walk

if TYPE_CHECKING:
    from tpc.ir.module import Module


@dataclass(frozen=True, eq=False)
class Plan:
    """The graph of one training step, in order, and the places that matter in it.

    ``gradients`` are the derivatives of the loss with respect to the weights that move, without
    those of what it holds of weights alone, which are ``penalties``;
    ``features`` the vectors that feed the outputs' last linear maps; ``hidden`` what lies strictly
    below the outputs (scalars that inner steps alone read are outputs too); ``users`` what reads a
    node in the forward graph.
    """

    order: tuple[Node, ...]
    outputs: Mapping[str, Node]
    gradients: Mapping[str, Node]
    penalties: Mapping[str, Node]
    features: tuple[Node, ...]
    hidden: frozenset[Node]
    leaves: Mapping[str, Node]
    users: Mapping[Node, tuple[Node, ...]]


def plan(module: Module) -> Plan:
    """Return the plan of a module.

    Raises:
        tpc.ops.base.MissingRule: an op has no derivative.
    """
    return _plan(
        tuple((value.name, value.node) for value in module.outputs),
        tuple(value.node for value in module.values),
        module.loss,
        tuple((name, module.params[name].type.dims) for name in module.trained),
    )


@lru_cache(maxsize=8)
def _plan(
    outputs: tuple[tuple[str, Node], ...],
    values: tuple[Node, ...],
    loss: Node | None,
    trained: tuple[tuple[str, tuple[object, ...]], ...],
) -> Plan:
    leaves = [param(name, dims) for name, dims in trained]  # type: ignore[arg-type]
    found = gradient(loss, leaves) if loss is not None else ()
    derivatives = dict(zip([name for name, _ in trained], found, strict=loss is not None))
    penalties = {}
    if loss is not None:
        seeing = _that_see_data(walk([loss, *derivatives.values()]))
        for name, derivative in derivatives.items() if loss in seeing else ():
            data, alone = _by_data(derivative, seeing)
            if alone is not None:
                derivatives[name], penalties[name] = data, alone
    ends = [node for _, node in outputs]
    roots = [*ends, *values, *([] if loss is None else [loss])]
    forward = tuple(walk(roots))
    users: dict[Node, list[Node]] = {}
    for node in forward_walk(roots):
        for operand in dict.fromkeys(node.operands):
            users.setdefault(operand, []).append(node)
    seen = set(forward_walk(ends))
    below = frozenset(x for x in walk(ends) if x.type.sort or x in seen) - frozenset(ends)
    return Plan(
        order=tuple(walk([*roots, *derivatives.values(), *penalties.values(), *leaves])),
        outputs=MappingProxyType(dict(outputs)),
        gradients=MappingProxyType(derivatives),
        penalties=MappingProxyType(penalties),
        features=tuple(dict.fromkeys(f for end in ends for f in _last_features(end))),
        hidden=below,
        leaves={node.attrs["name"]: node for node in (*forward, *leaves) if node.op is PARAM},
        users={node: tuple(found) for node, found in users.items()},
    )


def _by_data(derivative: Node, seeing: Collection[Node]) -> tuple[Node, Node | None]:
    """Return a derivative's part that data make, and the part that is made of weights alone."""
    data: list[Node] = []
    alone: list[Node] = []
    stack = [derivative]
    while stack:
        node = stack.pop()
        if node.op is ADD:
            stack += reversed(node.operands)
        elif is_zero(node) or node in seeing:
            data.append(node)
        else:
            alone.append(node)
    if not alone:
        return derivative, None
    rest = reduce(add, data) if data else constant(0, derivative.type.dims)
    return rest, reduce(add, alone)


def _that_see_data(order: Iterable[Node]) -> Collection[Node]:
    """Return the nodes that depend on inputs or on chance; operands come before their users."""
    found: set[Node] = set()
    for node in order:
        if node.op is INPUT or node.op is BERNOULLI or any(x in found for x in node.operands):
            found.add(node)
    return found


def _last_features(output: Node) -> Iterator[Node]:
    """Yield the vectors that an output's last map over the width reads (else the output)."""
    stack, seen = [output], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.type.sort == 1:
            if not _is_weight(node):
                yield node
        elif node.op is CONTRACT and any(x.type.sort for x in node.operands):
            sides = [x for x in node.operands if x.type.sort]
            vectors = [x for x in sides if not _is_weight(x)]
            yield from vectors or sides[-1:]
        else:
            stack.extend(reversed(node.operands))


def _is_weight(node: Node) -> bool:
    """Whether a value is a weight, seen through indexing, or after an inner step on it."""
    while True:
        if node.op.transparent and node.operands:
            node = node.operands[0]
        elif node.op is ADD and any(_is_inner_step(x) for x in node.operands):
            node = node.operands[1 if _is_inner_step(node.operands[0]) else 0]
        else:
            return node.op is PARAM


def _is_inner_step(node: Node) -> bool:
    while node.op.transparent and node.operands:
        node = node.operands[0]
    return node.op is RATE
