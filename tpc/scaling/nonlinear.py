"""Sizes and characters of functions of vectors (theory, section 4, transfer rules)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.scaling.characters import TRIVIAL, Coset, contains, even_span, odd_span, product, span
from tpc.scaling.terms import ZERO, Terms

if TYPE_CHECKING:
    from tpc.scaling.domain import Domain

_HIGHEST_POWER = 4


@dataclass(frozen=True)
class Shape:
    """What matters of a function phi: its parity, and whether it vanishes at zero."""

    parity: str = "none"
    vanishes: bool = False


def nonlinear(init: Terms, change: Terms, shape: Shape, domain: Domain) -> tuple[Terms, Terms]:
    """Return value at initialisation and change of `phi(h)`, h = init + change.

    The part of h of order one at initialisation, the bulk, makes `phi(bulk)` with every character
    of the group that its own generate (odd phi: odd products only; even phi: even ones). All else
    is expanded around it: a power k of the rest comes with the characters of the k-th derivative at
    the bulk. Powers are added until a further factor leads to no new characters, after the second
    mostly.
    """
    bulk = tuple(u for u, e in init if domain.is_zero(e))
    rest = Terms((u, e) for u, e in init if not domain.is_zero(e))
    start = _derivative(bulk, shape, 0)
    first = ZERO if start is None else Terms.single(start, 0)
    return (
        _expand(rest, ZERO, bulk, shape, domain, first),
        _expand(rest, change, bulk, shape, domain, ZERO) if change else ZERO,
    )


def _expand(
    rest: Terms, change: Terms, bulk: tuple[Coset, ...], shape: Shape, domain: Domain, total: Terms
) -> Terms:
    """Add the powers of `rest + change` with at least one factor `change` (if there is one)."""
    factor = rest | change
    power = change or rest
    for k in range(1, _HIGHEST_POWER + 1):
        if not power:
            break
        characters = _derivative(bulk, shape, k)
        if characters is not None:
            total = _simplified(total | power.times(characters), domain)
        following = [c for order in (k + 1, k + 2) if (c := _derivative(bulk, shape, order))]
        if k > 1 and all(_known(power, factor, c, total, domain) for c in following):
            break
        power = _simplified(power * factor, domain)
    return total


def _known(power: Terms, factor: Terms, characters: Coset, total: Terms, domain: Domain) -> bool:
    """Whether a further factor, of exponent >= 0, leads to nothing that is not there yet."""
    return all(
        any(
            contains(v, product(product(u, w), characters)) and domain.at_least(e, f)
            for v, f in total
        )
        for u, e in power
        for w, _ in factor
    )


def _simplified(terms: Terms, domain: Domain) -> Terms:
    value = domain.simplify(terms)
    assert isinstance(value, Terms)
    return value


def _derivative(bulk: tuple[Coset, ...], shape: Shape, order: int) -> Coset | None:
    """Return the characters of the derivative of phi at the bulk, None where it vanishes."""
    odd = shape.parity == ("even" if order % 2 else "odd")
    if not bulk:
        absent = odd or (order == 0 and shape.vanishes)
        return None if absent else TRIVIAL
    if shape.parity == "none":
        return span(*bulk)
    return odd_span(*bulk) if odd else even_span(*bulk)
