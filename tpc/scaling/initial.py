"""Where among its exponents a program is degenerate: some preactivation vanishes at initialisation.

The region of stability needs every preactivation at order one. Here they may be smaller, and no
training step is made: what is left are the conditions that nothing blows up at initialisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.exact import Affine
from tpc.parametrize.acting import acting
from tpc.scaling.classify import analyse
from tpc.scaling.domain import Split, SymbolicDomain
from tpc.scaling.polyhedron import Polyhedron
from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.ir.module import Module

_MOST_CELLS = 200


class _InitialDomain(SymbolicDomain):
    """Preactivations are of order one, or vanish: the region is cut into the two cases."""

    def __init__(self, region: Polyhedron, vanishing: tuple[Affine, ...]) -> None:
        super().__init__(region)
        self.vanishing = vanishing
        self.positive: list[Affine] = []

    def require_zero(self, exponent: Tropical) -> None:
        """Go on where the exponent is 0, or where it is known that it is meant to be positive.

        Raises:
            Split: neither has been decided yet.
        """
        exponent = exponent.prune(self.region)
        if self.is_zero(exponent) or exponent.is_infinite:
            return
        form = self.single(exponent).forms[0]
        if form in self.vanishing:
            self.positive.append(form)
            return
        raise _Cases(self.region, form)


class _Cases(Exception):  # noqa: N818 - control flow, like Split
    def __init__(self, region: Polyhedron, form: Affine) -> None:
        super().__init__(str(form))
        self.region, self.form = region, form


def degenerate_cells(
    module: Module, at: Mapping[str, Affine]
) -> Iterator[tuple[Polyhedron, tuple[Affine, ...]]]:
    """Yield polyhedra of a plane of exponents, and forms: where all of them are > 0 the program is
    degenerate.

    Raises:
        TpcError: an op has no rule for exponents.
    """
    start = Polyhedron(module.exponents, (), (Affine.symbol(s) - f for s, f in at.items()))
    untrained = replace(acting(module), loss=None, optimizers=())
    waiting: list[tuple[Polyhedron, tuple[Affine, ...]]] = [(start, ())]
    for _ in range(_MOST_CELLS):
        if not waiting:
            return
        region, vanishing = waiting.pop()
        if region.is_empty:
            continue
        domain = _InitialDomain(region, vanishing)
        try:
            analyse(untrained, domain)
        except Split as split:
            waiting += [(cell, vanishing) for cell in split.cells]
        except _Cases as cases:
            zero = cases.region.with_constraints((), [cases.form])
            above = cases.region.with_constraints([cases.form])
            waiting += [(zero, vanishing), (above, (*vanishing, cases.form))]
        else:
            if domain.positive:
                yield domain.region, tuple(dict.fromkeys(domain.positive))
