"""Combinations of exponents as coordinates: ``a + b`` in the place of one of the two."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine

if TYPE_CHECKING:
    from tpc.ir.module import Module

_TERM = re.compile(r"\s*([+-]?)\s*(?:(\d+(?:/\d+)?)\s*\*?\s*)?([A-Za-z_]\w*)\s*")


def with_axes(
    module: Module, axes: Sequence[str], fixed: Collection[str]
) -> tuple[Module, tuple[str, ...]]:
    """Return the module in exponents among which the axes are, and what they are called there.

    An axis is the name of an exponent, or a combination of exponents with rational coefficients
    (``a + b``, ``c - 1/2*a``), which takes the place of one of them that is neither an axis nor in
    ``fixed``.

    Raises:
        TpcError: an axis is neither; or nothing of it is free.
    """
    values: dict[str, Affine] = {}
    names = []
    for axis in axes:
        form = _form(axis, module.exponents)
        if len(form.symbols) == 1 and form == Affine.symbol(form.symbols[0]):
            names.append(form.symbols[0])
            continue
        name = f"({form})"
        form = form.substitute(values)
        free = [s for s in form.symbols if s in module.exponents and s not in (*axes, *fixed)]
        if not free:
            raise TpcError(
                Diagnostic(
                    "E0934",
                    f"the axis `{axis}` is fixed by what is given besides",
                    help="leave one of its exponents out of --at and of the other axis",
                )
            )
        share = form.coefficient(free[0])
        rest = form - Affine.symbol(free[0]) * share
        found = (Affine.symbol(name) - rest) / share
        values = {s: value.substitute({free[0]: found}) for s, value in values.items()}
        values[free[0]] = found
        names.append(name)
    if not values:
        return module, tuple(names)
    made = module.with_exponents(values)
    new = tuple(name for name in names if name not in module.exponents)
    return replace(made, exponents=(*new, *made.exponents)), tuple(names)


def _form(axis: str, symbols: Iterable[str]) -> Affine:
    """Read a combination of exponents.

    Raises:
        TpcError: it is none.
    """
    total, place = Affine.of(0), 0
    while place < len(axis):
        match = _TERM.match(axis, place)
        if match is None or (place and not match[1]) or match[3] not in symbols:
            total = Affine.of(0)
            break
        number = Fraction(match[2] or 1) * (-1 if match[1] == "-" else 1)
        total = total + Affine.symbol(match[3]) * number
        place = match.end()
    if total.is_constant:
        said = ", ".join(symbols)
        raise TpcError(
            Diagnostic(
                "E0934",
                f"the program has no free exponent `{axis}`",
                help=f"its exponents are {said}, and an axis may be a combination of them: a + b",
            )
        )
    return total
