"""Classifications and regions as text and as JSON-ready data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.alignment import alignment_json, alignment_text
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
        # without a step there is no update to speak of
        shown = len(_WEIGHTS_HEAD) if found.steps or found.r is not None else 2
        weights = [(name, *_weight(w))[:shown] for name, w in found.weights.items()]
        parts.append(_table(_WEIGHTS_HEAD[:shown], weights))
    if found.findings:
        parts.append("\n".join(f"{each.name}: {each.text}" for each in found.findings))
    if found.kind in ("unstable", "degenerate"):
        parts.append(_mend_text(found))
    parts.append(alignment_text(found.alignment))
    parts += [f"note: {note}" for note in found.notes]
    return "\n\n".join(parts)


_WEIGHTS_HEAD = (
    "weight",
    "own output, initially",
    "by its update",
    "output, by its update",
    "update is",
)


def _mend_text(found: Classification) -> str:
    if found.mend is None:
        return "no change of a single exponent mends it"
    return f"the smallest change that mends it: {found.mend.text()}"


def _pair(size: ValueSize) -> tuple[str, str]:
    return size_text(size.init), size_text(size.change)


def _weight(weight: WeightSize) -> tuple[str, str, str, str]:
    status = "too fast" if weight.status == "unstable" else weight.status.value
    sizes = (weight.initial, weight.update, weight.output)
    first, second, third = map(size_text, sizes)
    return first, second, third, status


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


def weights_why_text(found: Classification) -> str:
    """Return why every weight's update does what it does; of alike weights in a family, once."""
    shown: dict[object, Chain] = {}
    for name, chain in found.weight_chains().items():
        weight = found.weights[name]
        key = (name.partition("[")[0], weight.update, len(chain.steps), weight.status)
        shown.setdefault(key, chain)
    return chains_text(shown.values())


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
        "weights": {
            name: _weight_json(found.weights[name], chain)
            for name, chain in found.weight_chains().items()
        },
        "findings": [
            {
                "name": each.name,
                "text": each.text,
                "weights": list(each.weights),
                "values": list(each.values),
            }
            for each in found.findings
        ],
        "mend": None if found.mend is None else found.mend.to_json(),
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
        "why": [_chain_json(chain) for chain in found.chains()],
        "alignment": alignment_json(found.alignment),
        "notes": list(found.notes),
    }


def _size_json(size: ValueSize) -> dict[str, str]:
    return {"init": exponent_text(size.init), "change": exponent_text(size.change)}


def _chain_json(chain: Chain) -> dict[str, Any]:
    steps = [{"size": step.size, "text": step.text, "line": step.line} for step in chain.steps]
    return {"what": chain.title, "steps": steps}


def _weight_json(weight: WeightSize, chain: Chain) -> dict[str, Any]:
    return {
        "initial": exponent_text(weight.initial),
        "update": exponent_text(weight.update),
        "status": weight.status.value,
        "output": exponent_text(weight.output),
        "initial_output": exponent_text(weight.initial_output),
        "shrinkage": exponent_text(weight.shrinkage),
        "uses": [
            {
                "where": use.where,
                "line": use.line,
                "initial": exponent_text(use.initial),
                "update": exponent_text(use.update),
            }
            for use in weight.uses
        ],
        "why": _chain_json(chain),
    }
