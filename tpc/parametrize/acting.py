"""Programs in which matrices made of weights only act: ``(W + A.T @ B) @ h`` term by term.

What a weight does is judged where it meets data. A merged adapter or a product of weights hides
that: ``A`` first meets ``B``. By the laws of associativity and distributivity the same program is
``W @ h + B @ (A @ h)``, and so it is read. Values do not change, only the order of products.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.ir.node import make, walk
from tpc.ops.add import ADD, add
from tpc.ops.contract import CONTRACT, contract
from tpc.ops.param import PARAM
from tpc.ops.scale import SCALE, scale
from tpc.ops.transpose import TRANSPOSE

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node

    Labels = tuple[int, ...]


def acting(module: Module) -> Module:
    """Return the module with products of weights taken last; itself where there are none."""
    new = _rewritten(module.roots)
    return module if all(new[root] is root for root in module.roots) else module.with_nodes(new)


@lru_cache(maxsize=16)
def _rewritten(roots: tuple[Node, ...]) -> Mapping[Node, Node]:
    """Return what every node of a graph becomes."""
    order = tuple(walk(roots))
    merged = _merged(order)
    new: dict[Node, Node] = {}
    for node in order:
        operands = tuple(new[operand] for operand in node.operands)
        same = all(a is b for a, b in zip(operands, node.operands, strict=True))
        new[node] = node if same else make(node.op, *operands, **node.attrs)
        if node.op is CONTRACT and not node.attrs["sum_batch"]:
            x, y = node.operands
            left, right, out = (node.attrs[side] for side in ("left", "right", "out"))
            if x in merged and y not in merged:
                new[node] = _distributed(x, new[y], left, right, out)
            elif y in merged and x not in merged:
                new[node] = _distributed(y, new[x], right, left, out)
    return MappingProxyType(new)


def _merged(order: tuple[Node, ...]) -> set[Node]:
    """Return the matrices that are made of weights, and of a product of them."""
    pure: set[Node] = set()
    found: set[Node] = set()
    for node in order:
        if node.op is PARAM:
            pure.add(node)
        elif node.op in (ADD, SCALE, TRANSPOSE, CONTRACT):
            if all(x in pure for x in node.operands) and not node.type.batched:
                pure.add(node)
            if node in pure and node.type.sort > 1:
                product = node.op is CONTRACT and len(_summed(node)) > 0
                if product or any(x in found for x in node.operands):
                    found.add(node)
    return found


def _summed(node: Node) -> set[int]:
    return {*node.attrs["left"], *node.attrs["right"]} - {*node.attrs["out"]}


def _distributed(x: Node, y: Node, left: Labels, right: Labels, out: Labels) -> Node:
    """Return the contraction of a matrix made of weights with y, term by term."""
    if x.op is SCALE:
        inner = _distributed(x.operands[0], y, left, right, out)
        return scale(inner, x.attrs["coefficient"])
    if x.op is TRANSPOSE:
        order = x.attrs["order"]
        before = tuple(left[order.index(axis)] for axis in range(len(order)))
        return _distributed(x.operands[0], y, before, right, out)
    if x.op is ADD and all(part.type.dims == x.type.dims for part in x.operands):
        first, second = (_distributed(part, y, left, right, out) for part in x.operands)
        return add(first, second)
    if x.op is CONTRACT and not x.attrs["sum_batch"]:
        found = _last(x, y, left, right, out)
        if found is not None:
            return found
    return contract(x, y, left, right, out)


def _last(x: Node, y: Node, left: Labels, right: Labels, out: Labels) -> Node | None:
    """Return ``p (q y)`` for ``x = p q``, q the one that y meets; None where it meets both."""
    p, q = x.operands
    of_p, of_q = _renamed(x, left, right)
    met = set(left) & set(right) - set(out)
    if met <= set(of_p) and not met & set(of_q):
        p, q, of_p, of_q = q, p, of_q, of_p
    if not met or not met <= set(of_q) or met & set(of_p):
        return None
    wanted = {*of_p, *out}
    middle = tuple(k for k in dict.fromkeys((*right, *of_q)) if k in wanted)
    inner = _distributed(q, y, of_q, right, middle)
    return _distributed(p, inner, of_p, middle, out)


def _renamed(x: Node, left: Labels, right: Labels) -> tuple[Labels, Labels]:
    """Return the labels of the operands of x in the words of the contraction that x stands in."""
    names = dict(zip(x.attrs["out"], left, strict=True))
    free = max((*left, *right), default=0) + 1
    for label in (*x.attrs["left"], *x.attrs["right"]):
        if label not in names:
            names[label] = free
            free += 1
    return tuple(names[k] for k in x.attrs["left"]), tuple(names[k] for k in x.attrs["right"])
