"""Sizes of matrices with two width axes: initial weights and what training adds to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tpc.scaling.characters import TRIVIAL, Coset, contains, intersects, product
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Number, Tropical, TropicalLike, minimum

Pair = tuple[Coset, Coset]
Factor = tuple[str, bool]
#: Products of more weights than this are not told apart by their order.
_LONGEST = 2
_MANY = "products"


@dataclass(frozen=True, slots=True)
class Weight:
    """An initial Gaussian matrix as a factor: whose it is, its character, whether transposed.

    ``rows`` and ``columns`` are the characters of vectors by which its rows and columns have been
    multiplied, entry by entry: it stands for ``diag(r) W diag(c)``. A product of weights is a
    weight too, and so is a function of weights' entries: ``parts`` tells of which, and in which it
    is odd; ``factors`` are those of a product.
    """

    name: str
    character: Coset
    transposed: bool = False
    rows: Coset = TRIVIAL
    columns: Coset = TRIVIAL
    parts: tuple[tuple[Weight, bool], ...] = ()
    factors: tuple[Factor, ...] = ()

    @property
    def flipped(self) -> Weight:
        """The transpose."""
        return replace(self, transposed=not self.transposed, rows=self.columns, columns=self.rows)

    @property
    def plain(self) -> Weight:
        """The same without vectors at its sides."""
        return replace(self, rows=TRIVIAL, columns=TRIVIAL)

    @property
    def acts(self) -> Coset:
        """By which characters those of a vector are multiplied when it acts on the vector."""
        if self.rows is TRIVIAL is self.columns:
            return self.character
        return product(product(self.rows, self.character), self.columns)

    def dressed(self, rows: Coset, columns: Coset) -> Weight:
        """Return it with rows and columns multiplied by vectors of these characters."""
        if rows is TRIVIAL is columns:
            return self
        return replace(self, rows=product(self.rows, rows), columns=product(self.columns, columns))

    def inside(self, other: Weight) -> bool:
        """Return whether it is the other one, with fewer characters at its sides."""
        return (
            self.name == other.name
            and self.transposed == other.transposed
            and contains(other.rows, self.rows)
            and contains(other.columns, self.columns)
        )

    def followed_by(self, other: Weight) -> Weight:
        """Return the product of two weights: the first acts on what the second makes.

        It acts on a vector as one weight of both characters: each factor obeys the central limit
        theorem, and where the second is the first one's transpose, ``W W^T x`` contains x itself.
        """
        middle = product(self.columns, other.rows)
        character = product(product(self.character, middle), other.character)
        factors = _reduced((*_factors(self), *_factors(other)))
        if len(factors) > _LONGEST or any(name == _MANY for name, _ in factors):
            # all long ones of one character are taken for one: that can only enlarge a size
            many = ((_MANY, False),)
            return Weight(_MANY, character, False, self.rows, other.columns, factors=many)
        first, turned = min((factors, False), (_turned(factors), True))
        name = " ".join(name + "^T" * transposed for name, transposed in first)
        return Weight(name, character, turned, self.rows, other.columns, factors=first)

    def overlap(self, other: Weight) -> int:
        """Return how many halves of the width's exponent ``sum_ij A_ij B_ij`` gains: 4 at most."""
        made = self.factors or other.factors
        turned = self.transposed == other.transposed or bool(made)
        if self.character is not other.character or not turned:
            return 2
        sides = ((self.rows, other.rows), (self.columns, other.columns))
        return 2 + sum(intersects(*side) for side in sides)


def _factors(weight: Weight) -> tuple[Factor, ...]:
    """Return the names of the weights that a product is made of, and which are transposed."""
    found = weight.factors or ((weight.name, False),)
    return _turned(found) if weight.transposed else found


def _turned(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    return tuple((name, not transposed) for name, transposed in reversed(factors))


def _reduced(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """Return a long product without ``W W^T`` in it, which is the identity, and what fluctuates."""
    found = list(factors)
    place = 0
    while len(found) > _LONGEST and place + 1 < len(found):
        (first, turned), (second, again) = found[place : place + 2]
        if first == second and turned != again:
            del found[place : place + 2]
            place = 0
        else:
            place += 1
    return tuple(found) or factors[:2]


class Outer:
    """A matrix: a sum of multiples of initial weights and of outer products `u v^T`.

    `weights` maps initial weights to the exponent of their entries; `products` maps the characters
    of (u, v) to the exponent of the entries of `u v^T`. Only the matrix's action on vectors is ever
    asked for: an initial weight acts by the central limit theorem, an outer product by an inner
    product (theory, section 4). The empty matrix is exactly zero. Immutable.
    """

    __slots__ = ("products", "weights")

    def __init__(
        self,
        weights: Iterable[tuple[Weight, Tropical]] = (),
        products: Iterable[tuple[Pair, Tropical]] = (),
    ) -> None:
        self.weights: Mapping[Weight, Tropical] = _distinct(_gathered(weights))
        self.products: Mapping[Pair, Tropical] = _largest(_gathered(products))

    @classmethod
    def _raw(cls, weights: Mapping[Weight, Tropical], products: Mapping[Pair, Tropical]) -> Outer:
        """Return a matrix whose products are known not to swallow each other."""
        self = object.__new__(cls)
        self.weights = weights
        self.products = products
        return self

    @classmethod
    def weight(cls, weight: Weight, exponent: TropicalLike) -> Outer:
        """Return an initial weight whose entries are of size n^-exponent."""
        return cls([(weight, Tropical.of(exponent))])

    @classmethod
    def of(cls, rows: Terms, columns: Terms) -> Outer:
        """Return the outer product of two vectors."""
        products = {(u, v): e + f for u, e in rows for v, f in columns}
        if all(e.number is not None for e in products.values()):
            # no term of a vector swallows another, so with plain numbers no product does either
            return cls._raw({}, products)
        return cls((), products.items())

    def __bool__(self) -> bool:
        return bool(self.weights or self.products)

    @property
    def smallest(self) -> Tropical:
        """The exponent of the largest entries."""
        return minimum((*self.weights.values(), *self.products.values()))

    def __or__(self, other: Outer) -> Outer:
        """Return the sum of two matrices."""
        if not other or self is other:
            return self
        if not self:
            return other
        return Outer(
            (*self.weights.items(), *other.weights.items()),
            (*self.products.items(), *other.products.items()),
        )

    def shift(self, exponent: TropicalLike) -> Outer:
        """Return the matrix times n^-exponent."""
        by = Tropical.of(exponent)
        if by.number is None:
            return self.map(lambda e: e + by)
        if not by.number:
            return self
        return Outer._raw(
            {w: e + by for w, e in self.weights.items()},
            {pair: e + by for pair, e in self.products.items()},
        )

    def map(self, function: Callable[[Tropical], Tropical]) -> Outer:
        """Return the matrix with its exponents changed."""
        return Outer(
            ((w, function(e)) for w, e in self.weights.items()),
            ((pair, function(e)) for pair, e in self.products.items()),
        )

    @property
    def transposed(self) -> Outer:
        """The transpose."""
        return Outer._raw(
            {w.flipped: e for w, e in self.weights.items()},
            {(v, u): e for (u, v), e in self.products.items()},
        )

    def apply(self, vector: Terms, half: Number, full: Number | None = None) -> Terms:
        """Return the matrix times a vector; `half` and `full` are those of :meth:`Terms.inner`."""
        terms = [
            (product(weight.acts, u), e + f + Tropical.constant(-half))
            for weight, e in self.weights.items()
            for u, f in vector
        ]
        for (u, v), e in self.products.items():
            inner = Terms.single(v, e).inner(vector, half, full)
            terms.append((u, inner))
        return Terms(terms)

    def compose(self, other: Outer, half: Number) -> Outer:
        """Return the product of two matrices."""
        result = Outer(
            (w.followed_by(v), e + f + Tropical.constant(-half))
            for w, e in self.weights.items()
            for v, f in other.weights.items()
        )
        for (u, v), e in self.products.items():
            columns = other.transposed.apply(Terms.single(v, e), half)
            result = result | Outer.of(Terms.single(u, 0), columns)
        alone = Outer(self.weights.items())
        for (u, v), e in other.products.items():
            result = result | Outer.of(alone.apply(Terms.single(u, e), half), Terms.single(v, 0))
        return result

    def frobenius(self, other: Outer, half: Number, full: Number | None = None) -> Tropical:
        """Return the exponent of `sum_ij A_ij B_ij`; `full` is the alignment of the columns."""
        found = []
        for (u, v), e in self.products.items():
            columns = Terms.single(v, 0)
            moved = other.apply(columns, half, full)
            found.append(e + Terms.single(u, 0).inner(moved, half))
        for weight, e in self.weights.items():
            for other_weight, f in other.weights.items():
                gained = weight.overlap(other_weight) * half
                found.append(e + f + Tropical.constant(-gained))
            alone = Outer.weight(weight, e)
            for (u, v), f in other.products.items():
                moved = alone.apply(Terms.single(v, 0), half)
                found.append(f + Terms.single(u, 0).inner(moved, half))
        return minimum(found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outer):
            return NotImplemented
        return self.weights == other.weights and self.products == other.products

    def __hash__(self) -> int:
        return hash((frozenset(self.weights.items()), frozenset(self.products.items())))

    def __repr__(self) -> str:
        parts = [f"{w.name}{'^T' if w.transposed else ''}: {e}" for w, e in self.weights.items()]
        parts += [f"{u!r} {v!r}: {e}" for (u, v), e in self.products.items()]
        return "Outer{" + ", ".join(parts) + "}"


def _gathered(items: Iterable[tuple[object, Tropical]]) -> dict:  # type: ignore[type-arg]
    found: dict[object, Tropical] = {}
    for key, exponent in items:
        if exponent.is_infinite:
            continue
        known = found.get(key)
        found[key] = exponent if known is None else known | exponent
    return found


def _distinct(weights: dict[Weight, Tropical]) -> dict[Weight, Tropical]:
    """Drop weights that are part of an evidently larger one."""
    if len(weights) < 2:
        return weights
    return {
        w: e
        for w, e in weights.items()
        if not any(
            other is not w and w.inside(other) and e.at_least(f) for other, f in weights.items()
        )
    }


def _largest(products: dict[Pair, Tropical]) -> dict[Pair, Tropical]:
    """Drop products whose characters lie in those of an evidently larger one."""
    if len(products) < 2:
        return products
    if all(e.number is not None for e in products.values()):
        kept = _kept(products)
        return {pair: e for pair, e in products.items() if pair in kept}
    return {
        pair: e
        for pair, e in products.items()
        if not any(
            other is not pair and _inside(pair, other) and e.at_least(f)
            for other, f in products.items()
        )
    }


def _kept(products: dict[Pair, Tropical]) -> set[Pair]:
    """Return the pairs that no larger product swallows: from the largest on, few are compared."""
    kept: set[Pair] = set()
    largest_first = sorted(
        products, key=lambda pair: (products[pair].number, -pair[0].dimension - pair[1].dimension)
    )
    for pair in largest_first:
        if not any(_inside(pair, other) for other in kept):
            kept.add(pair)
    return kept


def _inside(pair: Pair, other: Pair) -> bool:
    return contains(other[0], pair[0]) and contains(other[1], pair[1])


NO_MATRIX = Outer()
