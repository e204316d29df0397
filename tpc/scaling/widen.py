"""Merging of terms where there are many of them.

Attention and residual branches are linear in places, so training reaches more and more products of
the weights' characters, all of one size, until they fill an affine space. Values with many terms
are therefore given all of it at once: terms of equal exponent become one with their affine hull.
That can only enlarge a size, and it keeps the number of terms, and so the time, bounded.
"""

from __future__ import annotations

from collections.abc import Iterable

from tpc.scaling.characters import Coset, odd_span
from tpc.scaling.outer import Outer, Pair
from tpc.scaling.state import Value
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Tropical, minimum

MOST_TERMS = 24
MOST_PRODUCTS = 32


def widen(value: Value) -> Value:
    """Return the value itself where it has few terms, else one that covers it and has few."""
    if isinstance(value, Terms):
        return value if len(value) <= MOST_TERMS else _terms(value)
    return value if len(value.products) <= MOST_PRODUCTS else _products(value)


def _terms(value: Terms) -> Terms:
    groups: dict[Tropical, list[Coset]] = {}
    for u, e in value:
        groups.setdefault(e, []).append(u)
    merged = Terms((odd_span(*cosets), e) for e, cosets in groups.items())
    if len(merged) <= MOST_TERMS:
        return merged
    return Terms.single(odd_span(*merged.cosets), merged.smallest)


def _products(value: Outer) -> Outer:
    groups: dict[Tropical, list[Pair]] = {}
    for pair, e in value.products.items():
        groups.setdefault(e, []).append(pair)
    merged = Outer(value.weights.items(), ((_hull(pairs), e) for e, pairs in groups.items()))
    if len(merged.products) <= MOST_PRODUCTS:
        return merged
    return Outer(
        value.weights.items(), [(_hull(merged.products), minimum(merged.products.values()))]
    )


def _hull(pairs: Iterable[Pair]) -> Pair:
    rows, columns = zip(*pairs, strict=True)
    return (odd_span(*rows), odd_span(*columns))
