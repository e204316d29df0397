"""Tropical polynomials: the exponents of sizes, with or without symbols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import reduce
from typing import TypeAlias, Union

from tpc.exact import Affine, AffineLike
from tpc.scaling.polyhedron import Polyhedron

TropicalLike: TypeAlias = Union["Tropical", AffineLike]
Number: TypeAlias = int | Fraction


class Tropical:
    """The minimum of finitely many affine forms; of none, it is +infinity (exactly zero).

    A quantity of size n^-e has exponent e. `|` is the minimum (the size of a sum), `+` the sum (the
    size of a product), `*` a nonnegative rational multiple (a power). Of two forms that differ by a
    constant only the smaller one is kept, so without symbols there is at most one; that case holds
    a plain number and is fast.
    """

    __slots__ = ("_forms", "number")

    number: Number | None
    _forms: tuple[Affine, ...] | None

    def __init__(self, forms: Iterable[AffineLike] = ()) -> None:
        least: dict[tuple[tuple[str, int, int], ...], Affine] = {}
        for form in map(Affine.of, forms):
            known = least.get(form.shape)
            if known is None or form.const < known.const:
                least[form.shape] = form
        kept = [least[shape] for shape in sorted(least)] if len(least) > 1 else least.values()
        self._forms = tuple(kept)
        alone = len(self._forms) == 1 and self._forms[0].is_constant
        self.number = self._forms[0].const if alone else None

    @classmethod
    def of(cls, value: TropicalLike) -> Tropical:
        """Return an exponent as it is; a number or an affine form as an exponent."""
        if isinstance(value, Tropical):
            return value
        return cls.constant(value) if isinstance(value, (int, Fraction)) else cls([value])

    @classmethod
    def constant(cls, number: Number) -> Tropical:
        """Return the exponent that is a number."""
        self = object.__new__(cls)
        self.number = number
        self._forms = None
        return self

    @property
    def forms(self) -> tuple[Affine, ...]:
        """The forms whose minimum this is, in a fixed order."""
        if self._forms is None:
            assert self.number is not None
            self._forms = (Affine.of(self.number),)
        return self._forms

    @property
    def is_infinite(self) -> bool:
        """Whether this is +infinity: the quantity is exactly zero."""
        return self.number is None and not self.forms

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that occur, sorted."""
        return tuple(sorted({symbol for form in self.forms for symbol in form.symbols}))

    def as_fraction(self) -> Fraction | None:
        """Return the number that this is; None where it is infinite or symbolic."""
        return None if self.number is None else Fraction(self.number)

    # -- algebra ---------------------------------------------------------------------------------

    def __or__(self, other: Tropical) -> Tropical:
        if self.number is not None and other.number is not None:
            return self if self.number <= other.number else other
        if self is other or other.is_infinite:
            return self
        return other if self.is_infinite else Tropical((*self.forms, *other.forms))

    def __add__(self, other: TropicalLike) -> Tropical:
        if not isinstance(other, Tropical):
            other = Tropical.of(other)
        if self.number is not None and other.number is not None:
            return Tropical.constant(self.number + other.number)
        return Tropical(f + g for f in self.forms for g in other.forms)

    __radd__ = __add__

    def __mul__(self, factor: Number) -> Tropical:
        """Return a nonnegative multiple; zero times infinity is zero (the power 0^0 is 1)."""
        if factor < 0:
            raise ValueError(f"a negative multiple, {factor}, of a minimum is not a minimum")
        if self.number is not None:
            return Tropical.constant(self.number * factor)
        return Tropical(f * factor for f in self.forms) if factor else Tropical.constant(0)

    __rmul__ = __mul__

    def shift(self, form: AffineLike) -> Tropical:
        """Return the exponent after multiplication by n^-form."""
        return self + Tropical.of(form)

    def substitute(self, values: Mapping[str, AffineLike]) -> Tropical:
        """Replace symbols in every form."""
        if self.number is not None:
            return self
        return Tropical(form.substitute(values) for form in self.forms)

    def evaluate(self, point: Mapping[str, Number]) -> Fraction | None:
        """Return the value at a point, None for +infinity."""
        if self.number is not None:
            return Fraction(self.number)
        return min((form.evaluate(point) for form in self.forms), default=None)

    # -- order -----------------------------------------------------------------------------------

    def at_least(self, other: Tropical, region: Polyhedron | None = None) -> bool:
        """Return whether `self >= other`: evidently, or with `region` exactly on all of it.

        Evident is that each form lies above one form of `other` by a constant.
        """
        if self.number is not None and other.number is not None:
            return self.number >= other.number
        return all(_above(form, other.forms, region) for form in self.forms)

    def prune(self, region: Polyhedron, *, thorough: bool = True) -> Tropical:
        """Drop the forms that are nowhere on `region` needed for the minimum.

        Unless `thorough`, forms are compared one by one where there are few of them, which leaves
        those that only several others together make superfluous.
        """
        if len(self.forms) < 2 or region.is_empty:
            return self
        kept = region.lowest(self.forms, thorough=False)
        if len(kept) > 2 and (thorough or len(kept) > _FEW):
            kept = region.lowest(kept)
        return self if len(kept) == len(self.forms) else Tropical(kept)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tropical):
            return NotImplemented
        if self.number is not None or other.number is not None:
            return self.number == other.number
        return self.forms == other.forms

    def __hash__(self) -> int:
        return hash(self.number) if self.number is not None else hash(self.forms)

    # -- printing --------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self._render([str(form) for form in self.forms], "min({})", ", ", "inf")

    def __repr__(self) -> str:
        return f"Tropical({self})"

    def latex(self) -> str:
        """Return LaTeX without delimiters."""
        texts = [form.latex() for form in self.forms]
        return self._render(texts, r"\min\left({}\right)", ", ", r"\infty")

    @staticmethod
    def _render(texts: list[str], frame: str, glue: str, infinite: str) -> str:
        if len(texts) == 1:
            return texts[0]
        return frame.format(glue.join(texts)) if texts else infinite


INFINITE = Tropical()


def minimum(values: Iterable[Tropical]) -> Tropical:
    """Return the least of several exponents; +infinity of none."""
    return reduce(Tropical.__or__, values, INFINITE)


def _above(form: Affine, others: tuple[Affine, ...], region: Polyhedron | None) -> bool:
    if any(form.shape == other.shape and form.const >= other.const for other in others):
        return True
    return region is not None and bool(others) and region.above_minimum(form, others)


_FEW = 4
