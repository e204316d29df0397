"""Classifications and regions as text: what the command line prints and --emit shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.scaling.classification import exponent_text
from tpc.scaling.text import chains_text, classification_text

if TYPE_CHECKING:
    from tpc.scaling.classification import Classification

__all__ = ["chains_text", "classification_text", "exponents_text"]


def exponents_text(found: Classification) -> str:
    """Return the exponents of every named value, weight and consumed value, one on a line."""
    lines = [f"{found.kind.value}, after {found.steps} training steps"]
    for name, size in {**found.values, **found.outputs}.items():
        lines.append(f"value {name}: {exponent_text(size.init)}, {exponent_text(size.change)}")
    for name, weight in found.weights.items():
        update, output = exponent_text(weight.update), exponent_text(weight.output)
        lines.append(f"weight {name}: {update}, {output}, {weight.status.value}")
    for value in found.consumed:
        init, change = exponent_text(value.init), exponent_text(value.change)
        lines.append(f"{value.role} {value.what}: {init}, {change}")
    return "\n".join(lines) + "\n"
