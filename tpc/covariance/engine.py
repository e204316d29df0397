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
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.covariance.arrays import (
    Array,
    Quantity,
    Shape,
    Step,
    Value,
    extents,
    pair_shape,
    slot,
    unreduced,
)
from tpc.covariance.expectations import (
    Average,
    ClosedForm,
    Plain,
    SeriesForm,
    SideKey,
    Sides,
    loop_source,
    side_keys,
)
from tpc.covariance.layers import layer
from tpc.covariance.steps import (
    Combine,
    Constant,
    Move,
    Multiply,
    Outer,
    Weigh,
    flattened,
    summed,
)
from tpc.exact import Coefficient
from tpc.limit.moment import power_of
from tpc.ops.base import MissingRule
from tpc.ops.index_map import IndexMap
from tpc.ops.repeat import repeat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.ops.activations import Activation

STAGE = "limit"
NOTHING = Value()


@dataclass(frozen=True)
class Number:
    """A value that does not vary with the weights: ``quantity`` (None: zero) for every sample.

    ``noise`` is the power of the width of what it was rounded by, None for nothing at all.
    """

    quantity: Quantity | None
    noise: Fraction | None = None


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


class View:
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

    # -- building blocks of rules ------------------------------------------------------------------

    def outer(self, left: Number, right: Number, modes: str, node: Node) -> Value:
        """Return the products of numbers of either sample."""
        if left.quantity is None or right.quantity is None:
            return NOTHING
        for number in (left, right):
            if number.noise is not None and number.noise >= 0:
                raise MissingRule(node, STAGE, "a scalar that stays random in the limit")
        sizes = extents(node)
        s, t = left.quantity, right.quantity
        x, y = (self._presummed(q, sizes, modes) for q in (s, t))
        kept = tuple(e for e, mode in zip(sizes, modes, strict=True) if mode != "A")
        step = Outer(x.array, y.array, kept, modes.replace("A", ""), self.own)
        return Value(Quantity(step.outputs[0], x.factor * y.factor, s.power + t.power))

    def _presummed(self, q: Quantity, sizes: Shape, modes: str) -> Quantity:
        over = [k for k, mode in enumerate(modes) if mode == "A"]
        if not over:
            return q
        factor = 1
        for k in over:
            factor *= sizes[k] // q.array.shape[k]
        return q.moved(summed(q.array, over)).times(factor)

    def total(self, values: Sequence[Value]) -> Value:
        """Return a sum, of which only the leading power of the width is kept."""
        return Value(
            self._total([v.kernel for v in values if v.kernel is not None]),
            self._total([v.tangent for v in values if v.tangent is not None]),
        )

    def _total(self, parts: Sequence[Quantity]) -> Quantity | None:
        if not parts:
            return None
        top = max(q.power for q in parts)
        weights: dict[Array, float] = {}
        for q in parts:
            if q.power == top:
                weights[q.array] = weights.get(q.array, 0.0) + q.factor
        terms = [(factor, array) for array, factor in weights.items() if factor != 0.0]
        if not terms:
            return None
        if len(terms) == 1:
            return Quantity(terms[0][1], terms[0][0], top)
        wide = joint_shape([array for _, array in terms])
        return Quantity(Combine(terms, wide).outputs[0], 1.0, top)

    def constant(self, value: float, rank: int) -> Array:
        """Return an array that is the same everywhere."""
        return Constant(value, rank, self.own).outputs[0]

    def grown(self, array: Array, shape: Shape) -> Array:
        """Return an array repeated to a shape."""
        return array if array.shape == shape else Combine([(1.0, array)], shape).outputs[0]

    def moved(self, value: Value, function: Any, shape: Any, full: Shape | None = None) -> Value:
        """Return the image under a linear map: ``function(array with a leading axis)``.

        ``shape`` is the shape of the result, or gives it from that of the operand. The operand is
        repeated to ``full`` where that is given.
        """

        def image(q: Quantity | None) -> Quantity | None:
            if q is None:
                return None
            x = q.array if full is None else self.grown(q.array, full)
            new = shape(x.shape) if callable(shape) else shape
            return q.moved(Move(x, function, new).outputs[0])

        return both(value, image)

    def seen(self, value: Value, shape: Any) -> Value:
        """Return a value under another shape, which is given by that of the array."""

        def image(q: Quantity | None) -> Quantity | None:
            return None if q is None else q.moved(flattened(q.array, shape(q.array.shape)))

        return both(value, image)

    def product(self, one: Value, other: Value) -> Value:
        """Return the covariance of products of independent values."""
        pairs = ((one.kernel, other.kernel), (one.tangent, other.kernel))
        kernel, first = (_times(a, b) for a, b in pairs)
        parts = [t for t in (first, _times(one.kernel, other.tangent)) if t is not None]
        return Value(kernel, self._total(parts))

    def embedded(self, value: Value, modes: str, axes: Sequence[int], sizes: Shape) -> Value:
        """Spread values of p = q along ``axes`` (D so far) over all pairs, zero elsewhere.

        ``modes`` are those of the result, which has F there.
        """
        import numpy as np

        for axis in axes:
            start, size = slot(modes, axis), sizes[axis]

            def image(array: Any, start: int = 1 + start, size: int = size) -> Any:
                shape = (*array.shape[:start], size, size, *array.shape[start + 1 :])
                found: Any = np.zeros(shape)
                i = np.arange(size)
                found[(*(slice(None),) * start, i, i)] = array
                return found

            def new(shape: Shape, start: int = start, size: int = size) -> Shape:
                return (*shape[:start], size, size, *shape[start + 1 :])

            value = self.moved(value, image, new)
        return value

    def nonlinear(self, left: Node, right: Node, phi: Activation, modes: str) -> Value:
        """Return the covariances of ``phi(left)`` and ``phi(right)``, both Gaussian."""
        for node in (left, right):
            require_gaussian(node, self.engine)
        value = self.request(left, right, modes)
        sizes = extents(left)
        kernel = self._settled(value.kernel, left, modes)
        tangent = value.tangent
        form = phi.dual_form()
        slope_phi = phi.derivative()
        slope = slope_phi.dual_form()
        shape = (pair_shape(sizes, modes), sizes, modes)
        if slope_phi.is_zero:
            tangent = None
        given = (kernel.array, kernel.factor)
        t = None if tangent is None else tangent.array
        step: Step
        if form is not None and (tangent is None or slope is not None):
            forms = [form] if tangent is None or slope is None else [form, slope]
            keys = side_keys(forms)
            sides = self.engine.sides(left, keys), self.engine.sides(right, keys)
            source = loop_source(form, None if tangent is None else slope)
            step = layer(kernel, tangent, sides, (form, slope), shape[0]) or ClosedForm(
                given, t, sides, source, shape
            )
        else:
            sides = self.engine.sides(left, None), self.engine.sides(right, None)
            step = SeriesForm(given, t, sides, phi, shape)
        moved = None if tangent is None else tangent.moved(step.outputs[1])
        return Value(Quantity(step.outputs[0]), moved)

    def _settled(self, q: Quantity | None, node: Node, modes: str) -> Quantity:
        if q is not None and q.power > 0:
            raise MissingRule(node, STAGE, "a nonlinearity of something that grows with the width")
        if q is None or q.power < 0:
            return Quantity(self.constant(0.0, len(pair_shape(extents(node), modes))))
        return q


def _times(a: Quantity | None, b: Quantity | None) -> Quantity | None:
    if a is None or b is None:
        return None
    shape = joint_shape([a.array, b.array])
    product = Multiply([a.array, b.array], shape).outputs[0]
    return Quantity(product, a.factor * b.factor, a.power + b.power)


def both(value: Value, function: Any) -> Value:
    """Return the image of kernel and tangent; shared arrays are mapped once."""
    kernel, tangent = function(value.kernel), None
    if value.tangent is not None:
        if value.kernel is not None and value.tangent.array is value.kernel.array:
            ratio = value.tangent.factor / value.kernel.factor
            tangent = kernel.times(ratio, value.tangent.power - value.kernel.power)
        else:
            tangent = function(value.tangent)
    return Value(kernel, tangent)


def scaled(value: Value, coefficient: Coefficient) -> Value:
    """Return a value times a coefficient."""
    if coefficient.is_zero:
        return NOTHING
    factor, power = coefficient.constant.value, power_of(coefficient.power)
    return Value(
        None if value.kernel is None else value.kernel.times(factor, power),
        None if value.tangent is None else value.tangent.times(factor, power),
    )


def joint_shape(arrays: Sequence[Array]) -> Shape:
    """Return the shape to which arrays broadcast."""
    return tuple(max(column) for column in zip(*(a.shape for a in arrays), strict=True))


def padded(node: Node, like: Node) -> Node:
    """Return an operand repeated along the axes that it lacks in front."""
    missing = like.type.rank - node.type.rank
    return repeat(node, tuple((k, like.type.dims[k]) for k in range(missing)))


def independent(node: Node, axis: int) -> bool:
    """Whether positions along an axis are uncorrelated by construction."""
    return node.op.independent(node, axis)


def law(node: Node, engine: Engine) -> str | None:
    """Return the initial weight that a node is a contraction with, or None."""
    from tpc.limit.contraction import weight_below
    from tpc.ops.contract import CONTRACT

    if node.op is not CONTRACT:
        return None
    for operand in node.operands:
        param = weight_below(operand)
        if param is not None and engine.params[param.attrs["name"]].init != "one":
            return str(param.attrs["name"])
    return None


def gaussian(node: Node, engine: Engine) -> bool:
    """Whether a node is Gaussian of mean zero in the limit, given the numbers of its samples."""
    from tpc.limit.contraction import weight_below
    from tpc.ops.gather import GATHER
    from tpc.ops.repeat import REPEAT
    from tpc.ops.sum import SUM
    from tpc.ops.windows import FOLD

    seen: set[Node] = set()
    todo = [node]
    while todo:
        each = todo.pop()
        if each in seen:
            continue
        seen.add(each)
        parts = each.op.addends(each)
        if law(each, engine) is not None or weight_below(each) is not None:
            if engine.sources(each) and _ones(each, engine):
                return False
        elif each.op is GATHER:
            todo.append(each.operands[0])
        elif engine.numbers.is_number(each):
            if engine.numbers.array(each).quantity is not None:
                return False
        elif parts is not None:
            todo.extend(x for _, x in parts)
        elif isinstance(each.op, IndexMap) or each.op in (REPEAT, SUM, FOLD):
            todo.extend(each.operands)
        else:
            rest = [x for x in each.operands if not engine.numbers.is_number(x)]
            if len(each.operands) != 2 or len(rest) != 1 or each.op.name not in _PRODUCTS:
                return False
            todo.extend(rest)
    return True


_PRODUCTS = ("multiply", "contract")


def _ones(node: Node, engine: Engine) -> bool:
    from tpc.limit.contraction import weight_below

    param = weight_below(node)
    return param is not None and engine.params[param.attrs["name"]].init == "one"


def require_gaussian(node: Node, engine: Engine) -> None:
    """Refuse a nonlinearity of something that is no sum of Gaussians.

    Raises:
        MissingRule: with the node at fault.
    """
    if not gaussian(node, engine):
        raise MissingRule(node, STAGE, "a nonlinearity of values that are not Gaussian")
