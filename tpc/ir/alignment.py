"""How far a weight and what it reads are aligned: the exponent that a sum over the width gains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

_FULL = Fraction(1)


@dataclass(frozen=True)
class Alignment:
    """Exponents of the width that a weight's sum over the width gains (Everett et al. 2024).

    With W = W_0 + dW and x = x_0 + dx, terms whose signs agree make ``W_0 dx`` n^omega, ``dW x_0``
    n^alpha and ``dW dx`` n^u times the product of their entries' sizes. Full alignment, the law of
    large numbers, is 1; none at all, the central limit theorem, is 1/2. An initial matrix from the
    width to the width acts on any vector by the latter, whatever omega.
    """

    omega: Fraction = _FULL
    alpha: Fraction = _FULL
    u: Fraction = _FULL

    @property
    def is_full(self) -> bool:
        """Whether nothing less than full alignment is assumed."""
        return self.omega == self.alpha == self.u == _FULL

    @property
    def parts(self) -> Mapping[str, Fraction]:
        """The exponents by name."""
        return {"omega": self.omega, "alpha": self.alpha, "u": self.u}

    def __str__(self) -> str:
        said = [f"{name} = {value}" for name, value in self.parts.items() if value != _FULL]
        return ", ".join(said) or "full"


FULL = Alignment()


def alignment_text(assumed: Mapping[str, Alignment]) -> str:
    """Return what is assumed about a program's weights, as a line of text."""
    groups: dict[str, list[str]] = {}
    for name, alignment in assumed.items():
        if not alignment.is_full:
            groups.setdefault(str(alignment), []).append(name)
    if not groups:
        return "alignment assumed: full"
    said = [f"{what} at {', '.join(names)}" for what, names in groups.items()]
    return f"alignment assumed: {'; '.join(said)}; full elsewhere"


def alignment_json(assumed: Mapping[str, Alignment]) -> dict[str, dict[str, str]]:
    """Return what is assumed, as JSON-ready data: the weights that are less than fully aligned."""
    return {
        name: {part: str(value) for part, value in alignment.parts.items()}
        for name, alignment in assumed.items()
        if not alignment.is_full
    }
