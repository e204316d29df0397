"""Building blocks of rules: sums, products, linear maps and nonlinearities of covariances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tpc.covariance.arrays import Array, Quantity, Shape, Step, Value, extents, pair_shape, slot
from tpc.covariance.expectations import ClosedForm, loop_source, side_keys
from tpc.covariance.gaussians import require_gaussian
from tpc.covariance.layers import layer
from tpc.covariance.series import SeriesForm
from tpc.covariance.steps import Combine, Constant, Move, Outer, flattened, summed
from tpc.covariance.values import NOTHING, STAGE, Number, both, joint_shape, times
from tpc.limit.kinks import require_no_sign
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.covariance.engine import Engine
    from tpc.ir.node import Node
    from tpc.ops.activations import Activation, DualForm


def _whole(form: DualForm | None) -> DualForm | None:
    """Return a closed form that holds at all variances, as loops without a fallback need it."""
    return None if form is None or form.partial else form


class Blocks:
    """What rules are built of, for two samples or one with itself (``own``)."""

    engine: Engine
    own: bool

    def request(self, left: Node, right: Node, modes: str) -> Value:
        """Return ``E[left[p](x) right[q](x')]`` and its tangent, by modes."""
        raise NotImplementedError

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
        kernel, first = (times(a, b) for a, b in pairs)
        parts = [t for t in (first, times(one.kernel, other.tangent)) if t is not None]
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
        slope_phi = phi.derivative()
        if value.kernel is not None and value.kernel.power < 0:
            for each in (phi,) if tangent is None else (phi, slope_phi):
                require_no_sign(each, left)
        form, slope = (_whole(each.dual_form()) for each in (phi, slope_phi))
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
