"""Expected derivatives of entries with respect to the Gaussians that they are functions of.

They are the coefficients of Zdot terms. A derivative is taken by the chain rule, numbers held
constant; a function that jumps where a Gaussian vanishes has a point mass there
(:mod:`tpc.limit.kinks`). For other jumps Stein's lemma defines the expectation (Yang 2020, tensor
programs III): ``b_j = E[u_j y]`` and ``L_ij = E[u_i u_j]`` over all products u
of one weight that y is a function of determine ``E[dy/du] = L^-1 b``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Coefficient, Constant
from tpc.limit.forms import Entry, Function, Gaussian, Mean, Polynomial, Root
from tpc.limit.kinks import NoMassError, density, given_zero, jump_at_zero, jumps
from tpc.limit.leaves import Terms, centred, operands, resolved

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext

MASS = -4
"""Marks, after the index of a Gaussian, a point mass where it vanishes."""
MAX_TERMS = 8
"""Terms of a derivative that are written out; longer ones are entries of their own."""
ONE = Coefficient.of(1)
Entries = tuple[Entry, ...]


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
            context.slopes[key] = _expected(context, y, _derivative(context, y, u))
        except NoMassError:
            context.slopes.update(_stein(context, y, u))
    return context.slopes[key]


def _expected(context: MomentContext, y: Entry, terms: Terms) -> Entry:
    """Return the expectation of a derivative, masses included."""
    smooth = [term for term in terms if not _masses(term[1])]
    found: list[tuple[Coefficient, Entries]] = []
    if smooth:
        found.append((ONE, (context.part(y, Mean(tuple(smooth))),)))
    for coefficient, entries in terms:
        for mass in _masses(entries):
            g: Entry = (mass[0], mass[1][:-1])
            rest = tuple(given_zero(context, e, g) for e in entries if e != mass)
            mean = (context.part(y, Mean(((ONE, rest),))),) if rest else ()
            found.append((coefficient, (*density(context, g), *mean)))
    return (
        found[0][1][0]
        if len(found) == len(smooth) == 1
        else context.part(y, Polynomial(tuple(found)))
    )


# -- by the chain rule -----------------------------------------------------------------------------


def _derivative(context: MomentContext, entry: Entry, u: Entry) -> Terms:
    """Return ``d entry / d u`` as a sum of products of entries, numbers held constant.

    Masses at zeros of a Gaussian g are written as a factor, the index of g with a mark.

    Raises:
        NoMassError: it has other masses.
    """
    if entry == u:
        return ((ONE, ()),)
    if u not in hats(context, entry):
        return ()
    known = context.derivatives.get((entry, u))
    if known is None:
        known = _collected(_chain(context, entry, u))
        smooth = tuple(term for term in known if not _masses(term[1]))
        if len(smooth) > MAX_TERMS:
            name = context.part(entry, Polynomial(smooth))
            known = ((ONE, (name,)), *(term for term in known if _masses(term[1])))
        context.derivatives[entry, u] = known
    return known


def _masses(entries: Entries) -> list[Entry]:
    return [e for e in entries if e[1] and e[1][-1] == MASS]


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
        for outer, factor in _outer_slopes(context, entry, form):
            for c, inner in _derivative(context, form.entry, u):
                found.append((c * factor, (outer, *inner)))
    else:
        raise NoMassError  # a softmax of random scores
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


def _outer_slopes(
    context: MomentContext, entry: Entry, form: Function | Root
) -> list[tuple[Entry, Coefficient]]:
    """Return the derivative of a function at an entry: where it is smooth, and masses."""
    if isinstance(form, Root):
        lower = context.part(entry, Root(form.entry, form.exponent - 1))
        return [(lower, Coefficient.of(Constant.of(form.exponent)))]
    phi = form.activation
    slope_of = phi.derivative()
    found = []
    if not slope_of.is_zero:
        found.append((context.part(entry, Function(slope_of, form.entry)), ONE))
    if jumps(phi):
        if not centred(context, form.entry):
            raise NoMassError
        node, index = resolved(context, form.entry)
        found.append(((node, (*index, MASS)), Coefficient.of(jump_at_zero(phi))))
    return found


# -- by Stein's lemma ------------------------------------------------------------------------------


def _stein(context: MomentContext, y: Entry, u: Entry) -> dict[tuple[Entry, Entry], Entry]:
    """Return the expected derivatives with respect to u and the Gaussians correlated with it."""
    group = _correlated(context, y, u)
    size = len(group)
    system = [
        [context.part(y, Mean(((ONE, (group[i], group[j])),))) for j in range(i + 1)]
        for i in range(size)
    ]
    right = [context.part(y, Mean(((ONE, (v, y)),))) for v in group]
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
        inverses.append(context.part(y, Root(rows[k][k], Fraction(-1))))
        for i in range(k + 1, size):
            for j in range(k + 1, i + 1):
                fill = (minus, (rows[i][k], rows[j][k], inverses[k]))
                rows[i][j] = context.part(y, Polynomial(((ONE, (rows[i][j],)), fill)))
            fill = (minus, (rows[i][k], values[k], inverses[k]))
            values[i] = context.part(y, Polynomial(((ONE, (values[i],)), fill)))
    found: list[Entry] = [*right]
    for k in reversed(range(size)):
        terms: list[tuple[Coefficient, Entries]] = [(ONE, (values[k], inverses[k]))]
        terms += [(minus, (rows[i][k], found[i], inverses[k])) for i in range(k + 1, size)]
        found[k] = context.part(y, Polynomial(tuple(terms)))
    return found
