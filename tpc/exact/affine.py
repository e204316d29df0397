"""Affine forms with rational coefficients: the exponents of the width."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias, Union

AffineLike: TypeAlias = Union["Affine", Fraction, int]

_GREEK = frozenset(
    {
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
        *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi"),
        *("psi", "omega"),
    }
)


class Affine:
    """An affine form `const + sum_i coefficient_i * symbol_i` over the rationals.

    Immutable and hashable; `terms` is sorted by symbol and holds no zero coefficient, so equal
    forms compare equal. A form without symbols equals the int or Fraction that it stands for.
    """

    __slots__ = ("__dict__", "const", "terms")

    const: Fraction
    terms: tuple[tuple[str, Fraction], ...]

    def __init__(
        self,
        const: Fraction | int = 0,
        terms: Mapping[str, Fraction | int] | Iterable[tuple[str, Fraction | int]] = (),
    ) -> None:
        pairs = terms.items() if isinstance(terms, Mapping) else terms
        gathered: dict[str, Fraction] = {}
        for symbol, coefficient in pairs:
            gathered[symbol] = gathered.get(symbol, Fraction(0)) + coefficient
        ordered = tuple(sorted((s, q) for s, q in gathered.items() if q))
        object.__setattr__(self, "const", Fraction(const))
        object.__setattr__(self, "terms", ordered)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Affine is immutable: cannot set {name!r}")

    @classmethod
    def of(cls, value: AffineLike) -> Affine:
        """Return `value` itself if it is an `Affine`, else the constant form."""
        if isinstance(value, Affine):
            return value
        if isinstance(value, (int, Fraction)):
            return cls._raw(Fraction(value), ())
        raise TypeError(f"not an exact number: {value!r}")

    @classmethod
    def symbol(cls, name: str) -> Affine:
        """Return the form that consists of one symbol."""
        return cls._raw(Fraction(0), ((name, Fraction(1)),))

    @classmethod
    def _raw(cls, const: Fraction, terms: tuple[tuple[str, Fraction], ...]) -> Affine:
        self = object.__new__(cls)
        object.__setattr__(self, "const", const)
        object.__setattr__(self, "terms", terms)
        return self

    @property
    def is_constant(self) -> bool:
        """Whether no symbol occurs."""
        return not self.terms

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that occur, sorted."""
        return tuple(symbol for symbol, _ in self.terms)

    @cached_property
    def _coefficients(self) -> dict[str, Fraction]:
        return dict(self.terms)

    def coefficient(self, symbol: str) -> Fraction:
        """Return the coefficient of `symbol` (0 where it does not occur)."""
        return self._coefficients.get(symbol, Fraction(0))

    def as_fraction(self) -> Fraction | None:
        """Return the value of a constant form, None if a symbol occurs."""
        return None if self.terms else self.const

    def substitute(self, values: Mapping[str, AffineLike]) -> Affine:
        """Replace symbols, all at once; symbols without a value stay."""
        if not any(symbol in values for symbol, _ in self.terms):
            return self
        total = Affine._raw(self.const, ())
        for symbol, coefficient in self.terms:
            image = Affine.of(values[symbol]) if symbol in values else Affine.symbol(symbol)
            total = total + image * coefficient
        return total

    def evaluate(self, point: Mapping[str, Fraction | int]) -> Fraction:
        """Return the value at `point`; KeyError names a symbol without a value."""
        return sum((q * point[s] for s, q in self.terms), self.const)

    def __add__(self, other: AffineLike) -> Affine:
        if isinstance(other, (int, Fraction)):
            return Affine._raw(self.const + other, self.terms)
        if not isinstance(other, Affine):
            return NotImplemented
        if not other.terms or not self.terms:
            return Affine._raw(self.const + other.const, self.terms or other.terms)
        return Affine._raw(self.const + other.const, _merged(self.terms, other.terms))

    __radd__ = __add__

    def __neg__(self) -> Affine:
        return Affine._raw(-self.const, tuple((s, -q) for s, q in self.terms))

    def __sub__(self, other: AffineLike) -> Affine:
        return self + (-other)

    def __rsub__(self, other: AffineLike) -> Affine:
        return (-self) + other

    def __mul__(self, factor: Fraction | int) -> Affine:
        if not isinstance(factor, (int, Fraction)):
            return NotImplemented
        if not factor:
            return ZERO
        return Affine._raw(self.const * factor, tuple((s, q * factor) for s, q in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Fraction | int) -> Affine:
        if not isinstance(divisor, (int, Fraction)):
            return NotImplemented
        return self * (Fraction(1) / divisor)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Affine):
            return self.const == other.const and self.terms == other.terms
        if isinstance(other, (int, Fraction)):
            return not self.terms and self.const == other
        return NotImplemented

    @cached_property
    def shape(self) -> tuple[tuple[str, int, int], ...]:
        """The terms as plain integers: a key, quicker to hash, of forms up to constants."""
        return tuple((s, q.numerator, q.denominator) for s, q in self.terms)

    @cached_property
    def _hash(self) -> int:
        if not self.terms:
            return hash(self.const)  # equal numbers have equal hashes
        return hash((self.shape, self.const.numerator, self.const.denominator))

    def __hash__(self) -> int:
        return self._hash

    @property
    def sort_key(self) -> tuple[tuple[tuple[str, Fraction], ...], Fraction]:
        """A total order for deterministic output; it has no mathematical meaning."""
        return (self.terms, self.const)

    def __str__(self) -> str:
        return _join([_text_term(q, s) for s, q in self.terms], self.const, str)

    def __repr__(self) -> str:
        return f"Affine({self})"

    def latex(self) -> str:
        """Return the form as LaTeX, without delimiters."""
        return _join([_latex_term(q, s) for s, q in self.terms], self.const, _latex_fraction)


def _merged(
    x: tuple[tuple[str, Fraction], ...], y: tuple[tuple[str, Fraction], ...]
) -> tuple[tuple[str, Fraction], ...]:
    """Add two sorted lists of terms."""
    found = []
    i = j = 0
    while i < len(x) and j < len(y):
        (s, p), (t, q) = x[i], y[j]
        if s == t:
            if p != -q:
                found.append((s, p + q))
            i, j = i + 1, j + 1
        elif s < t:
            found.append(x[i])
            i += 1
        else:
            found.append(y[j])
            j += 1
    return (*found, *x[i:], *y[j:])


ZERO = Affine._raw(Fraction(0), ())


def _join(terms: list[str], const: Fraction, render: Callable[[Fraction], str]) -> str:
    if const or not terms:
        terms = [*terms, render(const)]
    text = terms[0]
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def _text_term(coefficient: Fraction, symbol: str) -> str:
    sign, size = ("-" if coefficient < 0 else ""), abs(coefficient)
    head = "" if size.numerator == 1 else f"{size.numerator}*"
    tail = "" if size.denominator == 1 else f"/{size.denominator}"
    return f"{sign}{head}{symbol}{tail}"


def _latex_term(coefficient: Fraction, symbol: str) -> str:
    name = latex_symbol(symbol)
    if abs(coefficient) == 1:
        return f"-{name}" if coefficient < 0 else name
    return f"{_latex_fraction(coefficient)} {name}"


def _latex_fraction(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def latex_symbol(name: str) -> str:
    r"""Return a name as LaTeX: `a1` becomes `a_{1}`, `eta` `\eta`, `lr_in` `\mathrm{lr}_{in}`."""
    match = re.fullmatch(r"([^\W\d_]+)_?(\w*)", name)
    if match is None:
        return r"\mathrm{" + name.replace("_", r"\_") + "}"
    base, index = match.groups()
    if base in _GREEK:
        base = "\\" + base
    elif len(base) > 1:
        base = rf"\mathrm{{{base}}}"
    return base + (f"_{{{index}}}" if index else "").replace("_", r"\_").replace(r"\_{", "_{")
