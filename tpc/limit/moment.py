"""Moments and the factors they are moments of."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.limit import expressions as ex

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.limit.forms import Entry
    from tpc.ops.activations import Activation


@dataclass(frozen=True)
class Moment:
    """``n^power * value``; what is of lower order has been dropped.

    ``noise`` bounds the power of what was dropped where that is random (an average over the width
    of mean zero is n^-1/2, not nothing): whoever multiplies by powers of the width later must know.
    None: nothing was.
    """

    value: ex.Expression
    power: Affine
    noise: Affine | None = None

    @property
    def is_zero(self) -> bool:
        """Whether it vanishes identically."""
        return ex.is_zero(self.value)


NOTHING = Moment(ex.number(0), Affine.of(0))


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of an expectation: an entry, or a nonlinearity of it, at x (0) or x' (1)."""

    node: Node
    index: tuple[int, ...]
    side: int
    activation: Activation | None = None

    def __hash__(self) -> int:
        return hash((self.node, self.index, self.side))  # cheap: factors are looked up all the time

    @property
    def entry(self) -> Entry:
        """The entry itself."""
        return (self.node, self.index)

    @property
    def order(self) -> tuple[Any, ...]:
        """Key that sorts the factors of a product."""
        label = "" if self.activation is None else self.activation.label
        return (self.node.id, self.index, self.side, label)


Key = tuple[Factor, ...]
Rule = Generator[Key, Moment, Moment]


class LimitRefusal(Exception):  # noqa: N818 - a fact about a program, reported as a diagnostic
    """A program without such a limit: ``message``, the node it was met at, and what to do."""

    def __init__(self, message: str, node: Node | None = None, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.help = help


class TooMany(LimitRefusal):
    """A derivation by single entries that takes too many of them; another way may serve."""


def nothing(noise: Affine | None) -> Moment:
    """Return a moment that vanishes up to something of this power."""
    return NOTHING if noise is None else Moment(ex.number(0), Affine.of(0), noise)


def scaled(moment: Moment, factor: Coefficient) -> Moment:
    """Return a moment times a coefficient."""
    if factor.is_one or (moment.is_zero and moment.noise is None):
        return moment
    if factor.is_zero:
        return NOTHING
    noise = None if moment.noise is None else moment.noise + factor.power
    if moment.is_zero:
        return nothing(noise)
    return Moment(ex.scale(moment.value, factor.constant), moment.power + factor.power, noise)


def product(*moments: Moment) -> Moment:
    """Return the product of moments."""
    if any(m.is_zero and m.noise is None for m in moments):
        return NOTHING
    first, *rest = moments
    power, noise, vanishes = first.power, first.noise, first.is_zero
    for m in rest:
        own = None if m.is_zero else m.power
        before = None if vanishes else power
        noise = _largest(_plus(noise, own), _plus(m.noise, before), _plus(noise, m.noise))
        vanishes = vanishes or m.is_zero
        power = power + m.power
    if vanishes:
        return nothing(noise)
    return Moment(ex.multiply(*(m.value for m in moments)), power, noise)


def inverse(moment: Moment) -> Moment:
    """Return one over a moment that is no average over two samples."""
    return Moment(_one_over(moment.value), -moment.power)


def _one_over(e: ex.Expression) -> ex.Expression:
    return ex.at(e.side, _one_over(e.inner)) if isinstance(e, ex.At) else ex.root(e, Fraction(-1))


def total(moments: Sequence[Moment]) -> Moment:
    """Return the sum of moments, of which only the leading power of the width is kept."""
    present = [m for m in moments if not m.is_zero]
    if len(moments) == 1:
        return moments[0]
    noise = _largest(*(m.noise for m in moments))
    if not present:
        return nothing(noise)
    top = max(power_of(m.power) for m in present)
    kept = [m.value for m in present if m.power.const == top]
    value = ex.total(kept)
    if ex.is_zero(value):
        return nothing(noise)
    return Moment(value, Affine.of(top), noise)


def _plus(a: Affine | None, b: Affine | None) -> Affine | None:
    return None if a is None or b is None else a + b


def _largest(*powers: Affine | None) -> Affine | None:
    """Return the largest power; None stands for nothing at all."""
    present = [p for p in powers if p is not None]
    if not present or all(p == present[0] for p in present):
        return present[0] if present else None
    distinct = set(present)
    return Affine.of(max(power_of(p) for p in distinct))


def require_quiet(moment: Moment, node: Node | None) -> None:
    """Check that what was dropped vanishes with the width.

    Raises:
        LimitRefusal: it does not: a scalar that stays random takes part.
    """
    if moment.noise is not None and power_of(moment.noise, node) >= 0:
        raise LimitRefusal(
            "a sum over the width stays random in the limit (central limit theorem) and takes part "
            "in a product or a nonlinearity",
            node,
            "divide inner products by n instead of n^(1/2): einsum(...) * n^-1",
        )


def power_of(power: Affine, node: Node | None = None) -> Fraction:
    """Return a power of the width as a number.

    Raises:
        LimitRefusal: it hangs on exponents without a value.
    """
    if not power.is_constant:
        raise LimitRefusal(
            f"the power n^({power}) of the width has no value yet",
            node,
            "give the exponents values: --set a=1/2, or a named parametrization",
        )
    return power.const


def weight_variance(spec: ParamSpec, contracted: tuple[int, ...]) -> Coefficient:
    """Return the variance of an entry of W, times n for every width axis that is summed over."""
    variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2
    for axis in contracted:
        dim = spec.type.dims[axis]
        variance = variance * Coefficient(_block(dim.count), Affine.of(1))
    return variance


def block_size(count: Fraction) -> Coefficient:
    """Return the number of coordinates of one block of a width axis."""
    return Coefficient(_block(count), Affine.of(1))


def _block(count: Fraction) -> Constant:
    """Return the coordinates of one block of an axis of ``count * n``, over n."""
    return Constant.of(count / max(1, int(count)))
