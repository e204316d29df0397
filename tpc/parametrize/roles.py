"""The role of each weight, found from how the program uses it: never from its name or shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from tpc.ir.module import Module
from tpc.ir.node import Node
from tpc.ops.add import ADD
from tpc.ops.contract import CONTRACT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.rate import RATE, forward_walk
from tpc.ops.sum import SUM
from tpc.parametrize.acting import acting


class Role(StrEnum):
    """What a weight does with the width.

    ``input``: from finite axes to the width (embeddings, first layers). ``hidden``: from the width
    to the width. ``readout``: from the width to finite axes. ``bias``: added to vectors. ``gain``:
    multiplies vectors. ``scalar``: has no width axis. ``tied``: both input and readout.
    """

    INPUT = "input"
    HIDDEN = "hidden"
    READOUT = "readout"
    BIAS = "bias"
    GAIN = "gain"
    SCALAR = "scalar"
    TIED = "tied"


def roles(module: Module) -> dict[str, Role]:
    """Return the role of every param of the module."""
    module = acting(module)
    roots = [value.node for value in (*module.values, *module.outputs)]
    if module.loss is not None:
        roots.append(module.loss)
    order = tuple(forward_walk(roots))
    users: dict[Node, list[Node]] = defaultdict(list)
    for node in order:
        for operand in dict.fromkeys(node.operands):
            users[operand].append(node)
    leaves = {node.attrs["name"]: node for node in order if node.op is PARAM}
    return {
        name: _role(leaves[name], users, module) if name in leaves else _unused(module, name)
        for name in module.params
    }


def _unused(module: Module, name: str) -> Role:
    return (Role.SCALAR, Role.BIAS, Role.HIDDEN)[min(2, module.params[name].type.sort)]


def _role(leaf: Node, users: Mapping[Node, Sequence[Node]], module: Module) -> Role:
    if leaf.type.sort == 0:
        return Role.SCALAR
    if leaf.type.sort > 1:
        return Role.HIDDEN
    found = set(_roles_of_uses(leaf, users))
    if Role.READOUT in found and found - {Role.READOUT}:
        return Role.TIED
    for role in (Role.READOUT, Role.INPUT, Role.GAIN, Role.BIAS):
        if role in found:
            return role
    return Role.BIAS if len(leaf.type.dims) == 1 else Role.INPUT


def _roles_of_uses(leaf: Node, users: Mapping[Node, Sequence[Node]]) -> Iterator[Role]:
    carriers = {leaf}
    stack = [leaf]
    while stack:
        carrier = stack.pop()
        for user in users[carrier]:
            if user.op is RATE:
                continue
            if user.op.transparent or _is_adapted(user, carrier):
                if user not in carriers:
                    carriers.add(user)
                    stack.append(user)
                continue
            yield _role_in(user, carrier)


def _role_in(user: Node, carrier: Node) -> Role:
    if user.op is CONTRACT:
        return _role_in_contraction(user, carrier)
    if user.op is SUM:
        summed = {carrier.type.dims[axis].width for axis in user.attrs["axes"]}
        return Role.READOUT if True in summed else Role.INPUT
    return Role.GAIN if user.op is MULTIPLY else Role.BIAS


def _role_in_contraction(user: Node, carrier: Node) -> Role:
    side = 0 if user.operands[0] is carrier else 1
    labels = user.attrs["left" if side == 0 else "right"]
    width = next(label for label, dim in zip(labels, carrier.type.dims, strict=True) if dim.width)
    if width in user.attrs["out"]:
        return Role.INPUT
    # In `V[words] @ U[ids]` both sides are looked-up weights: the right side is the value that
    # the left side reads out.
    other = user.operands[1 - side]
    return Role.INPUT if side == 1 and _is_carried_weight(other) else Role.READOUT


def _is_carried_weight(node: Node) -> bool:
    while node.op.transparent and node.operands:
        node = node.operands[0]
    return node.op is PARAM


def _is_adapted(user: Node, carrier: Node) -> bool:
    """Whether ``user`` is the weight after an inner step: ``U - inner * grad(loss, U)``."""
    if user.op is not ADD:
        return False
    other = user.operands[1] if user.operands[0] is carrier else user.operands[0]
    while other.op.transparent and other.operands:
        other = other.operands[0]
    return other.op is RATE
