"""What a weight owes to its transpose: Zdot terms of the master theorem.

``W' y`` is a Gaussian plus ``sigma^2 sum over W x in the history of y of x E[dy / d(W x)]``, W with
entries of variance sigma^2 / n: y sees the same entries of W that meet it here (Yang 2020, tensor
programs III). The Gaussian is independent of those of W. The expectations are numbers, the x are
entries from before, so the sum is a polynomial of entries.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpc.exact import Coefficient, Constant
from tpc.limit.forms import (
    Data,
    Entry,
    Form,
    Function,
    Gaussian,
    Index,
    Mean,
    Polynomial,
    Root,
    Share,
)
from tpc.limit.leaves import Terms, operands
from tpc.limit.moment import LimitRefusal, weight_variance

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext

HAT, DOT, SLOPE, PLACE = -2, -3, -4, -5
"""Mark, in an index, parts of an entry: its Gaussian, coefficients, a derivative, an input's."""
MAX_TERMS = 4096
ONE = Coefficient.of(1)


def dotted(context: MomentContext, entry: Entry, form: Gaussian) -> Form:
    """Return what a product with a weight is that the program uses transposed as well.

    Raises:
        LimitRefusal: a derivative that it needs does not exist, or has too many terms.
    """
    node, index = entry
    hat: Entry = (node, (*index, HAT))
    context.define(hat, form)
    variance = weight_variance(context.params[form.param], form.contracted)
    terms: list[tuple[Coefficient, tuple[Entry, ...]]] = [(ONE, (hat,))]
    numbers = itertools.count()
    for position, y in form.terms:
        if y is None:
            continue
        for u in sorted(_hats(context, y), key=lambda e: (e[0].id, e[1])):
            other = context.form(u)
            assert isinstance(other, Gaussian)
            if other.param != form.param or other.contracted == form.contracted:
                continue
            met = list(_met(context, u, other, position))
            if not met:
                continue
            slope: Entry = (node, (*index, DOT, next(numbers)))
            context.define(slope, Mean(_derivative(context, y, u)))
            terms += [(variance, (slope, *x)) for x in met]
    return Polynomial(tuple(terms)) if len(terms) > 1 else form


def _hats(context: MomentContext, entry: Entry) -> frozenset[Entry]:
    """Return the Gaussians that an entry is a function of."""
    known = context.hats
    stack = [entry]
    while stack:
        top = stack[-1]
        if top in known:
            stack.pop()
            continue
        form = context.form(top)
        below = operands(form)
        missing = [e for e in below if e not in known]
        if missing:
            stack.extend(missing)
            continue
        own = frozenset((top,)) if isinstance(form, Gaussian) else frozenset[Entry]()
        known[top] = own.union(*(known[e] for e in below))
        stack.pop()
    return known[entry]


def _met(
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
        yield (_is_token(context, u, form, next(places)),)
        return
    place = tuple(next(places) if axis is None else axis for axis in form.data.place)
    found: Entry = (u[0], (*u[1], PLACE, *place))
    context.define(found, Data(form.data.name, place))
    yield (found,)


def _is_token(context: MomentContext, u: Entry, form: Gaussian, token: int) -> Entry:
    from tpc.ops.one_hot import indicator

    assert form.data is not None
    if any(axis is None for axis in form.data.place):
        raise LimitRefusal("a weight on indicator vectors, and its transpose", u[0])
    place = tuple(axis for axis in form.data.place if axis is not None)
    value: Entry = (u[0], (*u[1], PLACE, *place))
    context.define(value, Data(form.data.name, place))
    found: Entry = (u[0], (*u[1], PLACE, *place, token))
    context.define(found, Function(indicator(token), value))
    return found


def _derivative(context: MomentContext, entry: Entry, u: Entry) -> Terms:
    """Return ``d entry / d u`` as a sum of products of entries, numbers held constant."""
    if entry == u:
        return ((ONE, ()),)
    if u not in _hats(context, entry):
        return ()
    form = context.form(entry)
    if isinstance(form, Polynomial):
        found: list[tuple[Coefficient, tuple[Entry, ...]]] = []
        for coefficient, entries in form.terms:
            for i, e in enumerate(entries):
                rest = (*entries[:i], *entries[i + 1 :])
                for c, inner in _derivative(context, e, u):
                    found.append((coefficient * c, (*rest, *inner)))
        if len(found) > MAX_TERMS:
            raise LimitRefusal("a derivative with too many terms (Zdot)", entry[0])
        return tuple(found)
    if isinstance(form, (Function, Root)):
        outer, factor = _outer_slope(context, entry, form)
        inner_terms = _derivative(context, form.entry, u)
        return tuple((c * factor, (outer, *inner)) for c, inner in inner_terms)
    assert isinstance(form, Share)
    raise LimitRefusal(
        "a weight is used transposed after a softmax of random scores that it made (Zdot)", entry[0]
    )


def _outer_slope(
    context: MomentContext, entry: Entry, form: Function | Root
) -> tuple[Entry, Coefficient]:
    slope: Entry = (entry[0], (*entry[1], SLOPE))
    if isinstance(form, Root):
        context.define(slope, Root(form.entry, form.exponent - 1))
        return slope, Coefficient.of(Constant.of(form.exponent))
    if form.activation.dropped is not None:
        raise LimitRefusal(
            f"{form.activation.label} jumps, and what it is applied to meets its weight's "
            "transpose later: the derivative that this takes (Zdot) has masses at points",
            entry[0],
        )
    context.define(slope, Function(form.activation.derivative(), form.entry))
    return slope, ONE
