"""Which Gaussians an entry is a function of: one, which makes it a formula, or several."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tpc.exact import Coefficient
from tpc.limit.forms import Entry, Form, Function, Gaussian, Polynomial, Root, Share
from tpc.limit.moment import LimitRefusal, power_of
from tpc.ops.activations import formula as fm
from tpc.ops.activations.formula.nodes import FormulaError

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.limit.moments import MomentContext
    from tpc.ops.activations import Activation

PART = -1
"""Marks, at the end of an index, the Gaussian part of an entry."""
Terms = tuple[tuple[Coefficient, tuple[Entry, ...]], ...]
Single = tuple[Entry | None, fm.Formula]
"""A Gaussian (None: no matter which) and an entry as a formula of it."""


def operands(form: Form) -> tuple[Entry, ...]:
    """Return the entries whose Gaussians are this one's too."""
    if isinstance(form, Polynomial):
        return tuple(e for _, entries in form.terms for e in entries)
    if isinstance(form, Share):
        return (*form.scores, *form.masks)
    return (form.entry,) if isinstance(form, (Function, Root)) else ()


def centred(context: MomentContext, entry: Entry) -> bool:
    """Whether an entry is Gaussian of mean zero: a sum of Gaussians times numbers."""
    known = context.centred
    if entry not in known:
        todo, seen = [entry], {entry}
        while todo:
            below = _if_centred(context, todo.pop())
            if below is None:
                known[entry] = False
                return False
            fresh = [e for e in below if e not in seen and not known.get(e)]
            seen.update(fresh)
            todo += fresh
        known.update(dict.fromkeys(seen, True))
    return known[entry]


def _if_centred(context: MomentContext, entry: Entry) -> list[Entry] | None:
    """Return which entries must be centred for this one to be, None where that cannot help."""
    from tpc.limit.numbers import is_number, number

    form = context.form(entry)
    if isinstance(form, Gaussian):
        return []
    if is_number(context, entry):
        return [] if number(context, entry).is_zero else None
    if not isinstance(form, Polynomial):
        return None
    needed = []
    for _, entries in form.terms:
        random = [e for e in entries if not is_number(context, e)]
        if len(random) > 1:
            return None
        if not random and not any(number(context, e).is_zero for e in entries):
            return None
        needed += random
    return needed


def resolved(context: MomentContext, entry: Entry) -> Entry:
    """Return the entry that this one equals, moved about by ops at most."""
    while True:
        form = context.form(entry)
        if not isinstance(form, Polynomial) or len(form.terms) != 1:
            return entry
        ((coefficient, entries),) = form.terms
        if not coefficient.is_one or len(entries) != 1:
            return entry
        entry = entries[0]


def proportional(
    context: MomentContext, entry: Entry, base: Entry
) -> tuple[Coefficient, list[Entry]] | None:
    """Return a coefficient and numbers whose product times ``base`` is the entry, or None."""
    from tpc.limit.numbers import is_number

    factor, numbers = Coefficient.of(1), list[Entry]()
    while (entry := resolved(context, entry)) != base:
        terms = _present(context, entry)
        if len(terms) != 1:
            return None
        coefficient, entries = terms[0]
        random = [e for e in entries if not is_number(context, e)]
        if len(random) != 1:
            return None
        factor = factor * coefficient
        numbers += [e for e in entries if e != random[0]]
        entry = random[0]
    return factor, numbers


def _present(context: MomentContext, entry: Entry) -> Terms:
    """Return the terms of a sum that do not vanish; none where it is no sum."""
    from tpc.limit.numbers import is_number, number

    form = context.form(entry)
    terms = form.terms if isinstance(form, Polynomial) else ()
    return tuple(
        term
        for term in terms
        if not any(is_number(context, e) and number(context, e).is_zero for e in term[1])
    )


def split(context: MomentContext, entry: Entry) -> tuple[Entry | None, Terms]:
    """Return the Gaussian part of a sum, as an entry, and the other terms."""
    form = context.form(entry)
    assert isinstance(form, Polynomial)
    gaussian: list[tuple[Coefficient, tuple[Entry, ...]]] = []
    rest: list[tuple[Coefficient, tuple[Entry, ...]]] = []
    for term in form.terms:
        (gaussian if _is_gaussian(context, term[1]) else rest).append(term)
    if not gaussian:
        return None, tuple(rest)
    part = (entry[0], (*entry[1], PART))
    context.define(part, Polynomial(tuple(gaussian)))
    return part, tuple(rest)


def _is_gaussian(context: MomentContext, entries: tuple[Entry, ...]) -> bool:
    from tpc.limit.numbers import is_number

    random = [e for e in entries if not is_number(context, e)]
    return len(random) == 1 and centred(context, random[0])


def single(context: MomentContext, entry: Entry) -> Single | None:
    """Return an entry as a formula of one Gaussian, None where it is none."""
    if entry not in context.singles:
        context.singles[entry] = None  # what contains itself is no formula
        with contextlib.suppress(FormulaError):
            context.singles[entry] = _single(context, entry)
    return context.singles[entry]


def _single(context: MomentContext, entry: Entry) -> Single | None:
    from tpc.limit import expressions as ex
    from tpc.limit.numbers import is_number, number

    if is_number(context, entry):
        moment = number(context, entry)
        exact = isinstance(moment.value, ex.Number) and moment.noise is None
        if not exact or not isinstance(moment.value, ex.Number):
            return None
        if not moment.is_zero and power_of(moment.power) != 0:
            return None
        return None, fm.number(moment.value.value)
    if centred(context, entry):
        return resolved(context, entry), fm.Z
    form = context.form(entry)
    if isinstance(form, Polynomial):
        return _sum(context, entry)
    if isinstance(form, Function):
        inner = single(context, form.entry)
        return None if inner is None else (inner[0], composed(form.activation, inner[1]))
    if isinstance(form, Root):
        inner = single(context, form.entry)
        return None if inner is None else (inner[0], fm.power(inner[1], form.exponent))
    return None


def composed(phi: Activation, inner: fm.Formula) -> fm.Formula:
    """Return ``phi(inner)``."""
    return fm.substitute(phi.formula(), inner)


def _sum(context: MomentContext, entry: Entry) -> Single | None:
    leaf, rest = split(context, entry)
    terms: list[fm.Formula] = [] if leaf is None else [fm.Z]
    form = None if leaf is None else context.form(leaf)
    if isinstance(form, Polynomial) and len(form.terms) == 1:
        coefficient, entries = form.terms[0]
        if len(entries) == 1 and power_of(coefficient.power, entry[0]) == 0:
            leaf = resolved(context, entries[0])
            terms = [fm.scale(fm.Z, coefficient.constant)]
    for coefficient, entries in rest:
        power = power_of(coefficient.power, entry[0])
        factors = [single(context, e) for e in entries]
        for factor in factors:
            if factor is None:
                return None
            if factor[0] is not None and leaf is not None and factor[0] != leaf:
                return None
            leaf = factor[0] if leaf is None else leaf
        if power > 0:
            return None
        if power == 0:
            product = fm.multiply(*(f[1] for f in factors if f is not None))
            terms.append(fm.scale(product, coefficient.constant))
    return leaf, fm.add(*terms)


def require_moments(phi: Activation, node: Node) -> None:
    """Refuse a composite function without second moments.

    Raises:
        LimitRefusal: its second moment under a Gaussian is infinite, or it is undefined somewhere.
    """
    obstacle = phi.obstacle()
    if obstacle is not None:
        raise LimitRefusal(f"the function {phi.text()} has no limit: {obstacle}", node)
