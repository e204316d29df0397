"""Products in another order: ``(U - eta sum_k b_k x_k^T) @ x = U @ x - eta sum_k b_k (x_k . x)``.

Inner gradient steps give every sample weights of its own: the common weight plus outer products.
Formed as arrays they are as large as the batch times the weight, and every product with them reads
all of it. A product with such a sum is therefore taken term by term, and an outer product in it is
contracted with the other operand first. The algebra is exact; only rounding differs.

The result is for evaluation: ``stop_gradient`` is gone, so it must not be differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from tpc.ir.node import make, walk
from tpc.ops.add import ADD, add
from tpc.ops.batch import PER_SAMPLE, batch_sum, per_sample
from tpc.ops.contract import CONTRACT, contract
from tpc.ops.rate import RATE, rate
from tpc.ops.scale import SCALE, scale
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.simplify.cost import entries, expands, new_work

if TYPE_CHECKING:
    from tpc.ir.node import Node

Labels = tuple[int, ...]


@lru_cache(maxsize=256)
def simplified(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return graphs of the same values as ``roots``, cheaper to evaluate."""
    new: dict[Node, Node] = {}
    for node in walk(roots):
        operands = tuple(new[operand] for operand in node.operands)
        if node.op is STOP_GRADIENT:
            new[node] = operands[0]
        elif node.op is CONTRACT:
            x, y = operands
            new[node] = _product(x, y, *_labels(node), node.attrs["sum_batch"])
        else:
            same = all(a is b for a, b in zip(operands, node.operands, strict=True))
            new[node] = node if same else make(node.op, *operands, **node.attrs)
    return tuple(new[root] for root in roots)


def _labels(node: Node) -> tuple[Labels, Labels, Labels]:
    return node.attrs["left"], node.attrs["right"], node.attrs["out"]


def _product(x: Node, y: Node, left: Labels, right: Labels, out: Labels, sum_batch: bool) -> Node:
    """Return a contraction, with outer products in either operand contracted last."""
    plain = contract(x, y, left, right, out, sum_batch=sum_batch)
    for one, other, a, b in ((x, y, left, right), (y, x, right, left)):
        if not any(expands(leaf) for leaf in _leaves(one)):
            continue
        found = _distributed(one, other, a, b, out, sum_batch)
        if found is not None and _cheaper(found, plain, one, other):
            return found
    return plain


def _leaves(node: Node) -> Iterator[Node]:
    """Yield what a value is a linear combination of, with numbers as coefficients."""
    stack, seen = [node], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op in (SCALE, RATE, PER_SAMPLE) or _plain_sum(node):
            stack += node.operands
        else:
            yield node


def _plain_sum(node: Node) -> bool:
    """Whether a node adds values of equal axes (none is repeated along an axis of another)."""
    return node.op is ADD and all(x.type.dims == node.type.dims for x in node.operands)


def _distributed(
    x: Node, y: Node, left: Labels, right: Labels, out: Labels, sum_batch: bool
) -> Node | None:
    """Return the product of every term of x with y, summed; None where it cannot be written so."""
    if sum_batch and not x.type.batched:  # a term that all samples share
        return contract(x, batch_sum(y), left, right, out)
    if x.op is SCALE:
        found = _distributed(x.operands[0], y, left, right, out, sum_batch)
        return None if found is None else scale(found, x.attrs["coefficient"])
    if x.op is RATE:
        found = _distributed(x.operands[0], y, left, right, out, sum_batch)
        return None if found is None else rate(found, x.attrs["param"])
    if x.op is PER_SAMPLE:
        found = _distributed(x.operands[0], y, left, right, out, sum_batch)
        return None if found is None else per_sample(found)
    if _plain_sum(x):
        parts = [_distributed(part, y, left, right, out, sum_batch) for part in x.operands]
        if parts[0] is None or parts[1] is None:
            return None
        return add(parts[0], parts[1])
    if expands(x):
        return _reassociated(x, y, left, right, out, sum_batch)
    return contract(x, y, left, right, out, sum_batch=sum_batch)


def _reassociated(
    x: Node, y: Node, left: Labels, right: Labels, out: Labels, sum_batch: bool
) -> Node | None:
    """Return ``(p q) y`` with x = p q as the cheaper of ``p (q y)`` and ``q (p y)``."""
    if x.attrs["sum_batch"]:
        return None
    p, q, of_p, of_q = *x.operands, *_renamed(x, left, right)
    found = []
    for one, other, a, b in ((p, q, of_p, of_q), (q, p, of_q, of_p)):
        made = _last(one, other, y, a, b, right, out, sum_batch)
        if made is not None:
            found.append(made)
    return min(found, key=lambda node: new_work([node], {p, q, y}), default=None)


def _renamed(x: Node, left: Labels, right: Labels) -> tuple[Labels, Labels]:
    """Return the labels of x's operands in the words of the contraction that x stands in."""
    names = dict(zip(x.attrs["out"], left, strict=True))
    free = max((*left, *right), default=0) + 1
    for label in (*x.attrs["left"], *x.attrs["right"]):
        if label not in names:
            names[label] = free
            free += 1
    return tuple(names[k] for k in x.attrs["left"]), tuple(names[k] for k in x.attrs["right"])


def _last(
    p: Node,
    q: Node,
    y: Node,
    of_p: Labels,
    of_q: Labels,
    right: Labels,
    out: Labels,
    sum_batch: bool,
) -> Node | None:
    """Return ``p (q y)``; None where that would sum over samples twice or make a larger sort."""
    wanted = {*of_p, *out}
    middle = tuple(k for k in dict.fromkeys((*right, *of_q)) if k in wanted)
    early = sum_batch and not p.type.batched
    if early and not (q.type.batched and y.type.batched):
        return None
    inner = contract(q, y, of_q, right, middle, sum_batch=early)
    if inner.type.sort > max(q.type.sort, y.type.sort):
        return None
    if sum_batch and not early and not inner.type.batched:
        return contract(batch_sum(p), inner, of_p, middle, out)
    return contract(p, inner, of_p, middle, out, sum_batch=sum_batch and not early)


def _cheaper(found: Node, plain: Node, x: Node, y: Node) -> bool:
    """Whether a rewritten product is less work than forming x and multiplying by it.

    What x is made of counts as known, but for the outer products and sums themselves.
    """
    if entries(x.type) <= entries(found.type):
        return False
    leaves = list(_leaves(x))
    parts = [part for leaf in leaves if expands(leaf) for part in leaf.operands]
    known = set(walk([*parts, y, *(k for k in leaves if not expands(k))]))
    return new_work([found], known) <= new_work([plain], known)
