"""Classifications and regions as text and as JSON-ready data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tpc.scaling.classification import Classification, ValueSize, exponent_text

if TYPE_CHECKING:
    from tpc.scaling.classification import Exponent, WeightSize
    from tpc.scaling.reasons import Chain


def size_text(exponent: Exponent) -> str:
    """Return n^-exponent as text: `n^-1/2`, `1` for order one, `0` for exactly zero."""
    if exponent == math.inf:
        return "0"
    return f"n^{-exponent}" if exponent else "1"


def classification_text(found: Classification) -> str:
    """Return a classification as text: the verdict, then tables of values and weights."""
    parts = [found.verdict]
    if found.r is not None:
        parts[0] += f"; r = {exponent_text(found.r)}"
    if found.kind in ("unstable", "degenerate"):
        parts.append(f"sizes as of training step {found.steps}, where the analysis ended")
    rows = [(name, *_pair(size)) for name, size in found.values.items()]
    rows += [(k, *_pair(v)) for k, v in found.outputs.items() if k not in found.values]
    parts.append(_table(("value", "at initialisation", "change"), rows))
    if found.weights:
        weights = [(name, *_weight(w)) for name, w in found.weights.items()]
        parts.append(_table(("weight", "update", "moves the output by", "status"), weights))
    parts += [f"note: {note}" for note in found.notes]
    return "\n\n".join(parts)


def _pair(size: ValueSize) -> tuple[str, str]:
    return size_text(size.init), size_text(size.change)


def _weight(weight: WeightSize) -> tuple[str, str, str]:
    return size_text(weight.update), size_text(weight.output), weight.status.value


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def chains_text(chains: Iterable[Chain]) -> str:
    """Return chains of reasons as text: each is a title and indented steps."""
    blocks = []
    for chain in chains:
        lines = [chain.title]
        for step in chain.steps:
            where = "" if step.line is None else f"  (line {step.line})"
            lines.append(f"    {step.size:10} {step.text}{where}")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def classification_json(found: Classification) -> dict[str, Any]:
    """Return a classification as JSON-ready data, rationals as strings."""
    return {
        "schema": 1,
        "kind": found.kind.value,
        "r": None if found.r is None else exponent_text(found.r),
        "dynamics": found.dynamics,
        "steps": found.steps,
        "verdict": found.verdict,
        "output": _size_json(found.output),
        "outputs": {name: _size_json(size) for name, size in found.outputs.items()},
        "values": {name: _size_json(size) for name, size in found.values.items()},
        "weights": {name: _weight_json(weight) for name, weight in found.weights.items()},
        "consumed": [
            {
                "what": value.what,
                "line": value.line,
                "role": value.role,
                "init": exponent_text(value.init),
                "change": exponent_text(value.change),
            }
            for value in found.consumed
        ],
        "why": [
            {
                "what": chain.title,
                "steps": [
                    {"size": step.size, "text": step.text, "line": step.line}
                    for step in chain.steps
                ],
            }
            for chain in found.chains()
        ],
        "notes": list(found.notes),
    }


def _size_json(size: ValueSize) -> dict[str, str]:
    return {"init": exponent_text(size.init), "change": exponent_text(size.change)}


def _weight_json(weight: WeightSize) -> dict[str, Any]:
    return {
        "update": exponent_text(weight.update),
        "status": weight.status.value,
        "output": exponent_text(weight.output),
        "shrinkage": exponent_text(weight.shrinkage),
        "uses": [
            {"where": use.where, "line": use.line, "update": exponent_text(use.update)}
            for use in weight.uses
        ],
    }
