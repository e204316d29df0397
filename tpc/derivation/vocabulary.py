"""Which values of a training step get an equation of their own, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.exact import Coefficient
from tpc.ir.node import walk
from tpc.ops.contract import CONTRACT
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.ops.scale import SCALE
from tpc.scaling.names import Names
from tpc.unroll import training_step

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node

CHI = "chi"


class Vocabulary:
    """Names of the values that the recursion is written in.

    Those are the values that the program names; products of weights with vectors, which have a hat
    and a dot part; the vectors that weights act on; and the derivatives of the loss with respect to
    all of them, ``dh`` for h and ``chi`` for the output. What the program does not name is called h
    where a weight made it, and u otherwise.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.training = training_step(module)
        outputs = [value.node for value in module.outputs]
        self.gradients = dict(self.training.gradients)
        self.order = list(walk([*outputs, self.training.loss, *self.gradients.values()]))
        self.forward = set(walk([*outputs, self.training.loss]))
        self.names: dict[Node, str] = {}
        self.origins: dict[Node, Node] = {}
        self._name_forward()
        self._name_backward()
        self._name_arguments()

    def _name_forward(self) -> None:
        known = {v.node: v.name for v in (*self.module.values, *self.module.outputs)}
        for node in self.order:
            if node in known and node.op not in (PARAM, INPUT) and node.type.sort < 2:
                self.names[node] = known[node]
        products = [
            node
            for node in self.order
            if node in self.forward and node not in self.names and self._is_product(node)
        ]
        self._number("h", products)

    def _is_product(self, node: Node) -> bool:
        return (
            node.op is CONTRACT
            and node.type.sort == 1
            and any(Vocabulary.weight(operand) is not None for operand in node.operands)
        )

    @staticmethod
    def weight(node: Node) -> Node | None:
        """Return the weight that a value is, seen through moves of its axes."""
        while node.op.transparent and node.operands:
            node = node.operands[0]
        return node if node.op is PARAM else None

    def _name_backward(self) -> None:
        found = dict(Names(self.module).backward)
        outputs = [value.node for value in self.module.outputs]
        # the loss itself may contain the derivatives of outputs, as squared errors do
        slopes = map(_unscaled, self._derivatives(outputs))
        found |= {
            node: output
            for output, node in zip(outputs, slopes, strict=True)
            if node.operands and node not in self.names
        }
        for node in self.order:
            origin = found.get(node)
            if origin is None or origin not in self.names or node in self.names:
                continue
            if self._is_bypassed(origin):
                continue
            name = f"d{self.names[origin]}"
            if origin in outputs:
                name = CHI if len(outputs) == 1 else f"{CHI}_{self.names[origin]}"
            elif node.type.sort == 0:
                continue
            self.names[node] = name
            self.origins[node] = origin

    def _is_bypassed(self, node: Node) -> bool:
        """Whether the loss also reads what a node is a multiple of: no cut of the graph then."""
        if node.op is not SCALE:
            return False
        (x,) = node.operands
        return any(x in each.operands for each in self.forward if each is not node)

    def _derivatives(self, nodes: list[Node]) -> tuple[Node, ...]:
        assert self.module.loss is not None
        return gradient(self.module.loss, nodes)

    def _name_arguments(self) -> None:
        """Name what matrices act on, and what updates are made of."""
        left: dict[Node, None] = {}
        for node in self.order:
            for operand in self._arguments(node):
                if operand not in self.names and operand.op is not PARAM:
                    left[operand] = None
            matrices = any(operand.type.sort > 1 for operand in node.operands)
            is_action = node.op is CONTRACT and node.type.sort == 1 and matrices
            if is_action and node not in self.names:
                left[node] = None
        self._number("u", list(left))

    @staticmethod
    def _arguments(node: Node) -> Iterator[Node]:
        if node.op is not CONTRACT:
            return
        sorts = [operand.type.sort for operand in node.operands]
        for operand, sort in zip(node.operands, sorts, strict=True):
            if sort == 1 and (node.type.sort > 1 or max(sorts) > 1):
                yield operand

    def _number(self, letter: str, nodes: list[Node]) -> None:
        taken = {*self.names.values(), *self.module.params, *self.module.inputs}
        numbers = iter(range(1, len(nodes) + len(taken) + 2))
        for node in nodes:
            name = letter if len(nodes) == 1 else f"{letter}{next(numbers)}"
            while name in taken:
                name = f"{letter}{next(numbers)}"
            self.names[node] = name

    def slope(self, node: Node) -> Coefficient:
        """Return c where the derivative of the loss with respect to an origin is c times a node."""
        (found,) = self._derivatives([self.origins[node]])
        return found.attrs["coefficient"] if found.op is SCALE else Coefficient.of(1)


def _unscaled(node: Node) -> Node:
    return node.operands[0] if node.op is SCALE else node
