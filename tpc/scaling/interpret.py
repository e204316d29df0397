"""What the ops' rules for exponents are written in: sums, products, contractions, functions.

An op's method ``exponents(node, sizes, context)`` gets the sizes of its operands and returns that
of its result in terms of the methods of :class:`ScalingContext`. Rules are monotone maps of
(value at initialisation) + (change by training); the context sees to the two parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING

from tpc.exact import AffineLike, Coefficient, Constant
from tpc.ops.base import MissingRule
from tpc.scaling.characters import TRIVIAL, Coset, coset
from tpc.scaling.contraction import contract_values
from tpc.scaling.domain import Domain
from tpc.scaling.entries import hadamard
from tpc.scaling.nonlinear import Shape, nonlinear
from tpc.scaling.outer import Outer, Weight
from tpc.scaling.state import Size, Value, join, nothing
from tpc.scaling.terms import ZERO, Terms
from tpc.scaling.tropical import INFINITE, Number, Tropical

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.ops.activations.base import Activation
    from tpc.scaling.aligned import Aligned

PREACTIVATION = "preactivation"
SCORE = "score"
NORMALISED = "normalised"
OUTPUT = "output"
_ZERO = Constant.of(0)


@dataclass(frozen=True)
class Judged:
    """A value that something consumes which minds its scale: its exponents there.

    ``kind`` is "preactivation" (must be of order one), "score" (a softmax, a loss or a function of
    scalars: must not blow up), "normalised" (``init`` is what is divided by, ``change`` relative to
    it) or "output".
    """

    node: Node
    kind: str
    init: Tropical
    change: Tropical


class ScalingContext:
    """The state of an abstract run, as the ops' rules see it."""

    def __init__(
        self, domain: Domain, params: Mapping[str, ParamSpec], aligned: Aligned | None = None
    ) -> None:
        self.domain = domain
        self.params = params
        self.aligned = aligned or {}
        self.judged: dict[Node, Judged] = {}
        self.changes: dict[str, Value] = {}
        self._characters: dict[str, Coset] = {}
        for name, spec in params.items():
            if spec.init == "normal":
                # every other one: the bits between are those of squares of weights
                self._characters[name] = coset(1 << 2 * len(self._characters))
        self._initial: dict[str, Value] = {}
        self._known: dict[Node, Value] = {}

    def scratch(self) -> ScalingContext:
        """Return a context in which rules may be asked about other sizes, without trace."""
        other = copy(self)
        other.judged, other._known = {}, {}
        return other

    # -- leaves ----------------------------------------------------------------------------------

    def param(self, name: str) -> Size:
        """Return a weight: its initial value and what training has added so far."""
        if name not in self._initial:
            self._initial[name] = self._initial_weight(self.params[name])
        return Size(self._initial[name], self.changes[name])

    def start_at(self, name: str, value: Value) -> None:
        """Let a weight begin with this value, e.g. where training has brought it."""
        self._initial[name] = value

    def _initial_weight(self, spec: ParamSpec) -> Value:
        sort = spec.type.sort
        if spec.init == "zero":
            return nothing(sort)
        if spec.init == "one":
            return self._constant(0, sort)
        entry = self.domain.exponent(spec.entry_exponent)
        character = self._characters[spec.name]
        if sort > 1:
            return Outer.weight(Weight(spec.name, character), entry)
        # a weight without a width axis only enters through its size, like every scalar
        return Terms.single(character if sort else TRIVIAL, entry)

    def constant(self, node: Node, coefficient: Coefficient | None = None) -> Size:
        """Return data, or a tensor of equal entries: the same before and after training."""
        sort = node.type.sort
        if coefficient is not None and coefficient.is_zero:
            return Size(nothing(sort), nothing(sort))
        power = -coefficient.power if coefficient is not None else 0
        return Size(self._constant(power, sort), nothing(sort))

    def _constant(self, exponent: AffineLike, sort: int) -> Value:
        size = Terms.single(TRIVIAL, self.domain.exponent(exponent))
        return Outer.of(size, Terms.single(TRIVIAL, 0)) if sort > 1 else size

    # -- linear maps -----------------------------------------------------------------------------

    def scaled(self, size: Size, exponent: AffineLike) -> Size:
        """Return the value times n^-exponent."""
        if exponent == 0:
            return size
        by = self.domain.exponent(exponent)
        return Size(size.init.shift(by), size.change.shift(by))

    def step(self, size: Size, param: str) -> Size:
        """Return the step that a gradient makes: times n^(-2a - c) of the weight."""
        spec = self.params[param]
        return self.scaled(size, spec.exponent("a") * 2 + spec.exponent("c"))

    def sum(self, node: Node, sizes: Sequence[Size]) -> Size:
        """Return a sum, or values put side by side: every term of any of them."""
        if any(size.is_matrix != (node.type.sort > 1) for size in sizes):
            raise MissingRule(node, "scaling", "a vector or scalar is repeated as a matrix")
        init = reduce(join, (size.init for size in sizes))
        return Size(init, reduce(join, (size.change for size in sizes)))

    def same(self, node: Node, size: Size) -> Size:
        """Return a value whose finite axes alone have changed."""
        if size.is_matrix != (node.type.sort > 1):
            raise MissingRule(node, "scaling", "it changes the number of width axes")
        return size

    def transposed(self, size: Size) -> Size:
        """Return a matrix with its width axes exchanged."""
        assert isinstance(size.init, Outer)
        assert isinstance(size.change, Outer)
        return Size(size.init.transposed, size.change.transposed)

    # -- products --------------------------------------------------------------------------------

    def bilinear(
        self, node: Node, x: Size, y: Size, product: Callable[[Value, Value], Value]
    ) -> Size:
        """Return a bilinear map: the parts of the operands combine."""
        init = self._known.get(node)
        if init is None:
            init = self._known[node] = self.domain.simplify(product(x.init, y.init))
        change = nothing(node.type.sort)
        for left, right in ((x.init, y.change), (x.change, y.total)):
            if left and right:
                change = join(change, self.domain.simplify(product(left, right)))
        return Size(init, change)

    def product(self, node: Node, x: Size, y: Size) -> Size:
        """Return the elementwise product of values whose axes are matched from the last one."""
        labels = tuple(range(node.type.rank))
        left, right = (labels[len(labels) - o.type.rank :] for o in node.operands)
        return self.contraction(node, x, y, left, right, labels)

    def contraction(
        self,
        node: Node,
        x: Size,
        y: Size,
        left: tuple[int, ...],
        right: tuple[int, ...],
        out: tuple[int, ...],
    ) -> Size:
        """Return the contraction whose axes are labelled: only labels of width axes matter."""
        rows, columns = (
            tuple(labels[axis] for axis in operand.type.width_axes)
            for labels, operand in zip((left, right), node.operands, strict=True)
        )
        widths = {*rows, *columns}
        kept = tuple(label for label in out if label in widths)
        half = self.domain.half

        def combine(a: Value, b: Value, full: Number | None = None) -> Value:
            found = contract_values(a, b, rows, columns, kept, half, full)
            if found is None:
                raise MissingRule(node, "scaling", "products of more than two width axes")
            return found

        if node in self.aligned:
            return self._less_aligned(node, x, y, combine)
        return self.bilinear(node, x, y, combine)

    def _less_aligned(
        self, node: Node, x: Size, y: Size, product: Callable[[Value, Value, Number | None], Value]
    ) -> Size:
        """Return a weight's product with what it reads, where less than full alignment is assumed.

        Sums over the width of what training has changed gain the assumed exponents.
        """
        side, assumed = self.aligned[node]
        first, last = assumed.omega, assumed.alpha
        omega, alpha = (first, last) if side == 0 else (last, first)
        change = nothing(node.type.sort)
        for left, right, exponent in (
            (x.init, y.change, omega),
            (x.change, y.init, alpha),
            (x.change, y.change, assumed.u),
        ):
            if left and right:
                full = self.domain.exponent(exponent).number
                change = join(change, self.domain.simplify(product(left, right, full)))
        init = self.domain.simplify(product(x.init, y.init, None))
        return Size(init, change)

    def width_sum(self, node: Node, size: Size, axes: tuple[int, ...]) -> Size:
        """Return the sum over axes of a value: over a width, the inner product with ones."""
        (operand,) = node.operands
        widths = operand.type.width_axes
        half = self.domain.half
        ones = Terms.single(TRIVIAL, 0)

        def reduce_(value: Value) -> Value:
            for label in widths:
                if label in axes:
                    left = tuple(w for w in widths if w >= label or w not in axes)
                    kept = tuple(w for w in left if w != label)
                    found = contract_values(value, ones, left, (label,), kept, half)
                    assert found is not None
                    value = found
            return value

        return Size(reduce_(size.init), reduce_(size.change))

    def repeated(self, node: Node, size: Size) -> Size:
        """Return a value repeated along new axes."""
        (operand,) = node.operands
        if operand.type.sort == node.type.sort or node.type.sort < 2:
            return size
        if size.is_matrix or operand.type.sort > 1:
            raise MissingRule(node, "scaling", "it has more than two width axes")
        new = {position for position, _ in node.attrs["axes"]}
        ones = Terms.single(TRIVIAL, 0)
        first = node.type.width_axes[0]

        def outer(value: Value) -> Value:
            assert isinstance(value, Terms)
            return Outer.of(ones, value) if first in new else Outer.of(value, ones)

        return Size(outer(size.init), outer(size.change))

    # -- functions -------------------------------------------------------------------------------

    def apply(self, node: Node, size: Size, activation: Activation) -> Size:
        """Return phi of a value, coordinate by coordinate, and judge what it consumes."""
        value = activation.exact_value(_ZERO)
        vanishes = activation.parity == "odd" or (value is not None and value.is_zero)
        kind = PREACTIVATION if node.operands[0].type.sort else SCORE
        return self.function(node, size, Shape(activation.parity, vanishes), kind)

    def softmax(self, node: Node, size: Size) -> Size:
        """Return a smooth function of scores: they must not blow up, and may vanish."""
        return self.function(node, size, Shape(), SCORE)

    def function(self, node: Node, size: Size, shape: Shape, kind: str) -> Size:
        """Return a nonlinear function of a value, and judge what it consumes."""
        init, change = _terms(node, size)
        self.judge(node.operands[0], kind, init.smallest, change.smallest)
        return Size(*nonlinear(init, change, shape, self.domain))

    def power(self, node: Node, size: Size, exponent: Fraction) -> Size:
        """Return a power: of a whole positive exponent by products, else relative to its size."""
        if exponent.denominator == 1 and exponent > 0:
            return self._whole_power(size, int(exponent))
        init, change = _terms(node, size)
        if not init:
            self.judge(node.operands[0], NORMALISED, INFINITE, INFINITE)
            return Size(ZERO, ZERO)
        base = self.domain.single(init.smallest)
        inverse = self.domain.difference(Tropical.constant(0), base)
        relative = (init.shift(inverse), change.shift(inverse))
        self.judge(node.operands[0], NORMALISED, base, relative[1].smallest)
        parts = nonlinear(*relative, Shape(_parity(exponent)), self.domain)
        by = base * exponent if exponent > 0 else inverse * -exponent
        return Size(parts[0].shift(by), parts[1].shift(by))

    def _whole_power(self, size: Size, exponent: int) -> Size:
        power, moved, total = size.init, size.change, size.total
        for _ in range(exponent - 1):
            moved = join(_times(moved, total), _times(power, size.change))
            power = _times(power, size.init)
        return Size(power, moved)

    def judge(self, node: Node, kind: str, init: Tropical, change: Tropical) -> None:
        """Note the exponents of a value that is consumed, and where they must lie."""
        self.judged[node] = Judged(node, kind, init, change)
        if kind == PREACTIVATION:
            self.domain.require_zero(init)
        elif kind != NORMALISED:
            self.domain.require_nonnegative(init)
        self.domain.require_nonnegative(change)


def _times(x: Value, y: Value) -> Value:
    """Return a product entry by entry."""
    if isinstance(x, Terms) and isinstance(y, Terms):
        return x * y
    assert isinstance(x, Outer)
    assert isinstance(y, Outer)
    return hadamard(x, y)


def _terms(node: Node, size: Size) -> tuple[Terms, Terms]:
    if not isinstance(size.init, Terms) or not isinstance(size.change, Terms):
        raise MissingRule(node, "scaling", "it is applied to the entries of a matrix")
    return size.init, size.change


def _parity(exponent: Fraction) -> str:
    if exponent.denominator != 1:
        return "none"
    return "odd" if exponent.numerator % 2 else "even"
