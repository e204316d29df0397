"""The second-moment algebra on whole arrays of positions.

A walk over pairs of nodes of the forward graph, as :mod:`tpc.limit.moments` walks over pairs of
entries: every op says how the covariances of its results follow from those of its operands
(``Op.covariance``). The tangent kernel is carried along: at every weight W it grows by the step of
W times what W is contracted with, and it moves on by the derivative of the map from the covariances
of one layer to those of the next. The variances at either sample count as given: what depends on
the numbers of one sample alone does not move in the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tpc.covariance.arrays import (
    Array,
    Quantity,
    Shape,
    Value,
    extents,
    pair_shape,
    slot,
    unreduced,
)
from tpc.covariance.blocks import Blocks
from tpc.covariance.expectations import Average, Plain, SideKey, Sides
from tpc.covariance.gaussians import gaussian, independent, law, require_gaussian
from tpc.covariance.steps import Constant, Weigh, summed
from tpc.covariance.values import NOTHING, STAGE, both, padded, scaled
from tpc.exact import Coefficient
from tpc.ops.base import MissingRule
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node


class Engine:
    """The state of one derivation. ``steps`` says how far each weight moves."""

    def __init__(self, params: Mapping[str, ParamSpec], steps: Mapping[str, Coefficient]) -> None:
        from tpc.covariance.numbers import Numbers

        self.params = params
        self.steps = steps
        self.numbers = Numbers(self)
        self.own = View(self, True)
        self.cross = View(self, False)
        self._sources: dict[Node, frozenset[str]] = {}
        self._sides: dict[Any, Array] = {}

    def sources(self, node: Node) -> frozenset[str]:
        """Return the names of the weights that a node is built from."""
        if node not in self._sources:
            name = node.attrs.get("name")
            own = {str(name)} if not node.operands and name in self.params else set()
            below = (self.sources(operand) for operand in node.operands)
            self._sources[node] = frozenset(own).union(*below)
        return self._sources[node]

    def sides(self, node: Node, keys: Sequence[SideKey] | None) -> Array:
        """Return what expectations need of the variances of a node; None: the variances."""
        memo = (node, None if keys is None else tuple(keys))
        if memo not in self._sides:
            q = self.variance(node)
            self._sides[memo] = (
                Plain(q.array, q.factor, extents(node))
                if keys is None
                else Sides(q.array, q.factor, extents(node), keys)
            ).outputs[0]
        return self._sides[memo]

    def variance(self, node: Node) -> Quantity:
        """Return the variances of a node at every position, zero where they vanish.

        Raises:
            MissingRule: they grow with the width.
        """
        q = self.own.request(node, node, "D" * node.type.rank).kernel
        if q is not None and q.power > 0:
            raise MissingRule(node, STAGE, "a nonlinearity of something that grows with the width")
        if q is None or q.power < 0:
            return Quantity(Constant(0.0, node.type.rank, True).outputs[0])
        return q


class View(Blocks):
    """Covariances of two samples, or of one sample with itself (``own``)."""

    def __init__(self, engine: Engine, own: bool) -> None:
        self.engine = engine
        self.own = own
        self._known: dict[tuple[Node, Node, str], Value] = {}

    # -- the walk ----------------------------------------------------------------------------------

    def request(self, left: Node, right: Node, modes: str) -> Value:
        """Return ``E[left[p](x) right[q](x')]`` and its tangent, by modes.

        Raises:
            MissingRule: an op has no rule for it.
        """
        key = (left, right, modes)
        if key not in self._known:
            self._known[key] = self._solve(left, right, modes)
        return self._known[key]

    def _solve(self, left: Node, right: Node, modes: str) -> Value:
        numbers = self.engine.numbers
        if left.type.rank != right.type.rank or extents(left) != extents(right):
            raise MissingRule(left, STAGE, "covariances of values of different axes")
        if numbers.is_number(left) and numbers.is_number(right):
            moved = left.op is right.op and isinstance(left.op, IndexMap)
            if moved and "S" in modes and left.op.sums_positions and left.attrs == right.attrs:
                return left.op.covariance(left, right, modes, self)  # windows are summed there
            return self.outer(numbers.array(left), numbers.array(right), modes, left)
        for node, first in ((left, True), (right, False)):
            parts = None if numbers.is_number(node) else node.op.addends(node)
            if parts is not None:
                return self._sum(parts, (left, right), modes, first)
        fixed = numbers.is_number(left) or numbers.is_number(right)
        if fixed or not self.engine.sources(left) & self.engine.sources(right):
            means = numbers.mean(left), numbers.mean(right)
            return self.outer(*means, modes, left)
        for node, first in ((left, True), (right, False)):
            weighed = numbers.weighed(node)
            if weighed is not None:
                return self._weigh(*weighed, (left, right), modes, first)
        if left.op is right.op:
            if "A" in modes or ("S" in modes and not left.op.sums_positions):
                return self._reduce(left, right, modes)
            return left.op.covariance(left, right, modes, self)
        if "S" in modes or "A" in modes:
            return self._reduce(left, right, modes)
        return self._mixed(left, right, modes)

    def _reduce(self, left: Node, right: Node, modes: str) -> Value:
        """Sum over positions what an op does not sum itself."""
        if left.op is right.op and left.op.sums_positions:
            plain = "".join(
                "S" if m == "A" and left.op.independent(left, k) and left is right else m
                for k, m in enumerate(modes)
            )
            return left.op.covariance(left, right, plain, self)
        plain = unreduced(modes)
        sizes = extents(left)
        for axis, mode in enumerate(modes):
            if mode == "A" and left is right and independent(left, axis):
                plain = plain[:axis] + "D" + plain[axis + 1 :]
        value = self.request(left, right, plain)
        return self.reduced(value, sizes, plain, modes)

    def reduced(self, value: Value, sizes: Shape, plain: str, modes: str) -> Value:
        """Sum the dimensions of the axes that ``modes`` sums up and ``plain`` has."""
        dimensions: list[int] = []
        factor = 1
        shape = pair_shape(sizes, plain)
        for axis, mode in enumerate(modes):
            if mode in "SA":
                start = slot(plain, axis)
                dimensions += range(start, start + (2 if plain[axis] == "F" else 1))
        if not dimensions:
            return value

        def reduced(q: Quantity | None) -> Quantity | None:
            if q is None:
                return None
            repeats = factor
            for k in dimensions:
                repeats *= shape[k] // q.array.shape[k]
            return q.moved(summed(q.array, dimensions)).times(repeats)

        return both(value, reduced)

    def _sum(
        self,
        parts: Sequence[tuple[Coefficient, Node]],
        pair: tuple[Node, Node],
        modes: str,
        first: bool,
    ) -> Value:
        found = []
        for coefficient, node in parts:
            node = padded(node, pair[0] if first else pair[1])
            value = self.request(*((node, pair[1]) if first else (pair[0], node)), modes)
            found.append(scaled(value, coefficient))
        return self.total(found)

    def _weigh(
        self, weight: Node, inner: Node, pair: tuple[Node, Node], modes: str, first: bool
    ) -> Value:
        """Take a number of one sample out of a product."""
        plain = unreduced(modes)
        weight, inner = padded(weight, pair[0]), padded(inner, pair[0])
        number = self.engine.numbers.array(weight)
        value = self.request(*((inner, pair[1]) if first else (pair[0], inner)), plain)
        if number.quantity is None or value.is_zero:
            return NOTHING
        found = self.weigh(value, number.quantity, first, plain, extents(pair[0]))
        return self.reduced(found, extents(pair[0]), plain, modes)

    def weigh(self, value: Value, number: Quantity, first: bool, modes: str, sizes: Shape) -> Value:
        """Return a value times a number of x (``first``) or of x'."""
        shape = pair_shape(number.array.shape, modes)
        sides = (number.array, None) if first else (None, number.array)

        def times(q: Quantity | None) -> Quantity | None:
            if q is None:
                return None
            wide = tuple(max(a, b) for a, b in zip(shape, q.array.shape, strict=True))
            x = self.grown(q.array, wide)
            step = Weigh(x, sides, modes, wide)
            return q.moved(step.outputs[0]).times(number.factor, number.power)

        return both(value, times)

    def _mixed(self, left: Node, right: Node, modes: str) -> Value:
        """Return the covariance of a Gaussian and a nonlinearity of Gaussians (Stein's lemma)."""
        from tpc.ops.apply import APPLY

        for node, other, first in ((left, right, False), (right, left, True)):
            if node.op is APPLY and gaussian(other, self.engine):
                argument = node.operands[0]
                require_gaussian(argument, self.engine)
                pair = (argument, other) if first is False else (other, argument)
                value = self.request(*pair, modes)
                slope = node.attrs["activation"].derivative()
                if value.is_zero or slope.is_zero:
                    return NOTHING
                q = self.engine.variance(argument)
                mean = Quantity(Average(q.array, q.factor, slope).outputs[0])
                return self.weigh(value, mean, not first, modes, extents(left))
        for node, other in ((left, right), (right, left)):
            name = law(node, self.engine)
            if name is not None and name not in self.engine.sources(other):
                return NOTHING
            if name is not None and law(other, self.engine) not in (None, name):
                return NOTHING
        detail = f"covariances of {left.op.name} and {right.op.name} of the same weights"
        raise MissingRule(left, STAGE, detail)
