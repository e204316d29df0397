"""Expectations of products that no rule makes smaller: an integrand over Gaussians.

The integrand follows the forms of the entries down to entries that are Gaussian; numbers of the
samples enter it as they are. Gaussians without correlation split it.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Affine, Constant
from tpc.limit import expressions as ex
from tpc.limit.expectation import Recorder, expectation, renumbered
from tpc.limit.fluctuations import fluctuates
from tpc.limit.forms import Entry, Function, Polynomial, Root, Share
from tpc.limit.kinks import is_scale_free, require_no_sign
from tpc.limit.leaves import centred, operands, resolved, split
from tpc.limit.moment import (
    NOTHING,
    Factor,
    Key,
    LimitRefusal,
    Moment,
    Rule,
    power_of,
    product,
    require_quiet,
)
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext
    from tpc.ops.activations import Activation

MAX_DIMENSION = 128
"""Gaussians that one expectation may have."""
Variable = tuple[Entry, int]
Sized = tuple[int | None, Fraction]
"""A step of the tape (None: zero) and the power of the width that it is to be multiplied by."""


def general(context: MomentContext, factors: Key) -> Rule:
    """Return the expectation of a product as an integral over the Gaussians underneath.

    Raises:
        MissingRule: a factor is a function of something else than Gaussians and numbers.
        LimitRefusal: a nonlinearity's argument grows with the width, or there are too many.
    """
    found = [_variables(context, f) for f in factors]
    leaves = list(dict.fromkeys(v for gaussians, _ in found for v in gaussians))
    numbers = list(dict.fromkeys(v for _, numbers in found for v in numbers))
    if len(leaves) > MAX_DIMENSION:
        raise LimitRefusal(
            f"an expectation over {len(leaves)} correlated Gaussians", factors[0].node
        )
    covariance = yield from _covariances(context, leaves, factors[0])
    parts = _components(factors, [set(gaussians) for gaussians, _ in found], covariance)
    if len(parts) > 1:
        found_product = Moment(ex.number(1), Affine.of(0))
        for part in parts:
            found_product = product(found_product, (yield part))
        return found_product
    values = {}
    for entry, side in numbers:
        values[entry, side] = yield (Factor(*entry, side),)
    return _integral(context, factors, covariance, values)


def _variables(context: MomentContext, factor: Factor) -> tuple[list[Variable], list[Variable]]:
    """Return the Gaussians and the numbers that a factor is a function of."""
    from tpc.limit.numbers import is_number

    gaussians: dict[Variable, None] = {}
    numbers: dict[Variable, None] = {}
    todo, seen = [factor.entry], {factor.entry}
    while todo:
        entry = todo.pop()
        if fluctuates(context, entry):
            gaussians[entry, factor.side] = None
        if is_number(context, entry):
            numbers[entry, factor.side] = None
            continue
        if centred(context, entry):
            gaussians[resolved(context, entry), factor.side] = None
            continue
        form = context.form(entry)
        below = list(operands(form))
        if isinstance(form, Polynomial):
            part, rest = split(context, entry)
            below = [e for _, entries in rest for e in entries]
            below += [part] if part is not None else []
        elif not isinstance(form, (Function, Root, Share)):
            raise MissingRule(
                factor.node, "limit", "a nonlinearity of random masks, or of part of them"
            )
        fresh = [e for e in dict.fromkeys(below) if e not in seen]
        seen.update(fresh)
        todo += reversed(fresh)
    return list(gaussians), list(numbers)


Covariance = dict[tuple[Variable, Variable], Moment]


def _covariances(
    context: MomentContext, leaves: list[Variable], factor: Factor
) -> Generator[Key, Moment, Covariance]:
    found: Covariance = {}
    for (a, s), (b, t) in itertools.combinations_with_replacement(leaves, 2):
        if fluctuates(context, a) != fluctuates(context, b):
            found[(a, s), (b, t)] = found[(b, t), (a, s)] = NOTHING
            continue
        moment = yield (Factor(*a, s), Factor(*b, t))
        require_quiet(moment, factor.node)
        found[(a, s), (b, t)] = found[(b, t), (a, s)] = moment
    return found


def _components(
    factors: Key, gaussians: list[set[Variable]], covariance: Covariance
) -> list[tuple[Factor, ...]]:
    """Split factors into groups whose Gaussians are not correlated."""
    groups: list[tuple[set[Variable], list[Factor]]] = []
    for f, own in zip(factors, gaussians, strict=True):
        members, mine, rest = [f], set(own), []
        for theirs, others in groups:
            if any(a == b or not covariance[a, b].is_zero for a in mine for b in theirs):
                mine |= theirs
                members = others + members
            else:
                rest.append((theirs, others))
        groups = [*rest, (mine, members)]
    return [tuple(members) for _, members in groups]


class _Integrand:
    """Writes the product of the factors as a tape."""

    def __init__(
        self,
        context: MomentContext,
        leaves: dict[Variable, Fraction],
        numbers: dict[Variable, Moment],
    ) -> None:
        self.context = context
        self.recorder = Recorder()
        self.leaves = leaves
        self.numbers = numbers
        self.places = {v: i for i, v in enumerate(leaves)}
        self.scalars: dict[ex.Expression, int] = {}
        self._known: dict[Variable, Sized] = {}

    def entry(self, entry: Entry, side: int) -> Sized:
        """Return an entry's step."""
        key = (entry, side)
        if key not in self._known:
            self._known[key] = self._entry(entry, side)
        return self._known[key]

    def _entry(self, entry: Entry, side: int) -> Sized:
        moment = self.numbers.get((entry, side))
        if moment is not None and (entry, side) in self.places:
            return self._around(moment, entry, side)
        if moment is not None:
            return self._number(moment, entry)
        if centred(self.context, entry):
            leaf = (resolved(self.context, entry), side)
            return self.recorder.step("leaf", self.places[leaf]), self.leaves[leaf]
        form = self.context.form(entry)
        match form:
            case Polynomial():
                return self._sum(entry, side)
            case Function(activation=phi, entry=inner):
                argument = self.level(self.entry(inner, side), entry, phi)
                return self.recorder.step("apply", phi, argument), Fraction(0)
            case Root(entry=inner, exponent=exponent):
                base, power = self.entry(inner, side)
                if base is None:
                    raise LimitRefusal("a quotient by a value that vanishes", entry[0])
                return self.recorder.power(base, exponent), power * exponent
            case Share(position=position, scores=scores, masks=masks):
                places = [self.level(self.entry(e, side), entry) for e in (*scores, *masks)]
                data = (position, len(scores))
                return self.recorder.step("share", data, *places), Fraction(0)
        raise MissingRule(entry[0], "limit", "a nonlinearity of random masks")

    def _around(self, moment: Moment, entry: Entry, side: int) -> Sized:
        """Return a number with its fluctuation."""
        leaf = self.recorder.step("leaf", self.places[entry, side])
        place, power = self._number(replace(moment, noise=None), entry)
        if place is None or power < 0:
            return leaf, Fraction(0)
        return self._linear([(ex.ONE, place), (ex.ONE, leaf)]), power

    def _number(self, moment: Moment, entry: Entry) -> Sized:
        require_quiet(moment, entry[0])
        if moment.is_zero:
            return None, Fraction(0)
        power = power_of(moment.power, entry[0])
        value = moment.value
        if isinstance(value, ex.Number):
            return self.recorder.number(value.value), power
        place = self.scalars.setdefault(value, len(self.scalars))
        return self.recorder.step("scalar", place), power

    def _sum(self, entry: Entry, side: int) -> Sized:
        part, rest = split(self.context, entry)
        found: list[tuple[Fraction, Constant, int]] = []
        if part is not None:
            place, power = self.entry(part, side)
            if place is not None:
                found.append((power, ex.ONE, place))
        for coefficient, entries in rest:
            factors = [self.entry(e, side) for e in entries]
            if any(place is None for place, _ in factors) or coefficient.is_zero:
                continue
            power = power_of(coefficient.power, entry[0]) + sum(p for _, p in factors)
            places = [place for place, _ in factors if place is not None]
            one = self.recorder.number(ex.ONE)
            product = self.recorder.product(*places) if places else one
            found.append((power, coefficient.constant, product))
        if not found:
            return None, Fraction(0)
        top = max(power for power, _, _ in found)
        return self._linear([(c, p) for power, c, p in found if power == top]), top

    def _linear(self, terms: list[tuple[Constant, int]]) -> int:
        constant = ex.ZERO
        kept = []
        for coefficient, place in terms:
            kind, data, _ = self.recorder.steps[place]
            if kind == "number":
                constant = constant + coefficient * data
            else:
                kept.append((coefficient, place))
        return self.recorder.sum(constant, kept)

    def level(self, sized: Sized, entry: Entry, phi: Activation | None = None) -> int:
        """Return the step of an argument of a nonlinearity, which must not grow."""
        place, power = sized
        if place is not None and power > 0:
            raise LimitRefusal(
                f"what a nonlinearity is applied to grows like n^{power} with the width",
                entry[0],
                "choose a stable parametrization: tpc classify says which weight is too large",
            )
        if place is not None and power < 0 and phi is not None:
            if is_scale_free(phi):
                return place
            require_no_sign(phi, entry[0])
        return self.recorder.number(ex.ZERO) if place is None or power < 0 else place


def _integral(
    context: MomentContext, factors: Key, covariance: Covariance, numbers: dict[Variable, Moment]
) -> Moment:
    powers: dict[Variable, Fraction] = {}
    for (a, b), moment in covariance.items():
        if a == b:
            powers[a] = Fraction(0) if moment.is_zero else power_of(moment.power) / 2
    integrand = _Integrand(context, powers, numbers)
    total = Fraction(0)
    places = []
    for f in factors:
        place, power = integrand.entry(f.entry, f.side)
        if f.activation is not None:
            place = integrand.level((place, power), f.entry, f.activation)
            place, power = integrand.recorder.step("apply", f.activation, place), Fraction(0)
        if place is None:
            return NOTHING
        places.append(place)
        total += power
    tape, used, scalars = renumbered(integrand.recorder.tape(integrand.recorder.product(*places)))
    leaves, values = list(powers), list(integrand.scalars)
    kept = [leaves[i] for i in used]
    numbering: dict[Entry, int] = {}
    sides = tuple((side, numbering.setdefault(entry, len(numbering))) for entry, side in kept)
    table = []
    for i, a in enumerate(kept):
        for b in kept[i:]:
            moment = covariance[a, b]
            level = not moment.is_zero and power_of(moment.power) == powers[a] + powers[b]
            table.append(moment.value if level else ex.number(0))
    value = expectation(tape, tuple(values[i] for i in scalars), tuple(table), sides)
    return Moment(value, Affine.of(total))
