"""Expected derivatives of entries with respect to the Gaussians that they are functions of.

They are the coefficients of Zdot terms. A derivative is taken by the chain rule, numbers held
constant. Where a function jumps, which has no derivative, Stein's lemma defines the expectation
(Yang 2020, tensor programs III): ``b_j = E[u_j y]`` and ``L_ij = E[u_i u_j]`` over all products u
of one weight that y is a function of determine ``E[dy/du] = L^-1 b``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Coefficient, Constant
from tpc.limit.forms import Entry, Function, Gaussian, Mean, Polynomial, Root
from tpc.limit.leaves import Terms, operands

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext

DOT, SLOPE = -3, -4
"""Mark, in an index, parts of an entry: an expected derivative, and a derivative."""
MAX_TERMS = 8
"""Terms of a derivative that are written out; longer ones are entries of their own."""
ONE = Coefficient.of(1)
Entries = tuple[Entry, ...]


class _JumpError(Exception):
    """A derivative has masses at points."""


def hats(context: MomentContext, entry: Entry) -> frozenset[Entry]:
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


def slope(context: MomentContext, y: Entry, u: Entry) -> Entry:
    """Return ``E[dy/du]``, a number of the sample, as an entry."""
    key = (y, u)
    if key not in context.slopes:
        try:
            terms = _derivative(context, y, u)
        except _JumpError:
            context.slopes.update(_stein(context, y, u))
        else:
            context.slopes[key] = _named(context, y, Mean(terms))
    return context.slopes[key]


def _named(context: MomentContext, y: Entry, form: Mean | Root | Polynomial) -> Entry:
    """Return a new entry, part of y, of a form."""
    entry: Entry = (y[0], (*y[1], DOT, context.count()))
    context.define(entry, form)
    return entry


# -- by the chain rule -----------------------------------------------------------------------------


def _derivative(context: MomentContext, entry: Entry, u: Entry) -> Terms:
    """Return ``d entry / d u`` as a sum of products of entries, numbers held constant.

    Raises:
        _JumpError: it has masses at points.
    """
    if entry == u:
        return ((ONE, ()),)
    if u not in hats(context, entry):
        return ()
    known = context.derivatives.get((entry, u))
    if known is None:
        known = _collected(_chain(context, entry, u))
        if len(known) > MAX_TERMS:
            name: Entry = (entry[0], (*entry[1], SLOPE, context.count()))
            context.define(name, Polynomial(known))
            known = ((ONE, (name,)),)
        context.derivatives[entry, u] = known
    return known


def _chain(context: MomentContext, entry: Entry, u: Entry) -> list[tuple[Coefficient, Entries]]:
    form = context.form(entry)
    found: list[tuple[Coefficient, Entries]] = []
    if isinstance(form, Polynomial):
        for coefficient, entries in form.terms:
            for i, e in enumerate(entries):
                rest = (*entries[:i], *entries[i + 1 :])
                for c, inner in _derivative(context, e, u):
                    found.append((coefficient * c, (*rest, *inner)))
    elif isinstance(form, (Function, Root)):
        outer, factor = _outer_slope(context, entry, form)
        for c, inner in _derivative(context, form.entry, u):
            found.append((c * factor, (outer, *inner)))
    else:
        raise _JumpError  # a softmax of random scores
    return found


def _collected(terms: list[tuple[Coefficient, Entries]]) -> Terms:
    """Return a sum with equal products of one power of the width added up."""
    found: dict[tuple[Entries, object], Coefficient] = {}
    for coefficient, entries in terms:
        product = tuple(sorted(entries, key=lambda e: (e[0].id, e[1])))
        key = (product, coefficient.power)
        before = found.get(key)
        if before is not None:
            coefficient = Coefficient(before.constant + coefficient.constant, before.power)
        found[key] = coefficient
    return tuple((c, entries) for (entries, _), c in found.items() if not c.is_zero)


def _outer_slope(
    context: MomentContext, entry: Entry, form: Function | Root
) -> tuple[Entry, Coefficient]:
    name: Entry = (entry[0], (*entry[1], SLOPE))
    if isinstance(form, Root):
        context.define(name, Root(form.entry, form.exponent - 1))
        return name, Coefficient.of(Constant.of(form.exponent))
    if form.activation.dropped is not None:
        raise _JumpError
    context.define(name, Function(form.activation.derivative(), form.entry))
    return name, ONE


# -- by Stein's lemma ------------------------------------------------------------------------------


def _stein(context: MomentContext, y: Entry, u: Entry) -> dict[tuple[Entry, Entry], Entry]:
    """Return the expected derivatives with respect to u and the Gaussians correlated with it."""
    group = _correlated(context, y, u)
    size = len(group)
    system = [
        [_named(context, y, Mean(((ONE, (group[i], group[j])),))) for j in range(i + 1)]
        for i in range(size)
    ]
    right = [_named(context, y, Mean(((ONE, (v, y)),))) for v in group]
    return {(y, v): e for v, e in zip(group, _solved(context, y, system, right), strict=True)}


def _correlated(context: MomentContext, y: Entry, u: Entry) -> list[Entry]:
    """Return the Gaussians below y that hang together with u, u first."""
    rest = sorted(hats(context, y) - {u}, key=lambda e: (e[0].id, e[1]))
    group = [u]
    for v in group:
        found = [w for w in rest if not context.moment(v, w, cross=False).is_zero]
        group += found
        rest = [w for w in rest if w not in found]
    return group


def _solved(
    context: MomentContext, y: Entry, system: list[list[Entry]], right: list[Entry]
) -> list[Entry]:
    """Return the solution of a symmetric system (lower triangle) of numbers, by elimination."""
    minus = Coefficient.of(-1)
    size = len(right)
    rows = [list(row) for row in system]
    values = list(right)
    inverses = []
    for k in range(size):
        inverses.append(_named(context, y, Root(rows[k][k], Fraction(-1))))
        for i in range(k + 1, size):
            for j in range(k + 1, i + 1):
                fill = (minus, (rows[i][k], rows[j][k], inverses[k]))
                rows[i][j] = _named(context, y, Polynomial(((ONE, (rows[i][j],)), fill)))
            fill = (minus, (rows[i][k], values[k], inverses[k]))
            values[i] = _named(context, y, Polynomial(((ONE, (values[i],)), fill)))
    found: list[Entry] = [*right]
    for k in reversed(range(size)):
        terms: list[tuple[Coefficient, Entries]] = [(ONE, (values[k], inverses[k]))]
        terms += [(minus, (rows[i][k], found[i], inverses[k])) for i in range(k + 1, size)]
        found[k] = _named(context, y, Polynomial(tuple(terms)))
    return found
