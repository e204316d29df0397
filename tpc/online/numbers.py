"""Scalar nodes as loops over their finite axes, in double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.exact import Coefficient
from tpc.online.lines import Lines, at
from tpc.online.plan import SAME
from tpc.ops.activations import Activation
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL, is_zero
from tpc.ops.input import INPUT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM

if TYPE_CHECKING:
    from tpc.ir.node import Node

Indices = tuple[str, ...]


class NumberWriter:
    """Writes the computation of scalar nodes; ``names`` are the variables that hold them.

    ``constants`` are the coefficients that the source reads from the array ``numbers``: they may
    depend on the width. ``inputs`` and ``activations`` are those that are used.
    """

    def __init__(self) -> None:
        self.names: dict[Node, str] = {}
        self.constants: list[Coefficient] = []
        self.inputs: list[str] = []
        self.activations: set[Activation] = set()
        self.arrays: dict[str, tuple[int, ...]] = {}

    def constant(self, value: Coefficient) -> str:
        """Return the source of a coefficient."""
        if value not in self.constants:
            self.constants.append(value)
        return f"numbers[{self.constants.index(value)}]"

    def entry(self, node: Node, indices: Indices) -> str:
        """Return the source of an entry; ``indices`` may belong to more axes in front."""
        own = indices[len(indices) - node.type.rank :]
        if is_zero(node):
            return "0.0"
        if node.op is FILL:
            return self.constant(node.attrs["coefficient"])
        if node.op is INPUT:
            name = node.attrs["name"]
            if name not in self.inputs:
                self.inputs.append(name)
            return f"in_{name}[sample{''.join(f', {i}' for i in own)}]"
        if node.op in SAME:
            return self.entry(node.operands[0], own)
        if node.op is REPEAT:
            new = {position for position, _ in node.attrs["axes"]}
            kept = tuple(i for axis, i in enumerate(own) if axis not in new)
            return self.entry(node.operands[0], kept)
        return at(self.names[node], own)

    def declare(self, node: Node) -> str:
        """Return the variable of a node, an array of its finite axes."""
        name = self.names.setdefault(node, f"v{len(self.names)}")
        if node.type.rank:
            self.arrays[name] = tuple(int(dim.count) for dim in node.type.dims)
        return name

    def write(self, node: Node, lines: Lines) -> None:
        """Add the computation of a node."""
        if node.op in (FILL, INPUT, REPEAT, *SAME) or is_zero(node):
            return
        name = self.declare(node)
        extents = [int(dim.count) for dim in node.type.dims]
        indices = tuple(f"i{axis}" for axis in range(len(extents)))
        with lines.loops(indices, extents):
            if node.op is SUM:
                self._sum(node, indices, at(name, indices), lines)
            elif node.op is CONTRACT:
                self._contract(node, indices, at(name, indices), lines)
            elif node.op is APPLY:
                activation = node.attrs["activation"]
                self.activations.add(activation)
                lines.add(f"z = {self.entry(node.operands[0], indices)}")
                lines.add(f"{at(name, indices)} = {activation.numba_call('z')}")
            else:
                lines.add(f"{at(name, indices)} = {self._elementwise(node, indices)}")

    def _elementwise(self, node: Node, indices: Indices) -> str:
        found = [self.entry(operand, indices) for operand in node.operands]
        if node.op is ADD:
            return " + ".join(found)
        if node.op is MULTIPLY:
            return " * ".join(found)
        if node.op is SCALE:
            return f"{self.constant(node.attrs['coefficient'])} * {found[0]}"
        assert node.op is POWER
        exponent = node.attrs["exponent"]
        return f"{found[0]} ** {int(exponent) if exponent.denominator == 1 else float(exponent)!r}"

    def _sum(self, node: Node, indices: Indices, target: str, lines: Lines) -> None:
        operand, axes = node.operands[0], node.attrs["axes"]
        extents = [int(operand.type.dims[axis].count) for axis in axes]
        kept, inner = iter(indices), [f"j{axis}" for axis in axes]
        summed = iter(inner)
        full = tuple(next(summed if a in axes else kept) for a in range(operand.type.rank))
        lines.add(f"{target} = 0.0")
        with lines.loops(inner, extents):
            lines.add(f"{target} += {self.entry(operand, full)}")

    def _contract(self, node: Node, indices: Indices, target: str, lines: Lines) -> None:
        names = dict(zip(node.attrs["out"], indices, strict=True))
        inner: dict[int, int] = {}
        sides = list(zip(node.operands, (node.attrs["left"], node.attrs["right"]), strict=True))
        for operand, labels in sides:
            for label, dim in zip(labels, operand.type.dims, strict=True):
                if label not in names:
                    inner[label] = int(dim.count)
        names |= {label: f"j{label}" for label in inner}
        lines.add(f"{target} = 0.0")
        with lines.loops([names[label] for label in inner], list(inner.values())):
            factors = [
                self.entry(operand, tuple(names[label] for label in labels))
                for operand, labels in sides
            ]
            lines.add(f"{target} += {' * '.join(factors)}")
