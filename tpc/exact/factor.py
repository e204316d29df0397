"""Factoring as far as it is cheap, and powers that are refused before they are computed."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

MAX_BITS = 8192  # about 2466 decimal digits, well below Python's limit for printing an int
_LIMIT = 1000


def _small_primes() -> tuple[int, ...]:
    return tuple(p for p in range(2, _LIMIT) if all(p % q for q in range(2, isqrt(p) + 1)))


PRIMES = _small_primes()


def factor(number: Fraction) -> dict[int, Fraction]:
    """Return bases and exponents whose product is the positive rational `number`.

    Only primes below 1000 are tried. What is left is taken as one base, after roots have been
    taken out of it: `base^k` is found where it is an exact power.
    """
    powers: dict[int, Fraction] = {}
    for part, sign in ((number.numerator, 1), (number.denominator, -1)):
        for base, power in _factor_whole(part):
            powers[base] = powers.get(base, Fraction(0)) + sign * power
    return {base: power for base, power in powers.items() if power}


def _factor_whole(number: int) -> list[tuple[int, int]]:
    found = []
    for prime in PRIMES:
        if prime * prime > number:
            break
        count = 0
        while number % prime == 0:
            number //= prime
            count += 1
        if count:
            found.append((prime, count))
    if number > 1:
        found.append(_perfect_power(number))
    return found


def _perfect_power(number: int) -> tuple[int, int]:
    """Return (base, k) with `base^k == number` and k as large as possible."""
    total = 1
    for k in PRIMES:
        # every prime factor of what is left is at least 1000 > 2^9
        while number.bit_length() > 9 * k:
            root = _root(number, k)
            if root**k != number:
                break
            number, total = root, total * k
    return number, total


def _root(number: int, k: int) -> int:
    """Return the integer part of the k-th root, by Newton's iteration from above."""
    if k == 2:
        return isqrt(number)
    x = 1 << -(-number.bit_length() // k)
    while True:
        y = ((k - 1) * x + number // x ** (k - 1)) // k
        if y >= x:
            return x
        x = y


def whole_power(base: Fraction, exponent: int) -> Fraction:
    """Return `base^exponent`; OverflowError, without computing it, where it is absurdly large."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if bits * abs(exponent) > MAX_BITS:
        raise OverflowError(
            f"an exact power of about {bits * abs(exponent)} bits: at most {MAX_BITS} are supported"
        )
    if abs(base) == 1:  # the only bases with bits == 0
        return base if exponent % 2 else Fraction(1)
    return Fraction(base**exponent)
