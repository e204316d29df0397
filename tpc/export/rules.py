"""The rules that exports print: numbers and powers of width over base width, weights alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.report.solved import Formula, families, row

if TYPE_CHECKING:
    from tpc.scaling.solved import Solved, Weight

#: What epsilon is at the base width where the program has none: frameworks divide 0 by 0 without.
_EPS = Constant.of(10) ** -8


@dataclass(frozen=True)
class Rule:
    """One line of an export: a pattern of parameter names and what these parameters get.

    Values are Python expressions, as text; "None" where there is nothing to say.
    """

    pattern: str
    weights: str
    role: str
    optimizer: str
    mult: str
    std: str
    fill: str
    lr: str
    weight_decay: str
    eps: str

    def entries(self) -> str:
        """Return the values as the inside of a dict display."""
        keys = [f.name for f in fields(self) if f.name not in ("pattern", "weights", "role")]
        return "".join(f'            "{key}": {getattr(self, key)},\n' for key in keys)


def rules(solved: Solved, base_width: int) -> Iterator[Rule]:
    """Yield a rule for all weights that are alike."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, weight in solved.weights.items():
        alike.setdefault(_values(weight, base_width), []).append(name)
    for values, names in alike.items():
        yield Rule(pattern(names), ", ".join(families(names)), *values)


def _values(weight: Weight, base_width: int) -> tuple[str, ...]:
    found = row(weight, base_width)
    eps = found.eps
    if eps is None and weight.gradient is not None:
        eps = Formula(_EPS, -weight.gradient)
    moves = found.rate is not None
    return (
        weight.role.value,
        f'"{weight.optimizer}"' if weight.optimizer else "None",
        _pair(found.multiplier),
        _pair(found.deviation),
        {"normal": "None", "zero": "0.0", "one": "1.0"}[weight.init],
        _pair(found.rate),
        _pair(found.decay) if moves else "None",
        _pair(eps) if moves else "None",
    )


def _pair(formula: Formula | None) -> str:
    if formula is None:
        return "None"
    return f"({formula.constant.value!r}, {_power(formula)})"


def _power(formula: Formula) -> str:
    power = formula.power
    return str(power) if power.denominator == 1 else f"{power.numerator} / {power.denominator}"


def pattern(names: Sequence[str]) -> str:
    """Return a regular expression for the names of weights, as frameworks spell them.

    ``W[2]`` is looked for as ``W.2`` or ``W_2``, alone or as ``W.2.weight`` within a module.
    """
    spelt = []
    for block in families(names):
        family, _, index = block.rstrip("]").partition("[")
        axes = (_axis(part.strip()) for part in index.split(",") if part.strip())
        spelt.append("[._]".join([re.escape(family), *axes]))
    return rf"(^|\.)({'|'.join(spelt)})($|\.weight$)"


def _axis(part: str) -> str:
    first, dots, last = part.partition("..")
    return f"({'|'.join(map(str, range(int(first), int(last) + 1)))})" if dots else part
