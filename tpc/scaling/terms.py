"""Sizes sorted by character: the abstract value of a vector or scalar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction

from tpc.scaling.characters import Coset, contains, intersects, product
from tpc.scaling.tropical import INFINITE, Number, Tropical, TropicalLike, minimum

HALF = Fraction(1, 2)


class Terms:
    """A finite map from cosets of characters to exponents; the empty map is exactly zero.

    A term `coset -> e` says that parts with those characters, of coordinates of size n^-e, may be
    present. A term whose coset lies in another one of evidently smaller or equal exponent is
    dropped. Immutable.
    """

    __slots__ = ("_terms",)

    def __init__(self, terms: Iterable[tuple[Coset, Tropical]] = ()) -> None:
        gathered: dict[Coset, Tropical] = {}
        for characters, exponent in terms:
            known = gathered.get(characters)
            gathered[characters] = exponent if known is None else known | exponent
        self._terms = _without_subsumed(gathered)

    @classmethod
    def single(cls, characters: Coset, exponent: TropicalLike) -> Terms:
        """Return one term; an infinite exponent gives zero."""
        e = Tropical.of(exponent)
        return cls._raw({} if e.is_infinite else {characters: e})

    @classmethod
    def _raw(cls, terms: dict[Coset, Tropical]) -> Terms:
        """Return terms that are known not to subsume each other."""
        self = object.__new__(cls)
        self._terms = terms
        return self

    def __iter__(self) -> Iterator[tuple[Coset, Tropical]]:
        return iter(self._terms.items())

    def __len__(self) -> int:
        return len(self._terms)

    def __bool__(self) -> bool:
        return bool(self._terms)

    @property
    def cosets(self) -> tuple[Coset, ...]:
        """The cosets that occur."""
        return tuple(self._terms)

    @property
    def smallest(self) -> Tropical:
        """The exponent of the largest term: the size of the whole."""
        return minimum(self._terms.values())

    # -- algebra ---------------------------------------------------------------------------------

    def __or__(self, other: Terms) -> Terms:
        """Return the sum of two values: the union of their terms."""
        if not other._terms or self is other:
            return self
        if not self._terms:
            return other
        return Terms((*self._terms.items(), *other._terms.items()))

    def __mul__(self, other: Terms) -> Terms:
        """Return the pointwise product."""
        if len(self._terms) == 1 == len(other._terms):
            ((u, e),), ((v, f),) = self._terms.items(), other._terms.items()
            return Terms._raw({product(u, v): e + f})
        return Terms(
            (product(u, v), e + f) for u, e in self._terms.items() for v, f in other._terms.items()
        )

    def shift(self, exponent: TropicalLike) -> Terms:
        """Return the value times n^-exponent."""
        by = Tropical.of(exponent)
        if by.number == 0 or not self._terms:
            return self
        if by.number is not None:  # keeps the order of exponents, so no term swallows another
            return Terms._raw({u: e + by for u, e in self._terms.items()})
        return Terms((u, e + by) for u, e in self)

    def times(self, characters: Coset) -> Terms:
        """Return the value with every character multiplied by others."""
        if len(self._terms) == 1:
            ((u, e),) = self._terms.items()
            return Terms._raw({product(u, characters): e})
        return Terms((product(u, characters), e) for u, e in self)

    def map(self, function: Callable[[Tropical], Tropical]) -> Terms:
        """Return the terms with their exponents changed, e.g. pruned or substituted."""
        return Terms((u, function(e)) for u, e in self)

    def inner(self, other: Terms, half: Number = HALF, full: Number | None = None) -> Tropical:
        """Return the exponent of the inner product over the width (theory, section 4).

        Terms whose characters agree obey the law of large numbers, e + f - 1; others only the
        central limit theorem, e + f - 1/2. `half` is one half in the caller's unit of exponents;
        `full` may be less than one, where less alignment than that is assumed.
        """
        central = Tropical.constant(-half)
        whole = Tropical.constant(-2 * half if full is None else -full)
        return minimum(
            e + f + (whole if intersects(u, v) else central) for u, e in self for v, f in other
        )

    # -- comparing -------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return self._terms == other._terms if isinstance(other, Terms) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._terms.items()))

    def __repr__(self) -> str:
        items = sorted(self, key=lambda item: item[0].sort_key)
        return "Terms{" + ", ".join(f"{u!r}: {e}" for u, e in items) + "}"


def _without_subsumed(terms: Mapping[Coset, Tropical]) -> dict[Coset, Tropical]:
    present = {u: e for u, e in terms.items() if e is not INFINITE and not e.is_infinite}
    if len(present) < 2:
        return present
    if all(e.number is not None for e in present.values()):
        kept = _kept(present)
        return {u: e for u, e in present.items() if u in kept}
    return {
        u: e
        for u, e in present.items()
        if not any(u is not v and contains(v, u) and e.at_least(f) for v, f in present.items())
    }


def _kept(terms: Mapping[Coset, Tropical]) -> set[Coset]:
    """Return the cosets that no larger term swallows: from the largest on, few are compared."""
    kept: set[Coset] = set()
    largest_first = sorted(terms, key=lambda u: (terms[u].number, -u.dimension))
    for u in largest_first:
        if not any(contains(v, u) for v in kept):
            kept.add(u)
    return kept


ZERO = Terms()
