"""Functions that jump, and entries given that what such a function is applied to is at the jump.

The derivative of a function with a jump J at zero has a point mass there: ``E[delta(g) R] =
p(0) E[R | g = 0]`` for a Gaussian g with density p, and given g = 0 every Gaussian h becomes
``h - g Cov(h, g) / Var(g)``.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from tpc.exact import Coefficient, Constant
from tpc.limit.forms import Entry, Form, Function, Gaussian, Mean, Polynomial, Root, constant
from tpc.limit.leaves import centred, resolved
from tpc.limit.moment import Factor, Key, LimitRefusal
from tpc.ops.activations import formula as fm
from tpc.ops.activations.formula.calculus import rebuild
from tpc.ops.activations.formula.nodes import Apply, Formula, Where
from tpc.ops.activations.relu import Relu

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.limit.moments import MomentContext
    from tpc.ops.activations import Activation

ONE, MINUS = Coefficient.of(1), Coefficient.of(-1)
TINY = 1e-12


class NoMassError(Exception):
    """Point masses that are not at zeros of a Gaussian, or that meet further ones."""


@lru_cache(maxsize=1024)
def jumps(phi: Activation) -> bool:
    """Whether phi may jump, so that its derivative has masses at points."""
    return phi.dropped is not None or _has_branches(phi.formula())


def _has_branches(formula: Formula) -> bool:
    return isinstance(formula, Where) or any(_has_branches(e) for e in formula.children)


@lru_cache(maxsize=1024)
def jumps_at_zero(phi: Activation) -> bool:
    """Whether phi jumps at zero, so that its value at something small hangs on the sign of that."""
    return jumps(phi) and abs(phi._at(TINY) - phi._at(-TINY)) > 1e-6


@lru_cache(maxsize=1024)
def is_scale_free(phi: Activation) -> bool:
    """Whether ``phi(c z) = phi(z)`` for all c > 0: one constant below zero, another above."""
    return jumps_at_zero(phi) and phi.kinks() == (0.0,) and phi.derivative().is_zero


def require_no_sign(phi: Activation, node: Node) -> None:
    """Refuse a function that jumps at zero of something that vanishes with the width.

    Raises:
        LimitRefusal: it is such a function.
    """
    if jumps_at_zero(phi):
        raise LimitRefusal(
            f"{phi.label} jumps at zero, and what it is applied to vanishes with the width, but "
            "not its sign",
            node,
            "choose a parametrization in which it does not vanish, e.g. parametrization mup",
        )


@lru_cache(maxsize=1024)
def jump_at_zero(phi: Activation) -> Constant:
    """Return the jump of a function that has none elsewhere.

    Raises:
        NoMassError: it may have one elsewhere, or the jump has no exact form.
    """
    ends = [fm.substitute(_one_side(phi.formula(), side), fm.number(0)) for side in (1, -1)]
    right, left = (end.value if isinstance(end, fm.Number) else None for end in ends)
    if right is None or left is None:
        raise NoMassError
    return right - left


def _one_side(formula: Formula, side: int) -> Formula:
    """Return a formula with its jumps replaced by what they are on one side of zero."""
    if isinstance(formula, Apply) and formula.function.dropped is not None:
        level = formula.function.exact_value(Constant.of(_sign(formula.argument) * side))
        if level is None:
            raise NoMassError
        return fm.number(level)
    if isinstance(formula, Where):
        branch = formula.then if _sign(formula.test) * side > 0 else formula.otherwise
        return _one_side(branch, side)
    return rebuild(formula, lambda child: _one_side(child, side))


def _sign(argument: Formula) -> int:
    """Return the sign of c of an argument c z."""
    powers = fm.polynomial(argument)
    if powers is None or len(powers) != 2 or not powers[0].is_zero:
        raise NoMassError
    return powers[1].sign


def given_zero(context: MomentContext, entry: Entry, g: Entry) -> Entry:
    """Return an entry given that a Gaussian vanishes.

    Raises:
        NoMassError: it jumps there itself.
    """
    from tpc.limit.slopes import hats

    if resolved(context, entry) != g and not hats(context, entry):
        return entry
    if (entry, g) not in context.given:
        found = context.part(entry, _given(context, entry, g))
        context.given[entry, g] = found
        context.remainders[found] = (entry, g)
    return context.given[entry, g]


def _given(context: MomentContext, entry: Entry, g: Entry) -> Form:
    if resolved(context, entry) == g:
        return Polynomial(())
    form = context.form(entry)
    if isinstance(form, Gaussian):
        shared = context.part(entry, Mean(((ONE, (entry, g)),)))
        less = (MINUS, (shared, _inverse_variance(context, g), g))
        return Polynomial(((ONE, (entry,)), less))
    if isinstance(form, Polynomial):
        return Polynomial(
            tuple(
                (c, tuple(given_zero(context, e, g) for e in entries)) for c, entries in form.terms
            )
        )
    if isinstance(form, Function):
        inner = given_zero(context, form.entry, g)
        if jumps(form.activation) and context.form(inner) == Polynomial(()):
            raise NoMassError
        level = form.activation.value_at_zero
        if level is not None and context.form(inner) == Polynomial(()):
            return constant(Coefficient.of(level))
        return Function(form.activation, inner)
    if isinstance(form, Root):
        return Root(given_zero(context, form.entry, g), form.exponent)
    raise NoMassError


def remainders(context: MomentContext, factors: Key) -> Key | None:
    """Return a covariance given that a Gaussian vanishes with one side taken as it was.

    The other is independent of that Gaussian: ``Cov(h - a g, h' - a' g) = Cov(h - a g, h')``.
    """
    if len(factors) != 2 or any(f.activation is not None for f in factors):
        return None
    before, after = (context.remainders.get(f.entry) for f in factors)
    if before is None or after is None or before[1] != after[1]:
        return None
    if factors[0].side != factors[1].side or not all(
        centred(context, e) for e in (before[0], after[0])
    ):
        return None
    return (factors[0], Factor(*after[0], factors[1].side))


def _inverse_variance(context: MomentContext, g: Entry) -> Entry:
    variance = context.part(g, Mean(((ONE, (g, g)),)))
    return context.part(g, Root(variance, Fraction(-1)))


def density(context: MomentContext, g: Entry) -> tuple[Entry, ...]:
    """Return numbers whose product is a Gaussian's density at zero: ``E[relu(g)] / Var(g)``."""
    positive = context.part(g, Function(Relu(), g))
    return context.part(g, Mean(((ONE, (positive,)),))), _inverse_variance(context, g)
