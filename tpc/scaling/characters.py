"""Characters: by which signs a value answers to flipping the signs of the initial weights.

Flipping one randomly initialised weight, P -> -P, is an exact symmetry of the initial law. The
weights with whose signs a value changes its own form its character, an element of Z_2^k: a bitmask
with one bit per weight. A nonlinearity mixes characters, so what is carried are cosets of subspaces
of Z_2^k: sets of characters, any of which may be present.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_interned: dict[tuple[int, tuple[int, ...]], Coset] = {}


class Coset:
    """The set `offset + span(basis)` of characters; equal cosets are the same object.

    `basis` is in reduced row echelon form with respect to leading bits, in descending order, and
    `offset` has none of the leading bits: both are then unique. Made by :func:`coset`.
    """

    __slots__ = ("basis", "offset", "space")

    def __init__(self, offset: int, space: _Space) -> None:
        self.offset = offset
        self.space = space
        self.basis = space.basis

    @property
    def dimension(self) -> int:
        """The number of independent generators of its directions."""
        return len(self.basis)

    def __repr__(self) -> str:
        return f"Coset({self.offset:b} + <{', '.join(f'{v:b}' for v in self.basis)}>)"

    @property
    def sort_key(self) -> tuple[int, int, tuple[int, ...]]:
        """A total order for deterministic output."""
        return (len(self.basis), self.offset, self.basis)


class _Space:
    """A subspace: basis vectors by leading bit, reduced at all times.

    Spaces of cosets are interned, so that sums of two of them are made once.
    """

    __slots__ = ("_basis", "mask", "pivots")

    def __init__(self, pivots: dict[int, int], mask: int) -> None:
        self.pivots = pivots
        self.mask = mask
        self._basis: tuple[int, ...] | None = None

    def with_vectors(self, vectors: Iterable[int]) -> _Space:
        """Return the span of this space and further vectors; itself where they add nothing."""
        space = self
        for vector in vectors:
            rest = space.reduce(vector)
            if rest:
                if space is self:
                    space = _Space(dict(self.pivots), self.mask)
                space._insert(rest)
        return space

    def _insert(self, rest: int) -> None:
        pivot = 1 << (rest.bit_length() - 1)
        for other, value in self.pivots.items():
            if value & pivot:
                self.pivots[other] = value ^ rest
        self.pivots[pivot] = rest
        self.mask |= pivot

    def reduce(self, vector: int) -> int:
        """Clear the leading bits in `vector`: zero exactly for members."""
        hits = vector & self.mask
        while hits:
            pivot = hits & -hits
            vector ^= self.pivots[pivot]  # touches no other leading bit: the basis is reduced
            hits ^= pivot
        return vector

    @property
    def basis(self) -> tuple[int, ...]:
        if self._basis is None:
            self._basis = tuple(sorted(self.pivots.values(), reverse=True))
        return self._basis


_NULL = _Space({}, 0)
_spaces: dict[tuple[int, ...], _Space] = {(): _NULL}


def coset(offset: int = 0, vectors: Iterable[int] = ()) -> Coset:
    """Return the coset `offset + span(vectors)`."""
    return _intern(offset, _NULL.with_vectors(vectors))


def _intern(offset: int, space: _Space) -> Coset:
    key = (space.reduce(offset), space.basis)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Coset(key[0], _spaces.setdefault(space.basis, space))
    return found


TRIVIAL = coset()


def generator(index: int) -> Coset:
    """Return the character of the weight with this number alone."""
    return coset(1 << index)


def _join(parts: Iterable[Coset]) -> _Space:
    """Return the sum of the parts' directions."""
    spaces = sorted({part.space for part in parts}, key=lambda space: -len(space.basis))
    total = spaces[0]
    for space in spaces[1:]:
        total = _sum(total, space)
    return total


@lru_cache(maxsize=1 << 16)
def _sum(a: _Space, b: _Space) -> _Space:
    found = a.with_vectors(b.basis)
    return _spaces.setdefault(found.basis, found)


@lru_cache(maxsize=1 << 16)
def product(a: Coset, b: Coset) -> Coset:
    """Return the characters of products: sums of offsets, sum of subspaces."""
    return _intern(a.offset ^ b.offset, _join((a, b)))


@lru_cache(maxsize=1 << 16)
def intersects(a: Coset, b: Coset) -> bool:
    """Return whether a character belongs to both: only then E[Z^u Z^v] need not vanish."""
    return a is b or not _join((a, b)).reduce(a.offset ^ b.offset)


@lru_cache(maxsize=1 << 16)
def contains(a: Coset, b: Coset) -> bool:
    """Return whether every character of `b` is one of `a`."""
    if len(a.basis) < len(b.basis) or a.space.reduce(a.offset ^ b.offset):
        return False
    return a.space is b.space or not any(map(a.space.reduce, b.basis))


@lru_cache(maxsize=1 << 16)
def span(*parts: Coset) -> Coset:
    """Return the group that the parts generate: the characters of a generic function of them."""
    return _intern(0, _join(parts).with_vectors(part.offset for part in parts))


@lru_cache(maxsize=1 << 16)
def odd_span(*parts: Coset) -> Coset:
    """Return the odd products of the parts' characters (their affine hull): an odd function."""
    return _intern(parts[0].offset, even_span(*parts).space)


@lru_cache(maxsize=1 << 16)
def even_span(*parts: Coset) -> Coset:
    """Return the even products of the parts' characters: an even function of them."""
    differences = (part.offset ^ parts[0].offset for part in parts)
    return _intern(0, _join(parts).with_vectors(differences))
