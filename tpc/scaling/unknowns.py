"""What is solved for: two numbers per weight, however many exponents express them.

What a weight does depends on the entry exponent ``p = a + b`` of its initial value and on the
exponent q of the coefficient of its update: ``2a + c`` where steps are linear in gradients,
``a + c`` where they do not depend on their scale, c where they are relative to the weight (theory,
sections 4 and 6). Which a, b and c make them up is the gauge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.exact import Affine

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec

#: How often the multiplier enters the coefficient of an update, by kind of optimizer.
MULTIPLICITY: Mapping[str, int] = MappingProxyType(
    {"linear": 2, "entrywise": 1, "spectral": 1, "parameter_scaled": 0}
)


@dataclass(frozen=True)
class Triple:
    """The exponents of one weight."""

    a: Fraction
    b: Fraction
    c: Fraction


@dataclass(frozen=True)
class Unknown:
    """A weight, what is stated about it (a, b, c are None where free), and how it moves.

    ``kind`` is that of its optimizer, None for a weight that does not move. ``multiplier`` is the a
    that the gauge wants.
    """

    spec: ParamSpec
    kind: str | None
    multiplier: Fraction

    @property
    def multiplicity(self) -> int:
        """How often a enters q."""
        return MULTIPLICITY[self.kind or "linear"]

    @property
    def free_p(self) -> bool:
        """Whether the size of the initial entries is solved for."""
        return self.spec.init == "normal" and (self.spec.a is None or self.spec.b is None)

    @property
    def free_q(self) -> bool:
        """Whether the size of the update is solved for."""
        if self.kind is None:
            return False
        return self.spec.c is None or self._multiplier_is_spare

    @property
    def _multiplier_is_spare(self) -> bool:
        """Whether a given c leaves a to make the update what it must be."""
        stated = self.spec
        return stated.a is None and stated.b is None and self.multiplicity > 0

    @property
    def gauge_is_free(self) -> bool:
        """Whether nothing fixes the multiplier."""
        return None is self.spec.a is self.spec.b is self.spec.c

    def start(self) -> tuple[Fraction | None, Fraction | None]:
        """Return p and q as far as what is stated fixes them."""
        a, b, c = (_number(getattr(self.spec, which)) for which in ("a", "b", "c"))
        p = None if a is None or b is None else a + b
        fixed = c is not None and (a is not None or not self.multiplicity)
        q = None if not fixed else (a or Fraction(0)) * self.multiplicity + (c or Fraction(0))
        return p, q

    def triple(self, p: Fraction, q: Fraction | None) -> Triple:
        """Return exponents that make up p and q; where q is not known yet, those for c = 0."""
        a, b, c = (_number(getattr(self.spec, which)) for which in ("a", "b", "c"))
        times = self.multiplicity
        if a is None:
            if c is not None and b is None and times and q is not None and self.kind is not None:
                a = (q - c) / times
            else:
                a = self.multiplier if b is None else p - b
        if b is None:
            b = p - a
        if c is None:
            c = Fraction(0) if q is None else q - times * a
        return Triple(a, b, c)


def _number(exponent: Affine | None) -> Fraction | None:
    return None if exponent is None else exponent.const


def with_triples(module: Module, triples: Mapping[str, Triple]) -> Module:
    """Return the module with these exponents."""
    params = {
        name: replace(
            spec,
            a=Affine.of(triples[name].a),
            b=Affine.of(triples[name].b),
            c=Affine.of(triples[name].c),
        )
        for name, spec in module.params.items()
    }
    return replace(module, params=MappingProxyType(params))
