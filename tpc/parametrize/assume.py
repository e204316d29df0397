"""Assumptions about the alignment of weights with what they read, by weight, family or role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.alignment import FULL, Alignment
from tpc.ir.module import Module
from tpc.parametrize.roles import Role, roles

_LEAST, _MOST = Fraction(1, 2), Fraction(1)
_PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "omega": ("omega",),
        "alpha": ("alpha",),
        "u": ("u",),
        "updates": ("alpha", "u"),
        "all": ("omega", "alpha", "u"),
    }
)


def assume(module: Module, stated: Mapping[str, Fraction | int | str]) -> Module:
    """Return the module with alignments that are assumed.

    Keys are ``WHO`` or ``WHO.PART``. WHO is a weight, a family, a role (``readout``, ``hidden``,
    ...) or ``all``; PART is ``omega`` (the default: the initial weight with the changes of what it
    reads), ``alpha`` (its update with what it read at first), ``u`` (its update with the changes),
    ``updates`` (both of these) or ``all``. Later ones win.

    Raises:
        TpcError: there is no such weight, role or part, or a value is not within [1/2, 1].
    """
    found = dict(module.alignment)
    for key, value in stated.items():
        who, _, part = key.partition(".")
        parts = dict.fromkeys(_parts(part), _exponent(key, value))
        for name in _members(module, who):
            found[name] = replace(found.get(name, FULL), **parts)
    kept = {name: found[name] for name in module.params if not found.get(name, FULL).is_full}
    return replace(module, alignment=MappingProxyType(kept))


def _parts(part: str) -> tuple[str, ...]:
    known = _PARTS.get(part or "omega")
    if known is None:
        raise _refused(f"an alignment has no part `{part}`", f"its parts are {', '.join(_PARTS)}")
    return known


def _exponent(key: str, value: Fraction | int | str) -> Fraction:
    try:
        exponent = Fraction(value)
    except (ValueError, ZeroDivisionError):
        exponent = Fraction(0)
    if not _LEAST <= exponent <= _MOST:
        raise _refused(
            f"the alignment {key} = {value} is not a rational from 1/2 to 1",
            "1/2 is no alignment, 1 is full alignment",
        )
    return exponent


def _members(module: Module, who: str) -> list[str]:
    played = roles(module)
    names = [
        name
        for name in module.params
        if who in ("all", name, name.partition("[")[0], played[name].value)
    ]
    if not names and who not in list(Role):
        weights = ", ".join(dict.fromkeys(name.partition("[")[0] for name in module.params))
        raise _refused(
            f"`{who}` is neither a weight nor a role",
            f"weights are {weights}; roles are {', '.join(Role)}; or `all`",
        )
    return names


def _refused(headline: str, help_: str) -> TpcError:
    return TpcError(Diagnostic("E0937", headline, help=help_))


__all__ = ["Alignment", "assume"]
