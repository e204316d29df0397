"""Values that are numbers in the limit: averages over the width, and functions of them.

A number depends on the sample, not on the weights: the law of large numbers makes an inner product
over n coordinates ``n E[Z^u Z^v]`` up to fluctuations of relative size n^(-1/2). Where the
expectation vanishes, the fluctuations are all there is; their power of the width is kept as the
moment's ``noise``, so that a program in which they matter is refused.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Affine, Coefficient, Constant
from tpc.limit import expressions as ex
from tpc.limit.forms import (
    Data,
    Entry,
    Form,
    Function,
    Gaussian,
    Mask,
    Mean,
    Polynomial,
    Root,
    Share,
)
from tpc.limit.kinks import require_no_sign
from tpc.limit.moment import (
    NOTHING,
    Factor,
    LimitRefusal,
    Moment,
    power_of,
    product,
    require_quiet,
    scaled,
    total,
)
from tpc.limit.reduction import DATA
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.limit.moments import MomentContext
    from tpc.ops.activations import Activation

HALF = Fraction(1, 2)


def is_number(context: MomentContext, entry: Entry) -> bool:
    """Whether an entry is a number in the limit: no weight makes it random."""
    return context.sources(entry) <= {DATA}


def number(context: MomentContext, entry: Entry, phi: Activation | None = None) -> Moment:
    """Return a number, or phi of it, as an expression of its sample.

    Raises:
        LimitRefusal: it is a function of something that stays random, or that grows.
        MissingRule: the entry is no number.
    """
    key = (entry, phi)
    if key not in context.numbers:
        found = _value(context, entry, context.form(entry))
        context.numbers[key] = found if phi is None else _applied(phi, found, entry[0])
    return context.numbers[key]


def _value(context: MomentContext, entry: Entry, form: Form) -> Moment:
    match form:
        case Polynomial(terms=terms):
            return total([_term(context, c, entries) for c, entries in terms])
        case Data(name=name, place=place):
            return Moment(ex.value(ex.Slice(name, place)), Affine.of(0))
        case Function(activation=phi, entry=inner):
            return number(context, inner, phi)
        case Mean(terms=terms):
            return total([_mean(context, c, entries) for c, entries in terms])
        case Root(entry=inner, exponent=exponent):
            return _root(number(context, inner), exponent, entry[0])
        case Share():
            return _share(context, form, entry[0])
        case Gaussian() | Mask():
            raise MissingRule(entry[0], "limit", "it stays random in the limit")


def _term(context: MomentContext, coefficient: Coefficient, entries: tuple[Entry, ...]) -> Moment:
    one = Moment(ex.number(1), Affine.of(0))
    return scaled(product(one, *(number(context, e) for e in entries)), coefficient)


def _mean(context: MomentContext, size: Coefficient, entries: tuple[Entry, ...]) -> Moment:
    """``size * E[product]``, with the power of its fluctuations."""
    factors = tuple(Factor(*e, 0) for e in entries)
    found = scaled(context.expectation(factors, cross=False), size)
    power = size.power - HALF
    for e in entries:
        if isinstance(context.form(e), Function):
            continue  # its argument does not grow, so neither does it
        own = context.moment(e, e, cross=False)
        powers = [power_of(p) for p in (None if own.is_zero else own.power, own.noise) if p]
        if own.is_zero and own.noise is None:
            return found
        power = power + HALF * max(powers, default=Fraction(0))
    return total([found, Moment(ex.number(0), Affine.of(0), power)])


def _bounded(moment: Moment, node: Node) -> ex.Expression:
    """Return the value of a number that a function is applied to; zero where it vanishes."""
    require_quiet(moment, node)
    if moment.is_zero:
        return moment.value
    power = power_of(moment.power, node)
    if power > 0:
        raise LimitRefusal(
            f"what a nonlinearity is applied to grows like n^{power} with the width",
            node,
            "choose a stable parametrization: tpc classify says which weight is too large",
        )
    return moment.value if power == 0 else ex.number(0)


def _error(*moments: Moment) -> Affine | None:
    """Return a bound of the power of what a function of numbers drops."""
    powers = [m.noise for m in moments if m.noise is not None]
    powers += [m.power for m in moments if not m.is_zero and m.power != Affine.of(0)]
    return max(powers, key=power_of, default=None)


def _applied(phi: Activation, inner: Moment, node: Node) -> Moment:
    small = inner.noise is not None if inner.is_zero else power_of(inner.power, node) < 0
    if small:
        require_no_sign(phi, node)
    value = ex.applied(phi, _bounded(inner, node))
    return Moment(value, Affine.of(0), _error(inner))


def _root(inner: Moment, exponent: Fraction, node: Node) -> Moment:
    if inner.is_zero:
        raise vanishing_base(node)
    value = ex.root(inner.value, exponent)
    power = inner.power * exponent
    noise = None if inner.noise is None else power + inner.noise - inner.power
    return Moment(value, power, noise)


def vanishing_base(node: Node) -> LimitRefusal:
    """Return the refusal of a negative or fractional power of something that vanishes."""
    return LimitRefusal(
        "a quotient by, or a root of, a value that vanishes in the limit",
        node,
        "add a constant under the root (eps), or choose a parametrization in which it does not",
    )


def _share(context: MomentContext, form: Share, node: Node) -> Moment:
    scores = [number(context, e) for e in form.scores]
    masks = [number(context, e) for e in form.masks]
    for score in scores:
        if score.noise is not None and power_of(score.noise, node) >= 0:
            raise LimitRefusal(
                "the scores of a softmax stay random in the limit (inner products over the width "
                "divided by n^(1/2), or not at all)",
                node,
                "expectations over random scores are not supported yet; divide by n: * n^-1",
            )
    value = ex.share(
        form.position,
        tuple(_bounded(s, node) for s in scores),
        tuple(ex.number(1) if _is_one(m) else _bounded(m, node) for m in masks),
    )
    if ex.is_zero(value):
        return NOTHING
    return Moment(value, Affine.of(0), _error(*scores))


def _is_one(mask: Moment) -> bool:
    """Whether a mask keeps its position whatever the sample: a constant that is not zero."""
    return isinstance(mask.value, ex.Number) and mask.value.value != Constant.of(0)
