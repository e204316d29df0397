"""What to call the values of a graph when speaking to users."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.ir.node import walk
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.contract import CONTRACT
from tpc.ops.param import PARAM
from tpc.ops.scale import SCALE

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node

_LONGEST = 40

#: What to call values that stand in no line of the program: those of the backward pass.
_NOUNS = {
    "add": "a sum",
    "sum": "a sum",
    "contract": "a product",
    "multiply": "a product",
    "scale": "a multiple",
    "fill": "a constant",
    "literal": "a constant",
}


class Names:
    """Names of a module's values, and descriptions of what the program does not name."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._spans = module.spans
        self._named: dict[Node, str] = {}
        for value in (*module.values, *module.outputs):
            self._named.setdefault(value.node, value.name)

    @cached_property
    def backward(self) -> dict[Node, Node]:
        """The values whose derivatives the backward nodes are, up to constant factors."""
        loss = self._module.loss
        if loss is None:
            return {}
        forward = [node for node in walk([loss]) if node.operands or node.op is PARAM]
        found: dict[Node, Node] = {}
        for slope, node in zip(gradient(loss, forward), forward, strict=True):
            if slope.op is SCALE and slope.attrs["coefficient"].power == 0:
                slope = slope.operands[0]
            if slope.operands and slope not in forward:
                found.setdefault(slope, node)
        return found

    @cached_property
    def _parts(self) -> dict[Node, str]:
        """The terms that make up the derivatives of weights: one for each use of a weight."""
        found: dict[Node, str] = {}
        for slope, node in self.backward.items():
            stack = [slope] if node.op is PARAM else []
            while stack:
                for operand in stack.pop().operands:
                    if operand.op is ADD or operand.op is SCALE or operand.op.transparent:
                        stack.append(operand)
                    if operand.op is CONTRACT and operand not in self.backward:
                        found.setdefault(operand, f"a part of dL/d{node.attrs['name']}")
        return found

    def of(self, node: Node) -> str:
        """Return the name of a value, or a short description."""
        named = self._named.get(node)
        if named is not None:
            return named
        if node in self.backward:
            return f"dL/d{self._tight(self.of(self.backward[node]))}"
        if node in self._parts:
            return self._parts[node]
        if node.op is PARAM or node.op.name == "input":
            return str(node.attrs["name"])
        if node.op is APPLY:
            return f"{node.attrs['activation']}({self._inside(node.operands[0])})"
        if node.op is CONTRACT:
            weights = [self.weight(x) for x in node.operands]
            for name, other in zip(weights, reversed(node.operands), strict=True):
                if name is not None:
                    return f"{name} @ {self._inside(other)}"
        if node.op.transparent and len(node.operands) == 1:
            return self.of(node.operands[0])
        return self._excerpt(node)

    @staticmethod
    def _tight(name: str) -> str:
        return name if " " not in name else f"({name})"

    def has(self, node: Node) -> bool:
        """Return whether the program names a value."""
        return node in self._named

    def node(self, name: str) -> Node:
        """Return the value of a name; KeyError where there is none."""
        for node, known in self._named.items():
            if known == name:
                return node
        raise KeyError(name)

    def _inside(self, node: Node) -> str:
        named = self._named.get(node) or self.weight(node)
        return named or (str(node.attrs["name"]) if node.op.name == "input" else "...")

    def _excerpt(self, node: Node) -> str:
        span = self._spans.get(node)
        if span is None:
            return _NOUNS.get(node.op.name, f"a {node.op.name}")
        text = " ".join(span.text.split())
        return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

    def weight(self, node: Node) -> str | None:
        """Return the name of the weight that a value is, seen through indexing."""
        while node.op.transparent and node.operands:
            node = node.operands[0]
        return str(node.attrs["name"]) if node.op is PARAM else None

    def line(self, node: Node) -> int | None:
        """Return the line of the program on which a value was made."""
        span = self._spans.get(node)
        return None if span is None else span.line
