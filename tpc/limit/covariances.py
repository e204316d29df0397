"""Covariances of two products with a weight: sums over the entries of it that both meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.exact import Affine
from tpc.limit import expressions as ex
from tpc.limit.forms import Entry, Gaussian, Index
from tpc.limit.moment import (
    NOTHING,
    Factor,
    Moment,
    Rule,
    product,
    scaled,
    total,
    weight_variance,
)
from tpc.limit.transposes import multiplied
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext


def law(form: Gaussian) -> tuple[str, tuple[int, ...]]:
    """Return what makes two Gaussians dependent: the weight, and the axes it is summed along."""
    return (form.param, form.contracted)


def covariance(context: MomentContext, a: Factor, b: Factor) -> Rule:
    """``sigma^2`` times the moments of what one weight is contracted with; zero for two weights."""
    if a.side > b.side:
        a, b = b, a
    g, h = context.form(a.entry), context.form(b.entry)
    assert isinstance(g, Gaussian)
    assert isinstance(h, Gaussian)
    if law(g) != law(h):
        return NOTHING
    variance = weight_variance(context.params[g.param], g.contracted)
    if g.data is not None and h.data is not None:
        if g.data.tokens != h.data.tokens:
            raise MissingRule(a.node, "limit", "one weight on tokens and on numbers")
        if g.weight != h.weight:
            return NOTHING
        pairing = ex.gram(g.data, h.data, a.side != b.side)
        return scaled(Moment(pairing, Affine.of(0)), variance)
    if g.data is not None or h.data is not None:
        return scaled((yield from _with_input(context, a, b)), variance)
    if (g.row is None) != (h.row is None):
        raise MissingRule(a.node, "limit", "a weight whose rows are looked up, and used as a whole")
    found = scaled((yield from _matched(a, b, g.terms, h.terms)), variance)
    if g.row is None or h.row is None:
        return found
    same = ex.gram(g.row, h.row, a.side != b.side)
    return product(Moment(same, Affine.of(0)), found)


def _with_input(context: MomentContext, a: Factor, b: Factor) -> Rule:
    """Return what a weight meets in an input and in other values, summed over its entries."""
    g, h = context.form(a.entry), context.form(b.entry)
    assert isinstance(g, Gaussian)
    assert isinstance(h, Gaussian)
    if g.data is None:
        a, b, g, h = b, a, h, g
    if h.row is not None:
        raise MissingRule(a.node, "limit", "a weight whose rows are looked up, and used as a whole")
    parts = []
    for position, right in h.terms:
        for left in multiplied(context, a.entry, g, position):
            inside = [Factor(*e, a.side) for e in left]
            inside += [Factor(*right, b.side)] if right is not None else []
            parts.append((yield tuple(inside)))
    return total(parts)


def _matched(
    a: Factor,
    b: Factor,
    first: tuple[tuple[Index, Entry | None], ...],
    second: tuple[tuple[Index, Entry | None], ...],
) -> Rule:
    """Return what a weight meets in two sums, summed over its entries."""
    by_position: dict[tuple[int, ...], list[Entry | None]] = {}
    for position, entry in second:
        by_position.setdefault(position, []).append(entry)
    parts = []
    for position, left in first:
        for right in by_position.get(position, ()):
            inside = [Factor(*e, f.side) for e, f in ((left, a), (right, b)) if e is not None]
            parts.append((yield tuple(inside)))
    return total(parts)
