"""Interned nodes: equal expressions are the same object.

A node is an op, its operands and its attributes. ``make`` returns the existing node where an equal
one lives, so sharing in the program is sharing in the graph, and passes memoise by identity.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpc.ir.types import TensorType
    from tpc.ops.base import Op

Attributes = tuple[tuple[str, Hashable], ...]

_counter = itertools.count()
_interned: weakref.WeakValueDictionary[tuple[Hashable, ...], Node] = weakref.WeakValueDictionary()


class Node:
    """One operation applied to operands. Made only by :func:`make`; compared by identity."""

    __slots__ = ("__weakref__", "attrs", "id", "op", "operands", "type")

    def __init__(
        self, op: Op, operands: tuple[Node, ...], attrs: Mapping[str, Any], type_: TensorType
    ) -> None:
        self.op = op
        self.operands = operands
        self.attrs = attrs
        self.type = type_
        self.id = next(_counter)

    def __repr__(self) -> str:
        return f"<%{self.id} {self.op.name} {self.type}>"


def make(op: Op, *operands: Node, **attrs: Hashable) -> Node:
    """Return the node of ``op`` on ``operands``.

    Raises:
        tpc.ops.base.OpTypeError: the operands do not fit the op's typing rule.
    """
    key = (op.name, tuple(operand.id for operand in operands), tuple(sorted(attrs.items())))
    found = _interned.get(key)
    if found is not None:
        return found
    type_ = op.infer(tuple(operand.type for operand in operands), attrs)
    node = Node(op, operands, attrs, type_)
    _interned[key] = node
    return node


def walk(roots: Iterable[Node]) -> Iterator[Node]:
    """Yield every node below ``roots`` once, operands before users, without recursion."""
    seen: set[Node] = set()
    for root in roots:
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                yield node
                continue
            if node in seen:
                continue
            seen.add(node)
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(node.operands))


@lru_cache(maxsize=64)
def ordered(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return what :func:`walk` yields; graphs that are evaluated many times are walked once."""
    return tuple(walk(roots))


def replace(roots: Iterable[Node], mapping: Mapping[Node, Node]) -> tuple[Node, ...]:
    """Rebuild ``roots`` with nodes replaced; untouched parts keep their identity."""
    roots = tuple(roots)
    new: dict[Node, Node] = {}
    for node in walk(roots):
        if node in mapping:
            new[node] = mapping[node]
            continue
        operands = tuple(new[operand] for operand in node.operands)
        same = all(a is b for a, b in zip(operands, node.operands, strict=True))
        new[node] = node if same else make(node.op, *operands, **node.attrs)
    return tuple(new[root] for root in roots)
