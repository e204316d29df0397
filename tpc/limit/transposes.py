"""What a weight owes to its transpose: Zdot terms of the master theorem.

``W' y`` is a Gaussian plus ``sigma^2 sum over W x in the history of y of x E[dy / d(W x)]``, W with
entries of variance sigma^2 / n: y sees the same entries of W that meet it here (Yang 2020, tensor
programs III). The Gaussian is independent of those of W. The expectations are numbers, the x are
entries from before, so the sum is a polynomial of entries. The expected derivatives are those of
:mod:`tpc.limit.slopes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpc.exact import Coefficient
from tpc.limit.contraction import PLACE, is_token
from tpc.limit.forms import Data, Entry, Form, Gaussian, Index, Polynomial
from tpc.limit.moment import LimitRefusal, weight_variance
from tpc.limit.slopes import hats, slope

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext

HAT = -2
"""Marks, in an index, the Gaussian part of an entry."""
MAX_ROWS = 64
"""Rows of a table that is looked up in, and meets what depends on it."""
ONE = Coefficient.of(1)


def dotted(context: MomentContext, entry: Entry, form: Gaussian) -> Form:
    """Return what a product with a weight is that the program uses transposed as well.

    Raises:
        LimitRefusal: a derivative that it needs does not exist.
    """
    node, index = entry
    hat: Entry = (node, (*index, HAT))
    context.define(hat, form)
    variance = weight_variance(context.params[form.param], form.contracted)
    terms: list[tuple[Coefficient, tuple[Entry, ...]]] = [(ONE, (hat,))]
    for position, y in form.terms:
        if y is None:
            continue
        for u in sorted(hats(context, y), key=lambda e: (e[0].id, e[1])):
            other = context.form(u)
            assert isinstance(other, Gaussian)
            if other.param != form.param or other.contracted == form.contracted:
                continue
            if (
                context.forward is not None
                and node not in context.forward
                and u[0] in context.forward
            ):
                continue  # y is linear in readouts of mean zero, which u does not depend on
            met = _met(context, (hat, form), (u, other), position)
            if met:
                coefficient = slope(context, y, u)
                terms += [(variance, (coefficient, *x)) for x in met]
    return Polynomial(tuple(terms)) if len(terms) > 1 else form


def _met(
    context: MomentContext,
    own: tuple[Entry, Gaussian],
    other: tuple[Entry, Gaussian],
    position: Index,
) -> list[tuple[Entry, ...]]:
    """Return what the entries of the weight at a position were multiplied by in ``other``."""
    (hat, form), (u, before) = own, other
    if before.row is not None:
        raise LimitRefusal(f"a random sum over rows of {form.param} meets it again", hat[0])
    if form.row is None:
        return list(multiplied(context, u, before, position))
    count = int(context.params[form.param].type.dims[0].count)
    if count > MAX_ROWS:
        raise LimitRefusal(
            f"rows of {form.param} are looked up where they meet values that depend on it",
            hat[0],
            f"what they owe to them is kept for up to {MAX_ROWS} rows",
        )
    return [
        (is_token(context, hat, form.row, row), *x)
        for row in range(count)
        for x in multiplied(context, u, before, (row, *position[1:]))
    ]


def multiplied(
    context: MomentContext, u: Entry, form: Gaussian, position: Index
) -> Iterator[tuple[Entry, ...]]:
    """Yield what an entry of the weight was multiplied by in u (nothing: u is that entry)."""
    for other, x in form.terms:
        if other == position:
            yield () if x is None else (x,)
    if form.data is None:
        return
    free = [i for i, axis in enumerate(form.weight) if axis is None]
    fixed = [(a, b) for a, b in zip(form.weight, position, strict=True) if a is not None]
    if any(a != b for a, b in fixed):
        return
    places = iter(position[i] for i in free)
    if form.data.tokens:
        if any(axis is None for axis in form.data.place):
            raise LimitRefusal("a weight on indicator vectors, and its transpose", u[0])
        yield (is_token(context, u, form.data, next(places)),)
        return
    place = tuple(next(places) if axis is None else axis for axis in form.data.place)
    found: Entry = (u[0], (*u[1], PLACE, *place))
    context.define(found, Data(form.data.name, place))
    yield (found,)
