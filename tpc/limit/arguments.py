"""Variances and covariances of what nonlinearities are applied to, where it may vanish."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.limit import expressions as ex
from tpc.limit.kinks import is_scale_free, require_no_sign
from tpc.limit.moment import Factor, Key, LimitRefusal, Moment, power_of, require_quiet
from tpc.ops.activations.relu import Relu

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext


def variance(
    context: MomentContext, f: Factor
) -> Generator[Key, Moment, tuple[ex.Expression, Fraction]]:
    """Return the variance of an argument, and its power of the width.

    An argument that vanishes with the width is zero, but for functions that hang on its sign only.
    """
    moment = yield (Factor(*f.entry, f.side), Factor(*f.entry, f.side))
    require_quiet(moment, f.node)
    if moment.is_zero:
        return moment.value, Fraction(0)
    power = power_of(moment.power, f.node)
    if power > 0:
        raise LimitRefusal(
            f"what a nonlinearity is applied to grows like n^{power / 2} with the width",
            f.node,
            "choose a stable parametrization: tpc classify says which weight is too large",
        )
    assert f.activation is not None
    if power < 0 and not is_scale_free(f.activation):
        require_no_sign(f.activation, f.node)
        return ex.number(0), power
    value = moment.value
    return (_positive(value) if f.entry in context.remainders else value), power


def between(
    context: MomentContext, a: Factor, b: Factor, scale: Fraction, scale2: Fraction
) -> Generator[Key, Moment, ex.Expression]:
    """Return the covariance of two arguments whose variances have these powers of the width."""
    moment = yield (Factor(*a.entry, a.side), Factor(*b.entry, b.side))
    require_quiet(moment, a.node)
    if moment.is_zero:
        return moment.value
    level = power_of(moment.power, a.node) == (scale + scale2) / 2
    kept = level and _has_size(a, scale) and _has_size(b, scale2)
    return moment.value if kept else ex.number(0)


def _has_size(f: Factor, scale: Fraction) -> bool:
    """Whether an argument whose variance has this power of the width does not count as zero."""
    return scale == 0 or (f.activation is not None and is_scale_free(f.activation))


def _positive(e: ex.Expression) -> ex.Expression:
    """Return a variance that rounding has not made negative."""
    return ex.at(e.side, _positive(e.inner)) if isinstance(e, ex.At) else ex.applied(Relu(), e)
