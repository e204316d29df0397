"""The order of exponents: plain numbers, or forms compared on a polyhedron of parametrizations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import lcm

from tpc.exact import Affine, AffineLike
from tpc.scaling.characters import contains
from tpc.scaling.outer import Outer, _inside
from tpc.scaling.polyhedron import Polyhedron, solve
from tpc.scaling.state import Value
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Number, Tropical, minimum
from tpc.scaling.widen import widen


class Split(Exception):  # noqa: N818 - control flow: the analysis goes on in parts of the region
    """The region must be cut before the analysis can go on; `cells` cover what is of interest."""

    def __init__(self, cells: Sequence[Polyhedron]) -> None:
        super().__init__(f"{len(cells)} cells")
        self.cells = tuple(cells)


class Domain:
    """Numeric exponents. They are counted in units of 1/`unit`, so that almost all are integers."""

    def __init__(
        self, exponents: Iterable[Affine] = (), values: Mapping[str, AffineLike] | None = None
    ) -> None:
        self._values = values or {}
        self.unit = 2 * lcm(1, *(form.const.denominator for form in exponents))
        self.half: Number = self.unit // 2

    symbolic = False

    def exponent(self, form: AffineLike) -> Tropical:
        """Return an exponent of the program as the analysis counts it."""
        value = Affine.of(form).substitute(self._values).as_fraction()
        if value is None:
            raise LookupError(f"the exponent {form} has no value")
        number = value * self.unit
        return Tropical.constant(number.numerator if number.denominator == 1 else number)

    def plain(self, exponent: Tropical) -> Tropical:
        """Return an exponent in the program's own unit."""
        if exponent.number is None:
            return exponent
        return Tropical.constant(Fraction(exponent.number) / self.unit)

    def at_least(self, e: Tropical, f: Tropical) -> bool:
        """Return whether `e >= f`."""
        return e.at_least(f)

    def is_zero(self, exponent: Tropical) -> bool:
        """Return whether an exponent is 0: the quantity is of order one."""
        return exponent.number == 0

    def require_zero(self, exponent: Tropical) -> None:
        """Restrict the analysis to where the exponent is 0."""

    def require_nonnegative(self, exponent: Tropical) -> None:
        """Restrict the analysis to where the exponent is >= 0."""

    def single(self, exponent: Tropical) -> Tropical:
        """Return the exponent as one form, which may be subtracted."""
        return exponent

    def difference(self, e: Tropical, f: Tropical) -> Tropical:
        """Return `e - f`, the exponent of a quotient; f is finite."""
        least = self.single(f)
        if least.number is not None:
            return e + Tropical.constant(-least.number)
        return e + Tropical([-least.forms[0]])

    def positive_part(self, exponent: Tropical) -> Tropical:
        """Return `max(e, 0)` of a single form: the exponent of `min(1, n^-e)`."""
        number = exponent.number
        return Tropical.constant(0) if number is not None and number < 0 else exponent

    def simplify(self, value: Value) -> Value:
        """Drop what is never the largest part of a value, and bound its number of terms."""
        return widen(value)

    def covers(self, old: Value, new: Value) -> bool:
        """Return whether adding `new` to `old` changes nothing."""
        if isinstance(old, Terms) and isinstance(new, Terms):
            return all(any(contains(v, u) and self.at_least(e, f) for v, f in old) for u, e in new)
        assert isinstance(old, Outer)
        assert isinstance(new, Outer)
        weights = all(
            any(w.inside(v) and self.at_least(e, f) for v, f in old.weights.items())
            for w, e in new.weights.items()
        )
        return weights and all(
            self.at_least(e, minimum(f for p, f in old.products.items() if _inside(pair, p)))
            for pair, e in new.products.items()
        )


class SymbolicDomain(Domain):
    """Exponents with symbols, compared on a region that shrinks while conditions are found.

    What the region says about equalities is substituted everywhere, so that forms are short.
    Inequalities are added to `region` as they are met; an equality restarts the analysis (`Split`
    with one cell), an ambiguous minimum cuts the region.
    """

    symbolic = True

    def __init__(self, region: Polyhedron) -> None:
        self.unit = 1
        self.half = Fraction(1, 2)
        self.region = region
        solution = solve(region.affine_hull())
        self._solution = solution or {}
        self._pruned: dict[Tropical, Tropical] = {}
        self._pruned_on = region

    def exponent(self, form: AffineLike) -> Tropical:
        """Return an exponent with the solved symbols replaced."""
        return Tropical([Affine.of(form).substitute(self._solution)])

    def plain(self, exponent: Tropical) -> Tropical:
        """Return the exponent itself."""
        return exponent

    def at_least(self, e: Tropical, f: Tropical) -> bool:
        """Return whether `e >= f` on all of the region."""
        return e.at_least(f, self.region)

    def require_zero(self, exponent: Tropical) -> None:
        """Restrict the analysis to where the exponent is 0: one cell for each form that may be.

        Raises:
            Split: it is not 0 on all of the region yet.
        """
        exponent = exponent.prune(self.region)
        if self.is_zero(exponent):
            return
        cells = []
        for form in exponent.forms:
            others = [g for g in exponent.forms if g is not form]
            cells.append(self.region.with_constraints(others, [form]))
        raise Split([cell for cell in cells if not cell.is_empty])

    def require_nonnegative(self, exponent: Tropical) -> None:
        """Restrict the analysis to where the exponent is >= 0.

        Raises:
            Split: that is nowhere the case, or only where further equalities hold.
        """
        new = [form for form in exponent.forms if not self.region.implies(form)]
        if not new:
            return
        smaller = self.region.with_constraints(new)
        if smaller.is_empty:
            raise Split([])
        if smaller.dimension < self.region.dimension:
            raise Split([smaller])
        self.region = Polyhedron(smaller.symbols, smaller.irredundant(), smaller.affine_hull())

    def single(self, exponent: Tropical) -> Tropical:
        """Return the exponent as one form.

        Raises:
            Split: several forms are the least in different parts of the region.
        """
        exponent = exponent.prune(self.region)
        if len(exponent.forms) <= 1:
            return exponent
        cells = []
        for form in exponent.forms:
            gaps = [g - form for g in exponent.forms if g is not form]
            cells.append(self.region.with_constraints(gaps))
        raise Split([cell for cell in cells if not cell.is_empty])

    def positive_part(self, exponent: Tropical) -> Tropical:
        """Return `max(e, 0)` of a single form.

        Raises:
            Split: its sign differs in different parts of the region.
        """
        (form,) = exponent.forms
        if self.region.implies(form):
            return exponent
        if self.region.implies(-form):
            return Tropical.constant(0)
        raise Split([self.region.with_constraints([side]) for side in (form, -form)])

    def simplify(self, value: Value) -> Value:
        """Prune every exponent on the region, and drop what other characters cover there."""
        if isinstance(value, Outer):
            return widen(value.map(self._prune))
        pruned = value.map(self._prune)
        if len(pruned) < 2:
            return pruned
        kept = list(pruned)
        for item in tuple(kept):
            u, e = item
            rest = [other for other in kept if other is not item]
            if any(contains(v, u) and self.at_least(e, f) for v, f in rest):
                kept = rest
        return widen(pruned if len(kept) == len(pruned) else Terms(kept))

    def _prune(self, exponent: Tropical) -> Tropical:
        if self._pruned_on is not self.region:
            self._pruned, self._pruned_on = {}, self.region
        known = self._pruned.get(exponent)
        if known is None:
            known = self._pruned[exponent] = exponent.prune(self.region, thorough=False)
        return known
