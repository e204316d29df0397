"""Functions of the entries of matrices: products, and odd functions of what an optimizer is given.

An entry of a matrix is a sum of terms ``r_i c_j`` and ``r_i W_ij c_j``, W an initial weight. Each
has the characters of its row's vector, of its column's, and the weights of whose entries it is an
odd function. A function of W's entries that is even has a mean, and what fluctuates around it:
uncorrelated with W, so it acts on vectors like another, independent weight (here ``W*W``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

from tpc.scaling.characters import TRIVIAL, Coset, coset, even_span, odd_span, product
from tpc.scaling.outer import Outer, Pair, Weight
from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.scaling.domain import Domain

_ZERO = Tropical.constant(0)
#: Every product of the matrices that a gradient is made of is a matrix of its own.
_MOST = 6


class NoUpdateRule(Exception):  # noqa: N818 - a fact about an optimizer, reported as a diagnostic
    """The sizes of an optimizer's steps are not known in a case: the message says which."""


@dataclass(frozen=True)
class Entry:
    """A term of the entries: characters of its sides; the weights that it is odd in, and all.

    ``mean`` is false of what only fluctuates around the mean of an even function.
    """

    rows: Coset
    columns: Coset
    odd: frozenset[Weight] = frozenset()
    within: frozenset[Weight] = frozenset()
    mean: bool = True

    def __mul__(self, other: Entry) -> Entry:
        return Entry(
            product(self.rows, other.rows),
            product(self.columns, other.columns),
            self.odd ^ other.odd,
            self.within | other.within,
            (self.mean and other.mean) or bool(self.within & other.within),
        )


Sized: TypeAlias = tuple[Entry, Tropical]
_ONE = Entry(TRIVIAL, TRIVIAL)


def hadamard(x: Outer, y: Outer) -> Outer:
    """Return the product entry by entry."""
    if x.weights or y.weights:
        return matrix((p * q, e + f) for p, e in entries(x) for q, f in entries(y))
    return Outer(
        (),
        (
            ((product(u, w), product(v, z)), e + f)
            for (u, v), e in x.products.items()
            for (w, z), f in y.products.items()
        ),
    )


def entries(value: Outer) -> Iterator[Sized]:
    """Yield the terms of a matrix's entries."""
    for (u, v), e in value.products.items():
        yield Entry(u, v), e
    for weight, e in value.weights.items():
        odd, within = _parts(weight)
        yield Entry(weight.rows, weight.columns, odd, within, bool(odd)), e


def _parts(weight: Weight) -> tuple[frozenset[Weight], frozenset[Weight]]:
    """Return the weights that a function of weights' entries is odd in, and all."""
    if not weight.parts:
        alone = frozenset([weight.plain])
        return alone, alone
    parts = [(part.flipped if weight.transposed else part, odd) for part, odd in weight.parts]
    return frozenset(part for part, odd in parts if odd), frozenset(part for part, _ in parts)


def matrix(terms: Iterable[Sized]) -> Outer:
    """Return the matrix whose entries are made of these terms."""
    weights: list[tuple[Weight, Tropical]] = []
    products: list[tuple[Pair, Tropical]] = []
    for entry, e in terms:
        if entry.odd:
            found = [_joint(entry.odd)]
        else:
            found = [_square(weight) for weight in entry.within]
            if entry.mean:
                products.append(((entry.rows, entry.columns), e))
        weights += [(weight.dressed(entry.rows, entry.columns), e) for weight in found]
    return Outer(weights, products)


def _joint(weights: Iterable[Weight]) -> Weight:
    """Return the matrix of products of weights' entries: a weight of all their characters."""
    alike = sorted(weights, key=lambda weight: (weight.name, weight.transposed))
    if len(alike) == 1:
        return alike[0]
    character = reduce(product, (weight.character for weight in alike))
    parts = tuple((weight, True) for weight in alike)
    return Weight("*".join(map(_marked, alike)), character, parts=parts)


def _square(weight: Weight) -> Weight:
    """Return what fluctuates in an even function of a weight's entries."""
    own, base = weight.character, replace(weight, transposed=False)
    character = coset(own.offset << 1, (v << 1 for v in own.basis))
    name = f"{weight.name}*{weight.name}"
    return Weight(name, character, weight.transposed, parts=((base, False),))


def _marked(weight: Weight) -> str:
    return weight.name + "^T" * weight.transposed


# -- odd functions ---------------------------------------------------------------------------------


def odd_function(base: Outer, more: Outer, domain: Domain) -> Outer:
    """Return ``psi(base + more) - psi(base)``, entry by entry, for an odd psi.

    The terms of order one, the bulk, make the odd products of their characters; what is of lower
    order is expanded around them. Larger terms there are none.
    """
    if not base.weights and not more.weights and not base:
        return _of_products(more, domain)
    fixed, moved = list(entries(base)), list(entries(more))
    if any(domain.is_zero(e) for _, e in moved):
        fixed, moved = [], [*fixed, *moved]
    many = len({p.odd for p, _ in (*fixed, *moved)})
    if many > _MOST:
        raise NoUpdateRule(f"an entrywise function of a gradient that is made of {many} matrices")
    bulk = _merged(p for p, e in (*fixed, *moved) if domain.is_zero(e))
    rest = [(p, e) for p, e in moved if not domain.is_zero(e)]
    lower = [*rest, *((p, e) for p, e in fixed if not domain.is_zero(e))]
    odd, even = _powers(bulk, 1), _powers(bulk, 0)
    found: list[Sized] = []
    if any(domain.is_zero(e) for _, e in moved):
        found += [(p, _ZERO) for p in odd]
    found += [(p * q, e) for p, e in rest for q in even]
    if bulk:  # psi is linear where there is none: epsilon rules
        found += [(p * q * z, e + f) for p, e in rest for q, f in lower for z in odd]
    return _simplified(matrix(found), domain)


def _merged(bulk: Iterable[Entry]) -> list[Entry]:
    """Return one term for all that are odd in the same weights: it has the characters of each."""
    groups: dict[frozenset[Weight], list[Entry]] = {}
    for entry in bulk:
        groups.setdefault(entry.odd, []).append(entry)
    return [
        Entry(
            odd_span(*(entry.rows for entry in group)),
            odd_span(*(entry.columns for entry in group)),
            odd,
            frozenset().union(*(entry.within for entry in group)),
            any(entry.mean for entry in group),
        )
        for odd, group in groups.items()
    ]


def _powers(bulk: Sequence[Entry], parity: int) -> list[Entry]:
    """Return the products of an odd (parity 1) or even (0) number of terms, times any squares."""
    squares = _ONE
    for entry in bulk:
        squares = squares * entry * entry
    found = []
    for count in range(parity, len(bulk) + 1, 2):
        for chosen in combinations(bulk, count):
            power = squares
            for entry in chosen:
                power = power * entry
            found.append(power)
    return found


def _of_products(gradient: Outer, domain: Domain) -> Outer:
    """Return an odd function of a sum of outer products."""
    bulk = [pair for pair, e in gradient.products.items() if domain.is_zero(e)]
    rest = [(pair, e) for pair, e in gradient.products.items() if not domain.is_zero(e)]
    if not bulk:  # epsilon rules: psi is linear there
        return gradient
    odd = tuple(odd_span(*side) for side in zip(*bulk, strict=True))
    even = tuple(even_span(*side) for side in zip(*bulk, strict=True))
    found: list[tuple[Pair, Tropical]] = [((odd[0], odd[1]), _ZERO)]
    found += [(_times(pair, even), e) for pair, e in rest]
    found += [(_times(_times(p, q), odd), e + f) for p, e in rest for q, f in rest]
    return _simplified(Outer((), found), domain)


def _times(pair: Pair, other: tuple[Coset, ...]) -> Pair:
    return (product(pair[0], other[0]), product(pair[1], other[1]))


def _simplified(value: Outer, domain: Domain) -> Outer:
    found = domain.simplify(value)
    assert isinstance(found, Outer)
    return found
