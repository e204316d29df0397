"""Growth from step to step: exponents that fall by the same amount again and again.

A loop through training (scores move keys, keys move queries, queries move scores) multiplies what
runs through it by a fixed power of the width. The exponents of such a run form an arithmetic
progression: with a negative difference it crosses zero sooner or later, however many steps that
takes; with a nonnegative one it adds nothing to the first term. So the difference decides.

What starts from zero wakes up one weight after another, and that may look like a progression for as
many steps as there are weights: nothing is concluded before.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from tpc.exact import Affine
from tpc.scaling.domain import Domain
from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.scaling.interpret import Judged

_FIRST = 6
_LONGEST_PERIOD = 4
_TERMS = 3


class History:
    """The exponents by which consumed values have changed, step after step."""

    def __init__(self, domain: Domain, weights: int) -> None:
        self._domain = domain
        self._first = max(_FIRST, weights + 2)
        self._past: list[dict[Node, Tropical]] = []

    def growing(self, judged: Iterable[Judged]) -> tuple[tuple[Judged, int], ...]:
        """Note a step; return values bound to blow up, and at which step they will.

        In a symbolic domain the differences of progressions are required to be nonnegative instead,
        and nothing is returned.

        Raises:
            tpc.scaling.domain.Split: a difference cannot be nonnegative on all of the region.
        """
        values = list(judged)
        self._past.append({value.node: value.change for value in values})
        if len(self._past) <= self._first:
            return ()
        if self._domain.symbolic:
            for value in values:
                for difference in self._differences(value.node):
                    self._domain.require_nonnegative(Tropical([difference]))
            return ()
        found = ((value, self._blows_up_at(value.node)) for value in values)
        return tuple((value, step) for value, step in found if step is not None)

    def _before(self, node: Node, back: int) -> Tropical | None:
        return self._past[-1 - back].get(node) if back < len(self._past) else None

    def _blows_up_at(self, node: Node) -> int | None:
        """Return the step at which an exponent that falls steadily is negative."""
        for period in range(1, _LONGEST_PERIOD + 1):
            terms = max(_TERMS, self._first // period)
            row = [self._before(node, k * period) for k in range(terms + 1)]
            numbers = [e.number for e in row if e is not None and e.number is not None]
            if len(numbers) <= terms:
                continue
            falls = {before - now for now, before in pairwise(numbers)}
            (fall, *others) = falls
            if not others and fall > 0:
                periods = int(numbers[0] // fall) + 1
                return len(self._past) - 1 + periods * period
        return None

    def _differences(self, node: Node) -> set[Affine]:
        """Return differences of progressions among the forms of a symbolic exponent.

        Each term of a progression has to be new at its step: forms that stay may differ by equal
        amounts too. A difference without symbols would empty the region: it has to last longer.
        """
        found = set()
        long = len(self._past) > 2 * self._first
        for period in range(1, _LONGEST_PERIOD + 1):
            row = [self._new(node, k * period) for k in range(_TERMS + 1)]
            for form in row[0]:
                for other in row[1]:
                    difference = form - other
                    if difference.is_constant and not (long and difference.const < 0):
                        continue
                    if all(form - difference * k in row[k] for k in range(2, _TERMS + 1)):
                        found.add(difference)
        return found

    def _new(self, node: Node, back: int) -> frozenset[Affine]:
        """Return the forms that an exponent had some steps ago, but not one step before that."""
        now, before = self._before(node, back), self._before(node, back + 1)
        if now is None or before is None:
            return frozenset()
        return frozenset(now.forms) - frozenset(before.forms)
