r"""A bound on the global norm of gradients, as equations.

The gradients g of the trainable tensors of a group are multiplied by ``min(1, bound / norm)``, with
``norm^2`` the sum of squares of all their entries: ``n E[(Z^g)^2]`` for a vector (law of large
numbers), and for a matrix of outer products ``sum_r u_r v_r^T`` the sum over pairs of
``n^2 E[Z^{u_r} Z^{u_s}] E[Z^{v_r} Z^{v_s}]``. Only terms of the largest power of n count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.derivation.optimizing import Line, Stepping, refused
from tpc.derivation.sheet import Sheet, Step
from tpc.derivation.symbols import (
    ONE,
    ZERO,
    Entry,
    Expression,
    Label,
    Power,
    Symbol,
    fresh,
    mean,
    number,
    of,
    relabelled,
    times,
)
from tpc.feature.value import Exponent, largest, plus

if TYPE_CHECKING:
    from tpc.derivation.walking import Walk
    from tpc.ir.node import Node


@dataclass(frozen=True, eq=False)
class Bound:
    """One bound on the common norm of the gradients of ``weights``; ``suffix`` tells it apart."""

    weights: tuple[Stepping, ...]
    suffix: str

    @property
    def name(self) -> str:
        """The factor's name."""
        return f"clip{self.suffix}"

    def equations(self, walk: Walk, gradients: dict[str, Node]) -> Iterator[Line]:
        """Yield the norm of a step's gradients, and the factor by which they are multiplied.

        Raises:
            TpcError: the bound is of lower order than the norm.
        """
        first = self.weights[0]
        assert first.settings.clip is not None
        parts = {each.name: _power(walk, each, gradients[each.name]) for each in self.weights}
        power, level = largest(*parts.values()), first.settings.clip.power.const
        if power is not None and 2 * level < power:
            raise refused(first.module, first.name, "a bound on gradients below their order")
        at = walk.now
        factor = Symbol(self.name, "scalar", at)
        if power is None or 2 * level > power:
            yield factor, number(ONE), "clip"
            return
        total = ZERO
        for each in self.weights:
            if parts[each.name] == power:
                total = total + _square(walk, each, gradients[each.name])
        norm = Symbol(f"norm{self.suffix}", "scalar", at)
        yield norm, ZERO if total.is_zero else of(Power(total, Fraction(1, 2))), "Moment"
        if total.is_zero:
            yield factor, number(ONE), "clip"
            return
        bound = times(of(first.bound), of(Power(of(norm), Fraction(-1))))
        yield factor, of(Entry("min", (number(ONE), bound))), "clip"


def bounds(stepping: dict[str, Stepping]) -> dict[str, Bound]:
    """Return the bound that each weight's gradient is subject to, by the weight's name."""
    clipped = [each.settings for each in stepping.values() if each.settings.clip is not None]
    groups = dict.fromkeys(each.group for each in clipped)
    found: dict[str, Bound] = {}
    for place, group in enumerate(groups):
        members = tuple(stepping[name] for name in group)
        bound = Bound(members, str(place + 1) if len(groups) > 1 else "")
        found |= {each.name: bound for each in members}
    return found


def _power(walk: Walk, each: Stepping, node: Node) -> Exponent:
    """Return the power of n of the sum of squares of one gradient."""
    shift = 2 * each.spec.multiplier.power.const
    sheet = walk.sheet(node)
    if sheet is None:
        size = walk.powers.of(node)
        return plus(size, size, node.type.sort, shift)
    size = largest(*(term.sample.size for term in sheet.terms if isinstance(term, Step)))
    return plus(size, size, 2, shift)


def _square(walk: Walk, each: Stepping, node: Node) -> Expression:
    sheet = walk.sheet(node)
    if sheet is not None:
        found = _matrix(sheet)
    else:
        gradient = walk.entry(node)
        axes = [label for label in walk.axes[node] if label is not None]
        found = mean(times(gradient, gradient)).summed(*axes)
    return found.scaled(each.spec.mult**2)


def _matrix(sheet: Sheet) -> Expression:
    total = ZERO
    for one in sheet.terms:
        for other in sheet.terms:
            assert isinstance(one, Step)
            assert isinstance(other, Step)
            labels: dict[Label, Label] = {
                label: fresh("sample" if label.kind == "sample" else "axis")
                for label in other.bound
            }
            left = mean(times(one.left, relabelled(other.left, labels)))
            right = mean(times(one.right, relabelled(other.right, labels)))
            pair = times(left, right).scaled(one.constant * other.constant)
            total = total + pair.summed(*one.bound, *labels.values())
    return total
