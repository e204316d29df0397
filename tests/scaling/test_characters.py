from functools import reduce
from itertools import product as pairs
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from tpc.scaling.characters import (
    TRIVIAL,
    Coset,
    contains,
    coset,
    even_span,
    generator,
    intersects,
    odd_span,
    product,
    span,
)
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Tropical

masks = st.integers(0, 31)
cosets = st.builds(coset, masks, st.lists(masks, max_size=4))


def members(c: Coset) -> frozenset[int]:
    found = {c.offset}
    for vector in c.basis:
        found |= {element ^ vector for element in found}
    return frozenset(found)


@given(masks, st.lists(masks, max_size=5))
def test_the_form_is_unique(offset: int, vectors: list[int]) -> None:
    c = coset(offset, vectors)
    brute = {offset}
    for vector in vectors:
        brute |= {element ^ vector for element in brute}
    assert members(c) == brute
    assert all(coset(element, reversed(vectors)) is c for element in brute)


@given(cosets, cosets)
def test_pairs_against_enumeration(a: Coset, b: Coset) -> None:
    assert members(product(a, b)) == {u ^ v for u, v in pairs(members(a), members(b))}
    assert intersects(a, b) == bool(members(a) & members(b))
    assert contains(a, b) == (members(b) <= members(a))


@given(st.lists(cosets, min_size=1, max_size=3))
def test_hulls_against_enumeration(parts: list[Coset]) -> None:
    every = frozenset().union(*map(members, parts))
    even = {0}
    while (grown := even | {e ^ u ^ v for e in even for u in every for v in every}) != even:
        even = grown
    odd = {e ^ u for e in even for u in every}
    assert members(even_span(*parts)) == even
    assert members(odd_span(*parts)) == odd
    assert members(span(*parts)) == even | odd


def test_many_generators_are_cheap() -> None:
    began = perf_counter()
    features = span(generator(0))
    for layer in range(1, 300):
        features = span(product(features, generator(layer)))
        assert contains(features, generator(layer))
    assert features.dimension == 300
    assert perf_counter() - began < 2


def test_the_largest_of_a_coset_wins() -> None:
    plane = coset(0, [1, 2])
    terms = Terms([(coset(1), Tropical.of(1)), (plane, Tropical.of(1)), (coset(4), Tropical.of(2))])
    assert set(terms.cosets) == {plane, coset(4)}
    assert len(Terms([(coset(1), Tropical.of(0)), (plane, Tropical.of(1))])) == 2
    assert not Terms([(TRIVIAL, Tropical())])


values = st.builds(
    Terms, st.lists(st.tuples(cosets, st.builds(Tropical.of, st.integers(-2, 2))), max_size=3)
)


def sizes(terms: Terms) -> dict[int, int]:
    table: dict[int, int] = {}
    for c, e in terms:
        for u in members(c):
            table[u] = min(table.get(u, 99), int(e.as_fraction() or 0))
    return table


@given(values, values)
def test_terms_against_enumeration(x: Terms, y: Terms) -> None:
    left, right = sizes(x), sizes(y)
    joined = {u: min(left.get(u, 99), right.get(u, 99)) for u in left | right}
    assert sizes(x | y) == joined
    product_sizes: dict[int, int] = {}
    for (u, e), (v, f) in pairs(left.items(), right.items()):
        product_sizes[u ^ v] = min(product_sizes.get(u ^ v, 99), e + f)
    assert sizes(x * y) == product_sizes
    inner = [
        2 * (e + f) - (2 if u == v else 1) for (u, e), (v, f) in pairs(left.items(), right.items())
    ]
    found = x.inner(y).as_fraction()
    assert (found is None) == (not inner)
    assert found is None or 2 * found == reduce(min, inner)
