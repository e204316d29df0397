"""Sums over the width of mean zero that stay random: Gaussian scalars (central limit theorem).

Attention scores ``q . k / sqrt(n)`` are such: jointly Gaussian over positions and samples, with the
covariance of one coordinate's product, and independent of the coordinates of any vector (Hron et
al. 2020). What is built from them is, given the scores, what it would be for numbers; so second
moments are averages over the scores, but a sum of such values over the width is a mixture of
Gaussians. A nonlinearity of a mixture is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.exact import Coefficient
from tpc.limit.forms import Entry, Function, Gaussian, Mean, Polynomial, Root, Share
from tpc.limit.leaves import operands
from tpc.limit.moment import Factor, LimitRefusal, Rule, power_of, scaled, total
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.limit.moments import MomentContext

SCORES = "scores"
"""Marks the sources of an entry that are scores."""


def fluctuates(context: MomentContext, entry: Entry) -> bool:
    """Whether an entry is a number up to a Gaussian of its own order."""
    from tpc.limit.numbers import number

    if entry not in context.fluctuating:
        context.fluctuating[entry] = False
        if context.sources(entry) <= {("", ())}:
            noise = number(context, entry).noise
            context.fluctuating[entry] = (
                noise is not None and noise.is_constant and noise.const == 0
            )
    return context.fluctuating[entry]


def score_sources(context: MomentContext, form: Share) -> set[tuple[str, object]]:
    """Return the marks of a softmax's random scores; note scalar ones."""
    found: set[tuple[str, object]] = set()
    for entry in form.scores:
        if fluctuates(context, entry):
            found.add((SCORES, ()))
            if not entry[0].type.width_axes:
                context.scores.add(entry)
    return found


def covariance(context: MomentContext, a: Factor, b: Factor) -> Rule:
    """Return the covariance of two fluctuating numbers."""
    context.scores.update(f.entry for f in (a, b) if not f.node.type.width_axes)
    parts = []
    for c, size, left in _sums(context, a.entry, a):
        for d, other, right in _sums(context, b.entry, b):
            if size != other:
                continue
            factors = (
                *(Factor(*e, a.side) for e in left),
                *(Factor(*e, b.side) for e in right),
            )
            parts.append(scaled((yield factors), c * d * size))
    return total(parts)


def _sums(
    context: MomentContext, entry: Entry, at: Factor
) -> list[tuple[Coefficient, Coefficient, tuple[Entry, ...]]]:
    """Return a number's sums over the width: coefficient, count of coordinates, product."""
    from tpc.limit.numbers import number

    found = []
    todo = [(Coefficient.of(1), entry)]
    while todo:
        factor, here = todo.pop()
        form = context.form(here)
        noise = number(context, here).noise
        if noise is None or power_of(noise + factor.power) < 0:
            continue
        if isinstance(form, Mean):
            for size, entries in form.terms:
                own = tuple(Factor(*e, 0) for e in entries)
                if not context.expectation(own, cross=False).is_zero:
                    raise MissingRule(at.node, "limit", "a random sum with a mean of its own")
                found.append((factor, size, entries))
        elif isinstance(form, Polynomial) and all(len(e) <= 1 for _, e in form.terms):
            todo += [(factor * c, e) for c, entries in form.terms for e in entries]
        else:
            raise MissingRule(at.node, "limit", "a product of sums that stay random")
    return found


def require_no_mixtures(context: MomentContext, outputs: list[Entry]) -> None:
    """Refuse nonlinearities, and averages over the width, of what random scalar scores made.

    Raises:
        LimitRefusal: there is one.
    """
    mixed: dict[Entry, bool] = {}
    stack = list(outputs)
    while stack:
        top = stack[-1]
        form = context.form(top)
        below = list(operands(form))
        if isinstance(form, Gaussian):
            below = [e for _, e in form.terms if e is not None]
        elif isinstance(form, Mean):
            below = [e for _, entries in form.terms for e in entries]
        missing = [e for e in below if e not in mixed]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        inside = any(mixed[e] for e in below)
        mixed[top] = inside or top in context.scores
        if inside and isinstance(form, (Function, Root, Mean)) and top not in context.scores:
            raise LimitRefusal(
                "a sum over the width stays random (central limit theorem) and multiplies what "
                "this is applied to, a mixture of Gaussians: only sums of it have a kernel",
                top[0],
                "divide inner products by n: einsum(...) * n^-1; attention may instead have heads "
                "that grow in number, param Q : [n, e, n], with scores divided by e^(1/2)",
            )
