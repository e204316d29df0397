"""Values that do not vary with the weights: inputs, averages over the width, and what follows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.covariance.arrays import Array, Quantity, extents
from tpc.covariance.expectations import Average
from tpc.covariance.gaussians import law, require_gaussian
from tpc.covariance.steps import Combine, Constant, Evaluate, Move, Multiply, Sums
from tpc.covariance.values import Number, padded
from tpc.limit.mixtures import averages
from tpc.limit.moment import block_size, power_of
from tpc.limit.numbers import vanishing_base
from tpc.ops.add import ADD
from tpc.ops.base import MissingRule
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL
from tpc.ops.gather import GATHER
from tpc.ops.index_map import IndexMap
from tpc.ops.input import INPUT
from tpc.ops.literal import LITERAL
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM
from tpc.ops.windows import FOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpc.covariance.engine import Engine
    from tpc.exact import Coefficient
    from tpc.ir.node import Node

STAGE = "limit"
NONE = Number(None)


class Numbers:
    """Which nodes are numbers, and the arrays (samples, positions) of those that are."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is: dict[Node, bool] = {}
        self._arrays: dict[Node, Number] = {}
        self._means: dict[Node, Number] = {}

    def is_number(self, node: Node) -> bool:
        """Whether a node is fixed by the sample, in the limit."""
        if node not in self._is:
            self._is[node] = self._found(node)
        return self._is[node]

    def _found(self, node: Node) -> bool:
        if not node.operands:
            return node.op in (INPUT, LITERAL, FILL)
        if all(self.is_number(operand) for operand in node.operands):
            return True
        return averages(node)

    def array(self, node: Node) -> Number:
        """Return the numbers of a node.

        Raises:
            MissingRule: there is no rule for it.
        """
        if node not in self._arrays:
            if all(self.is_number(x) for x in node.operands) or not node.operands:
                self._arrays[node] = self._evaluated(node)
            else:
                self._arrays[node] = self._average(node)
        return self._arrays[node]

    # -- ops on numbers ----------------------------------------------------------------------------

    def _evaluated(self, node: Node) -> Number:
        if node.op is SCALE:
            return self._scaled(node)
        inner = [self.array(x) for x in node.operands]
        power, noise = self._power(node, inner)
        zeros = [n.quantity is None for n in inner]
        if node.op is POWER and node.attrs["exponent"] != 2 and any(zeros):
            raise vanishing_base(node)
        linear = isinstance(node.op, IndexMap) or node.op in (REPEAT, ADD, SUM)
        if inner and (all(zeros) if linear else any(zeros) and node.op in (MULTIPLY, CONTRACT)):
            return Number(None, noise)
        arrays = [self._full(n, x) for n, x in zip(inner, node.operands, strict=True)]
        step = Evaluate(node, arrays, extents(node))
        return Number(Quantity(step.outputs[0], 1.0, power), noise)

    def _scaled(self, node: Node) -> Number:
        inner = self.array(node.operands[0])
        coefficient = node.attrs["coefficient"]
        power = power_of(coefficient.power)
        noise = None if inner.noise is None else inner.noise + power
        if inner.quantity is None:
            return Number(None, noise)
        return Number(inner.quantity.times(coefficient.constant.value, power), noise)

    def _power(self, node: Node, inner: list[Number]) -> tuple[Fraction, Fraction | None]:
        """Return the power of the width of a result, and that of its noise."""
        noises = [n.noise for n in inner if n.noise is not None]
        noise = max(noises, default=None)
        powers = [n.quantity.power for n in inner if n.quantity is not None]
        if node.op is FILL:
            return power_of(node.attrs["coefficient"].power), None
        if not any(powers):
            moves = isinstance(node.op, IndexMap) or node.op is REPEAT
            if noise is not None and noise >= 0 and not moves:
                raise MissingRule(node, STAGE, "a scalar that stays random in the limit")
            if node.op is SUM and any(
                node.operands[0].type.dims[a].width for a in node.attrs["axes"]
            ):
                raise MissingRule(node, STAGE, "a sum of equal numbers over a width")
            return Fraction(0), noise
        if (isinstance(node.op, IndexMap) or node.op is REPEAT) and len(set(powers)) == 1:
            return powers[0], noise
        raise MissingRule(node, STAGE, "numbers that grow or vanish with the width")

    def _full(self, number: Number, node: Node) -> Array:
        sizes = extents(node)
        if number.quantity is None:
            zero = Constant(0.0, len(sizes), True).outputs[0]
            return Combine([(1.0, zero)], sizes).outputs[0]
        q = number.quantity
        if q.factor == 1.0 and q.array.shape == sizes:
            return q.array
        return Combine([(q.factor, q.array)], sizes).outputs[0]

    # -- averages over the width -------------------------------------------------------------------

    def _average(self, node: Node) -> Number:
        """Return a sum over the width, by the law of large numbers."""
        if node.op is SUM:
            return self._sum(node)
        x, y = node.operands
        left, right, out = (node.attrs[key] for key in ("left", "right", "out"))
        if len(left) != len(right) or node.attrs["sum_batch"]:
            raise MissingRule(node, STAGE, "products of values of different axes")
        modes, order, power, factor = "", [], Fraction(0), 1.0
        for a, b, dim in zip(left, right, x.type.dims, strict=True):
            if a != b and (a in right or b in left or dim.width):
                raise MissingRule(node, STAGE, "products of values of different axes")
            modes += "F" if a != b else ("D" if a in out else "S")
            order += [a, b] if a != b else ([a] if a in out else [])
            if a == b and a not in out and dim.width:
                size = block_size(dim.count)
                power, factor = power + power_of(size.power), factor * size.constant.value
        q = self.engine.own.request(x, y, modes).kernel
        noise = power - Fraction(1, 2)
        if q is None:
            return Number(None, noise)
        axes = [0, *(1 + order.index(label) for label in out)]
        sizes = extents(node)
        shape = tuple(q.array.shape[a - 1] for a in axes[1:])
        array = Move(q.array, lambda a: a.transpose(axes), shape).outputs[0]
        del sizes
        return Number(Quantity(array, q.factor * factor, q.power + power), q.power + noise)

    def _sum(self, node: Node) -> Number:
        (x,) = node.operands
        axes = node.attrs["axes"]
        power, factor = Fraction(0), 1.0
        for axis in axes:
            if x.type.dims[axis].width:
                size = block_size(x.type.dims[axis].count)
                power, factor = power + power_of(size.power), factor * size.constant.value
        noise = power - Fraction(1, 2)
        modes = "".join("S" if k in axes else "D" for k in range(x.type.rank))
        if x.op is POWER and x.attrs["exponent"] == 2:
            pair = x.operands[0], x.operands[0]
            q = self.engine.own.request(*pair, modes).kernel
        elif x.op is MULTIPLY and not any(self.is_number(o) for o in x.operands):
            pair = padded(x.operands[0], x), padded(x.operands[1], x)
            q = self.engine.own.request(*pair, modes).kernel
        else:
            mean = self.mean(x).quantity
            if mean is None:
                return Number(None, noise)
            repeats = 1
            for axis in axes:
                repeats *= extents(x)[axis] // mean.array.shape[axis]
            q = mean.moved(Sums(mean.array, axes).outputs[0]).times(repeats)
        if q is None:
            return Number(None, noise)
        return Number(q.times(factor, power), q.power + noise)

    # -- means and products ------------------------------------------------------------------------

    def mean(self, node: Node) -> Number:
        """Return the mean of a value over the weights at every position; a number is its own.

        Raises:
            MissingRule: it is not known.
        """
        if node not in self._means:
            self._means[node] = self.array(node) if self.is_number(node) else self._mean(node)
        return self._means[node]

    def _mean(self, node: Node) -> Number:
        parts = node.op.addends(node)
        if node.op is PARAM:
            one = self.engine.params[node.attrs["name"]].init == "one"
            found = Constant(1.0, node.type.rank, True).outputs[0] if one else None
            return Number(None if found is None else Quantity(found))
        if law(node, self.engine) is not None:
            return NONE
        if parts is not None and all(self.mean(x).quantity is None for _, x in parts):
            return NONE
        if parts is not None:
            return self._mean_sum(node, parts)
        if isinstance(node.op, IndexMap) or node.op in (SUM, REPEAT, GATHER, FOLD):
            return self._mean_moved(node)
        weighed = self.weighed(node)
        if weighed is not None:
            return self._mean_weighed(node, *weighed)
        if node.op is CONTRACT:
            rest = [x for x in node.operands if not self.is_number(x)]
            if len(rest) == 1 and self.mean(rest[0]).quantity is None:
                return NONE
        if "activation" in node.attrs:
            phi, x = node.attrs["activation"], node.operands[0]
            require_gaussian(x, self.engine)
            if phi.parity == "odd":
                return NONE
            q = self.engine.variance(x)
            return Number(Quantity(Average(q.array, q.factor, phi).outputs[0]))
        raise MissingRule(node, STAGE, "the mean of such values")

    def _mean_sum(self, node: Node, parts: Sequence[tuple[Coefficient, Node]]) -> Number:
        terms, powers = [], set()
        for coefficient, x in parts:
            mean = self.mean(padded(x, node)).quantity
            if mean is not None:
                found = mean.times(coefficient.constant.value, power_of(coefficient.power))
                terms.append((found.factor, found.array))
                powers.add(found.power)
        if len(powers) != 1:
            raise MissingRule(node, STAGE, "the mean of values of different sizes")
        return Number(Quantity(Combine(terms, extents(node)).outputs[0], 1.0, powers.pop()))

    def _mean_moved(self, node: Node) -> Number:
        """Return the means of a linear map of positions: it acts on them as on values."""
        means = [self.mean(x) for x in node.operands]
        if all(mean.quantity is None for mean in means[: 1 if node.op is GATHER else None]):
            return NONE
        wide = node.op is SUM and any(
            node.operands[0].type.dims[axis].width for axis in node.attrs["axes"]
        )
        powers = {mean.quantity.power for mean in means if mean.quantity is not None}
        if wide or node.op is GATHER or len(powers) != 1:
            raise MissingRule(node, STAGE, "the mean of such values")
        arrays = [self._full(mean, x) for mean, x in zip(means, node.operands, strict=True)]
        step = Evaluate(node, arrays, extents(node))
        return Number(Quantity(step.outputs[0], 1.0, powers.pop()))

    def _mean_weighed(self, node: Node, weight: Node, inner: Node) -> Number:
        number, mean = self.array(padded(weight, node)), self.mean(padded(inner, node))
        s, m = number.quantity, mean.quantity
        if s is None or m is None:
            return NONE
        product = Multiply([s.array, m.array], extents(node)).outputs[0]
        return Number(Quantity(product, s.factor * m.factor, s.power + m.power), number.noise)

    def weighed(self, node: Node) -> tuple[Node, Node] | None:
        """Return number and other factor of a product of a number and something else."""
        if node.op is not MULTIPLY:
            return None
        x, y = node.operands
        if self.is_number(x) and not self.is_number(y):
            return x, y
        if self.is_number(y) and not self.is_number(x):
            return y, x
        return None
