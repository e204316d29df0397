"""The maximal-update parametrization as a table and as JSON-ready data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient, Constant

if TYPE_CHECKING:
    from tpc.scaling.solved import Solved, Weight

_MEMBER = re.compile(r"(?P<family>.+)\[(?P<index>[\d, ]+)\]")


@dataclass(frozen=True)
class Formula:
    """A constant times a power of n or, with a base width N, of n/N."""

    constant: Constant
    power: Fraction

    def text(self, base: int | None) -> str:
        """Return the formula as text, exact."""
        if not self.power:
            return str(self.constant)
        width = "n" if base is None else f"(n/{base})"
        exponent = str(self.power) if self.power.denominator == 1 else f"({self.power})"
        power = width if self.power == 1 else f"{width}^{exponent}"
        return power if self.constant.is_one else f"{self.constant} {power}"

    def to_json(self) -> dict[str, str]:
        """Return the formula as JSON-ready data."""
        return {"constant": str(self.constant), "power": str(self.power)}


@dataclass(frozen=True)
class Row:
    """The formulas of one weight; None where there is nothing to say.

    With a base width N everything is such that a model of that width has no powers of the width but
    the usual ``N^(-1/2)`` of weights that sum over it.
    """

    multiplier: Formula
    deviation: Formula | None
    rate: Formula | None
    decay: Formula | None
    eps: Formula | None


def row(weight: Weight, base: int | None) -> Row:
    """Return the formulas of a weight."""
    sigma = weight.sigma
    if base is not None and weight.fan_in:
        sigma = sigma / Constant.sqrt(Constant.of(base))
    return Row(
        multiplier=Formula(weight.mult, -weight.a),
        deviation=Formula(sigma, -weight.b) if weight.init == "normal" else None,
        rate=_formula(weight.rate),
        decay=_formula(weight.decay),
        eps=_formula(weight.eps),
    )


def _formula(coefficient: Coefficient | None) -> Formula | None:
    if coefficient is None:
        return None
    return Formula(coefficient.constant, coefficient.power.const)


def solved_text(solved: Solved, base: int | None = None) -> str:
    """Return the parametrization as text: a row for all weights that are alike."""
    columns = ("weight", "role", "multiplier", "initial std", "learning rate")
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, weight in solved.weights.items():
        alike.setdefault(_cells(weight, row(weight, base), base), []).append(name)
    rows = [(", ".join(families(names)), *cells) for cells, names in alike.items()]
    head = [*columns, "weight decay", "epsilon"]
    kept = [i for i in range(len(head)) if i < len(columns) or any(r[i] != "-" for r in rows)]
    table = _table([[line[i] for i in kept] for line in (head, *rows)])
    used = dict.fromkeys(w.optimizer for w in solved.weights.values() if w.optimizer)
    under = f" under {', '.join(used)}" if used else ""
    parts = [f"maximal update{under}, gauge {solved.gauge}", table]
    if solved.classification is not None:
        parts.append(solved.classification.verdict)
    return "\n\n".join(parts)


def rates_text(rates: Mapping[str, Fraction]) -> str:
    """Return the largest stable learning rates as text: powers of the width."""
    alike: dict[Fraction, list[str]] = {}
    for name, c in rates.items():
        alike.setdefault(c, []).append(name)
    one = Constant.of(1)
    rows = [
        (", ".join(families(names)), str(c), Formula(one, -c).text(None))
        for c, names in alike.items()
    ]
    return _table([("weight", "c", "largest stable learning rate"), *rows])


def _cells(weight: Weight, found: Row, base: int | None) -> tuple[str, ...]:
    texts = [found.multiplier, found.deviation, found.rate, found.decay, found.eps]
    cells = ["-" if f is None else f.text(base) for f in texts]
    if found.deviation is None:
        cells[1] = weight.init
    if found.rate is None:
        cells[2] = "frozen" if weight.optimizer is None else "-"
    return (weight.role.value, *cells)


def families(names: Iterable[str]) -> list[str]:
    """Return names with whole blocks of a family as one: `Q[1..12, 1..4]`."""
    members: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        match = _MEMBER.fullmatch(name)
        if match is None:
            members[name] = []
        else:
            index = tuple(int(i) for i in match["index"].split(","))
            members.setdefault(match["family"], []).append(index)
    return [name for family, found in members.items() for name in _block(family, found)]


def _block(family: str, found: Sequence[tuple[int, ...]]) -> list[str]:
    if not found:
        return [family]
    axes = [sorted(set(axis)) for axis in zip(*found, strict=True)]
    size = 1
    for axis in axes:
        size *= len(axis)
    whole = size == len(found) and all(a[-1] - a[0] == len(a) - 1 for a in axes)
    if not whole:
        return [f"{family}[{', '.join(map(str, index))}]" for index in found]
    ranges = (str(a[0]) if len(a) == 1 else f"{a[0]}..{a[-1]}" for a in axes)
    return [f"{family}[{', '.join(ranges)}]"]


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def solved_json(solved: Solved, base: int | None = None) -> dict[str, Any]:
    """Return the parametrization as JSON-ready data, rationals as strings (docs/json.md)."""
    return {
        "schema": 1,
        "gauge": solved.gauge,
        "base_width": base,
        "kind": None if solved.classification is None else solved.classification.kind.value,
        "weights": {name: _weight_json(w, row(w, base)) for name, w in solved.weights.items()},
        "warnings": [str(warning) for warning in solved.warnings],
    }


def _weight_json(weight: Weight, found: Row) -> dict[str, Any]:
    formulas = {
        "multiplier": found.multiplier,
        "deviation": found.deviation,
        "rate": found.rate,
        "decay": found.decay,
        "eps": found.eps,
    }
    return {
        "role": weight.role.value,
        "a": str(weight.a),
        "b": str(weight.b),
        "c": str(weight.c),
        "init": weight.init,
        "optimizer": weight.optimizer,
        "stated": weight.stated,
        **{key: None if f is None else f.to_json() for key, f in formulas.items()},
    }
