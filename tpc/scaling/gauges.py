"""Gauges: which exponents a, b and c express the sizes p and q of a weight.

Under updates that are linear in gradients ``(a, b, c) -> (a + t, b - t, c - 2t)`` changes nothing,
under scale-free ones ``c - t`` (Yang & Hu 2020, TP4; Yang & Littwin 2023, TP4b; Yang et al. 2021,
TP5, whose tables 3, 8 and 9 are three choices of a by the role that a weight plays).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from tpc.parametrize.roles import Role

_HALF = Fraction(1, 2)
_INPUTS = (Role.INPUT, Role.BIAS, Role.GAIN)

#: What each gauge is.
GAUGES: Mapping[str, str] = MappingProxyType(
    {
        "table3": "no multipliers: initial values and learning rates alone depend on the width",
        "unit": "no multipliers (another name of table3)",
        "table8": "readouts are multiplied by n^-1; fits tied embeddings",
        "table9": "multipliers n^(1/2) on inputs, n^(-1/2) on readouts (TP4's muP under SGD)",
        "equal": "multipliers such that all weights have one learning rate",
    }
)

_MULTIPLIERS: Mapping[str, Mapping[Role, Fraction]] = MappingProxyType(
    {
        "table3": {},
        "unit": {},
        "equal": {},
        "table8": {Role.READOUT: Fraction(1)},
        "table9": dict.fromkeys(_INPUTS, -_HALF) | {Role.READOUT: _HALF},
    }
)


def multiplier(gauge: str, role: Role, written: Fraction) -> Fraction:
    """Return the exponent a that a gauge gives a role.

    ``written`` is the exponent of the powers of the width that the program itself multiplies the
    weight's results by: with a readout ``n^-1 * (V @ h)`` nothing is left to do in table 8.
    """
    wanted = _MULTIPLIERS[gauge].get(role)
    return Fraction(0) if wanted is None else wanted - written


def entry_exponent(role: Role) -> Fraction:
    """Return a stand-in for p where the initial value is exactly zero or one."""
    if role is Role.READOUT:
        return Fraction(1)
    return _HALF if role is Role.HIDDEN else Fraction(0)
