"""Exact real constants in a canonical product form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias, Union

from tpc.exact import constant_text, decimals
from tpc.exact.factor import MAX_BITS, factor, whole_power

ConstantLike: TypeAlias = Union["Constant", Fraction, int]
MAX_TERMS = 64
MAX_WHOLE_POWER_OF_SUM = 8
MAX_DEPTH = 60


class Opaque:
    """An atom that is no integer: `pi`, `exp(x)`, `log(x)`, or a sum of unlike terms.

    Atoms are compared by structure. `args` is empty for pi, the argument for exp and log, and the
    terms for a sum (integer coefficients without a common factor, positive as a whole).
    """

    __slots__ = ("_hash", "args", "depth", "kind")

    def __init__(self, kind: str, args: tuple[Constant, ...] = ()) -> None:
        self.kind = kind
        self.args = args
        self.depth = 1 + max((_depth(argument) for argument in args), default=0)
        if self.depth > MAX_DEPTH:
            raise OverflowError(f"a constant nested more than {MAX_DEPTH} deep")
        self._hash = hash((kind, args))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Opaque):
            return NotImplemented
        return self._hash == other._hash and (self.kind, self.args) == (other.kind, other.args)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Opaque({self.kind}, {', '.join(map(str, self.args))})"


def _depth(number: Constant) -> int:
    return max((a.depth for a, _ in number.factors if isinstance(a, Opaque)), default=0)


Atom: TypeAlias = int | Opaque
Factors: TypeAlias = tuple[tuple[Atom, Fraction], ...]


class Constant:
    """An exact real number `rational * product of atom^exponent`.

    Atoms are primes (and integers without a small prime factor, which are not factored further),
    `pi`, exponentials, logarithms and sums of unlike terms. Exponents of integer atoms lie strictly
    between 0 and 1, so numbers made of rationals and roots of integers with small prime factors
    have one form and compare exactly. Other equalities, between nested roots or around integers
    that are too large to factor, are not searched for: such numbers compare as different.

    Raises ValueError for what is not real (a root or a logarithm of a negative number),
    ZeroDivisionError for division by zero, and OverflowError for rationals of more than 8192 bits
    such as 10^(10^9) and for absurdly deep nesting: callers turn them into diagnostics.
    """

    __slots__ = ("__dict__", "factors", "rational")

    rational: Fraction
    factors: Factors

    def __init__(self, rational: Fraction | int = 0) -> None:
        self._fill(Fraction(rational), ())

    def _fill(self, rational: Fraction, factors: Factors) -> None:
        bits = max(rational.numerator.bit_length(), rational.denominator.bit_length())
        if bits > MAX_BITS:
            raise OverflowError(f"an exact number of {bits} bits: at most {MAX_BITS} are supported")
        object.__setattr__(self, "rational", rational)
        object.__setattr__(self, "factors", factors if rational else ())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Constant is immutable: cannot set {name!r}")

    @classmethod
    def _raw(cls, rational: Fraction, factors: Factors) -> Constant:
        self = object.__new__(cls)
        self._fill(rational, factors)
        return self

    @classmethod
    def of(cls, value: ConstantLike) -> Constant:
        """Return `value` as a constant; floats are refused, decimals come as Fractions."""
        if isinstance(value, Constant):
            return value
        if isinstance(value, (int, Fraction)):
            return cls(value)
        raise TypeError(f"not an exact number: {value!r}")

    @classmethod
    def pi(cls) -> Constant:
        """Return the number pi."""
        return PI

    @classmethod
    def sqrt(cls, value: ConstantLike) -> Constant:
        """Return the square root; ValueError for a negative number."""
        return cls.of(value) ** Fraction(1, 2)

    @classmethod
    def exp(cls, value: ConstantLike) -> Constant:
        """Return `e^value`, the sum in the exponent becoming a product of atoms."""
        result = ONE
        for term in cls.of(value)._terms():
            # exp(q x) is exp(x)^q, and exp(q log(x)) is x^q
            inner = term.factors[0][0] if len(term.factors) == 1 else None
            if isinstance(inner, Opaque) and inner.kind == "log" and term.factors[0][1] == 1:
                result = result * inner.args[0] ** term.rational
            elif not term.is_zero:
                unit = cls._raw(Fraction(1), term.factors)
                atom = Opaque("exp", (unit,))
                result = result * cls._raw(Fraction(1), ((atom, term.rational),))
        return result

    @classmethod
    def log(cls, value: ConstantLike) -> Constant:
        """Return the natural logarithm; ValueError unless the number is positive."""
        number = cls.of(value)
        if number.sign <= 0:
            raise ValueError(f"the logarithm of {number} is not real")
        total = ZERO
        for base, power in factor(number.rational).items():
            total = total + _log_atom(base) * power
        for atom, exponent in number.factors:
            total = total + _log_atom(atom) * exponent
        return total

    # -- reading ---------------------------------------------------------------------------------

    @property
    def is_zero(self) -> bool:
        """Whether this is the number 0."""
        return not self.rational

    @property
    def is_one(self) -> bool:
        """Whether this is the number 1."""
        return self.rational == 1 and not self.factors

    @property
    def sign(self) -> int:
        """The sign, -1, 0 or 1: atoms are positive, so it is the rational's."""
        return (self.rational > 0) - (self.rational < 0)

    def as_fraction(self) -> Fraction | None:
        """Return the rational that this is, None if it is none (or not known to be one)."""
        return None if self.factors else self.rational

    @cached_property
    def value(self) -> float:
        """The nearest float; infinite, 0.0 or NaN where no float holds it, never an exception."""
        return decimals.to_float(self)

    def _terms(self) -> tuple[Constant, ...]:
        """Return the terms of a sum; any other number is its own only term."""
        match self.factors:
            case ((Opaque(kind="sum") as atom, exponent),) if exponent == 1:
                return tuple(
                    Constant._raw(term.rational * self.rational, term.factors) for term in atom.args
                )
        return (self,)

    # -- arithmetic ------------------------------------------------------------------------------

    def __add__(self, other: ConstantLike) -> Constant:
        if not isinstance(other, (Constant, int, Fraction)):
            return NotImplemented
        return _sum((*self._terms(), *Constant.of(other)._terms()))

    __radd__ = __add__

    def __neg__(self) -> Constant:
        return Constant._raw(-self.rational, self.factors)

    def __sub__(self, other: ConstantLike) -> Constant:
        if not isinstance(other, (Constant, int, Fraction)):
            return NotImplemented
        return self + (-Constant.of(other))

    def __rsub__(self, other: ConstantLike) -> Constant:
        return Constant.of(other) - self

    def __mul__(self, other: ConstantLike) -> Constant:
        if isinstance(other, (int, Fraction)):
            return Constant._raw(self.rational * other, self.factors)
        if not isinstance(other, Constant):
            return NotImplemented
        if not self.factors or not other.factors:
            return Constant._raw(self.rational * other.rational, self.factors or other.factors)
        powers = dict(self.factors)
        for atom, exponent in other.factors:
            powers[atom] = powers.get(atom, Fraction(0)) + exponent
        return _product(self.rational * other.rational, powers)

    __rmul__ = __mul__

    def __truediv__(self, other: ConstantLike) -> Constant:
        if not isinstance(other, (Constant, int, Fraction)):
            return NotImplemented
        return self * Constant.of(other) ** -1

    def __rtruediv__(self, other: ConstantLike) -> Constant:
        return Constant.of(other) / self

    def __pow__(self, exponent: Fraction | int) -> Constant:
        if not isinstance(exponent, (int, Fraction)):
            return NotImplemented
        exponent = Fraction(exponent)
        if exponent == 0:
            return ONE
        if self.is_zero and exponent < 0:
            raise ZeroDivisionError("zero has no negative power")
        if self.is_zero or exponent == 1:
            return self
        powers = {atom: power * exponent for atom, power in self.factors}
        if exponent.denominator == 1:
            return _product(whole_power(self.rational, exponent.numerator), powers)
        if self.rational < 0:
            raise ValueError(f"({self})^({exponent}) is not real")
        for base, power in factor(self.rational).items():
            powers[base] = powers.get(base, Fraction(0)) + power * exponent
        return _product(Fraction(1), powers)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Constant):
            return self.rational == other.rational and self.factors == other.factors
        if isinstance(other, (int, Fraction)):
            return not self.factors and self.rational == other
        return NotImplemented

    @cached_property
    def _hash(self) -> int:
        return hash((self.rational, self.factors)) if self.factors else hash(self.rational)

    def __hash__(self) -> int:
        return self._hash

    # -- printing --------------------------------------------------------------------------------

    @cached_property
    def _text(self) -> str:
        return constant_text.text(self)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Constant({self})"

    def factor_text(self) -> str:
        """Return the text, in parentheses where it is a sum: a factor of a product."""
        return f"({self})" if len(self._terms()) > 1 else str(self)

    def latex(self, as_factor: bool = False) -> str:
        """Return LaTeX without delimiters; `as_factor` puts a sum in parentheses."""
        body = constant_text.latex(self)
        return rf"\left({body}\right)" if as_factor and len(self._terms()) > 1 else body


def _atom_key(atom: Atom) -> tuple[int, int, str, str]:
    if isinstance(atom, int):
        return (0, atom, "", "")
    return (1, 0, atom.kind, ", ".join(map(str, atom.args)))


def _product(rational: Fraction, powers: Mapping[Atom, Fraction]) -> Constant:
    """Return the canonical product; whole powers of sums are multiplied out while that is small."""
    kept: dict[Atom, Fraction] = {}
    sums: list[tuple[Constant, ...]] = []
    size = 1
    for atom, exponent in powers.items():
        whole = exponent.numerator // exponent.denominator
        if isinstance(atom, int) and whole:
            rational *= whole_power(Fraction(atom), whole)
            exponent -= whole
        elif isinstance(atom, Opaque) and atom.kind == "sum" and whole > 0:
            grown = size * len(atom.args) ** min(whole, MAX_WHOLE_POWER_OF_SUM + 1)
            if grown <= MAX_TERMS and whole <= MAX_WHOLE_POWER_OF_SUM:
                size, exponent = grown, exponent - whole
                sums += [atom.args] * whole
        if exponent:
            kept[atom] = exponent
    factors = tuple(sorted(kept.items(), key=lambda item: _atom_key(item[0])))
    return _multiply_out(Constant._raw(rational, factors), sums)


def _multiply_out(head: Constant, sums: list[tuple[Constant, ...]]) -> Constant:
    terms = [head]
    for addends in sums:
        terms = [term for left in terms for right in addends for term in (left * right)._terms()]
    return head if not sums else _sum(terms)


def _sum(terms: Iterable[Constant]) -> Constant:
    """Return the canonical sum: like terms gathered, the common rational taken out."""
    gathered: dict[Factors, Fraction] = {}
    for term in terms:
        gathered[term.factors] = gathered.get(term.factors, Fraction(0)) + term.rational
    parts = [Constant._raw(q, factors) for factors, q in gathered.items() if q]
    if not parts:
        return ZERO
    if len(parts) == 1:
        return parts[0]
    parts.sort(key=lambda part: [(_atom_key(a), e) for a, e in part.factors])
    content = decimals.content(part.rational for part in parts)
    if decimals.sign_of_sum(parts) < 0:
        content = -content
    reduced = tuple(Constant._raw(part.rational / content, part.factors) for part in parts)
    return Constant._raw(content, ((Opaque("sum", reduced), Fraction(1)),))


def _log_atom(atom: Atom) -> Constant:
    if isinstance(atom, Opaque) and atom.kind == "exp":
        return atom.args[0]
    argument = Constant(atom) if isinstance(atom, int) else _single(atom)
    if argument.is_one:
        return ZERO
    return (
        _single(Opaque("log", (argument,))) if not _below_one(argument) else -_small_log(argument)
    )


def _below_one(argument: Constant) -> bool:
    """Whether the logarithm is negative: atoms must be positive."""
    return decimals.sign_of_sum((argument, Constant(-1))) < 0


def _small_log(argument: Constant) -> Constant:
    return _single(Opaque("log", (argument**-1,)))


def _single(atom: Atom) -> Constant:
    return Constant._raw(Fraction(1), ((atom, Fraction(1)),))


ZERO = Constant(0)
ONE = Constant(1)
PI = _single(Opaque("pi"))
