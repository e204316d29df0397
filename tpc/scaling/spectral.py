"""What an optimizer that orthogonalises the gradient makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.scaling.characters import intersects, product
from tpc.scaling.outer import Outer, Pair, Weight
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.scaling.domain import Domain
    from tpc.scaling.state import Value


def polar(gradient: Value, domain: Domain) -> Value:
    """Return the gradient with its singular values replaced by one.

    A gradient `sum_k s_k u_k v_k^T` of unit vectors becomes `sum_k u_k v_k^T` where they are
    orthogonal. Vectors of different characters overlap by n^-1/2, so mixed products `u_k v_l^T`
    come with that factor. Entries of unit vectors are of size n^-1/2. Where the gradient contains
    an initial weight W all of its singular values become one; the products then stand out as far as
    theirs are larger than those of W, and turn W's singular vectors otherwise.
    """
    if isinstance(gradient, Terms):
        return Terms((u, Tropical.constant(domain.half)) for u, _ in gradient)
    unit, mixed = Tropical.constant(2 * domain.half), Tropical.constant(3 * domain.half)
    if gradient.weights:
        return _full_rank(gradient, unit, domain)
    pairs = list(gradient.products)
    found = [(pair, unit) for pair in pairs]
    for p in pairs:
        for q in pairs:
            overlap = intersects(p[0], q[0]) or intersects(p[1], q[1])
            found.append(((p[0], q[1]), unit if overlap else mixed))
    return Outer((), found)


def _full_rank(gradient: Outer, unit: Tropical, domain: Domain) -> Outer:
    """Return ``W + sum of s u v^T``, s relative to W's singular values, with those all one.

    An orthogonal matrix of entries n^-1/2 takes W's place. To first order in s the products come as
    they are and as ``(W v) (W^T u)^T``; to second order with one side alone seen through W.
    """
    half = Tropical.constant(domain.half)
    alone = Outer(gradient.weights.items())
    # the singular values of a matrix with independent entries are n^1/2 times these
    least = domain.single(alone.smallest)
    found: list[tuple[Pair, Tropical]] = []
    for (u, v), e in gradient.products.items():
        excess = domain.difference(e, least)
        relative = domain.single(excess + Tropical.constant(-domain.half))
        s = domain.positive_part(relative)
        for weight in gradient.weights:
            pairs = _seen_through(weight, (u, v))
            found += [(pair, unit + s) for pair in pairs[:2]]
            found += [(pair, unit + s + s) for pair in pairs[2:]]
    return Outer(((w, half) for w in gradient.weights), found)


def _seen_through(weight: Weight, pair: Pair) -> tuple[Pair, Pair, Pair, Pair]:
    u, v = pair
    back, forth = product(weight.acts, u), product(weight.acts, v)
    return (u, v), (forth, back), (u, back), (forth, v)
