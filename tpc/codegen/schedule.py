"""From a kernel recursion to loops: what is done per input, and what per pair of inputs, in order.

Single-input expressions become statements on arrays over inputs. Cross expressions become *row
loops*: for one x, a loop over all x'. A loop holds the dual expectations of one pair of Gaussians
and all sums and products that can follow at once; values that a later loop needs live in row
buffers, which are reused. Loops that do the same are the same function.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tpc.limit import expressions as ex

LONGEST = 6
"""Expressions of one loop."""


@dataclass
class Loop:
    """One row loop: the expressions computed in it, in order."""

    members: list[ex.Expression] = field(default_factory=list)


@dataclass(frozen=True)
class Schedule:
    """``single``: per-input expressions; ``loops``: row loops; ``grams``: leaves; all in order."""

    single: tuple[ex.Expression, ...]
    grams: tuple[ex.Gram, ...]
    loops: tuple[Loop, ...]
    roots: tuple[ex.Expression, ...]
    diagonal: tuple[ex.Expression, ...]


def schedule(roots: Iterable[ex.Expression], diagonal: Iterable[ex.Expression]) -> Schedule:
    """Order the computation of ``roots`` (pairs) and ``diagonal`` (x with itself)."""
    roots, diagonal = tuple(roots), tuple(diagonal)
    order = list(ex.walk(roots))
    inner = [e.inner for e in order if isinstance(e, ex.At)]
    single = [e for e in ex.walk([*inner, *diagonal]) if not isinstance(e, ex.Number)]
    cross = [e for e in order if e.cross and not isinstance(e, (ex.At, ex.Gram))]
    grams = tuple(e for e in order if isinstance(e, ex.Gram) and e.cross)
    return Schedule(tuple(single), grams, tuple(_loops(cross)), roots, diagonal)


def _loops(cross: list[ex.Expression]) -> list[Loop]:
    loops: list[Loop] = []
    place: dict[ex.Expression, int] = {}
    duals: dict[tuple[ex.Expression, ...], int] = {}
    for e in cross:
        earliest = max((place.get(operand, 0) for operand in e.operands), default=0)
        if isinstance(e, ex.Dual):
            key = (e.left, e.k, e.right)
            if key not in duals:
                duals[key] = len(loops)
                loops.append(Loop())
            at = duals[key]
        else:
            if not loops:
                loops.append(Loop())
            at = earliest
        place[e] = at
        loops[at].members.append(e)
    return [part for loop in loops for part in _parts(loop)]


def _parts(loop: Loop) -> list[Loop]:
    """Cut a long loop: one over many rows is not vectorised, there are too many to tell apart."""
    duals = [e for e in loop.members if isinstance(e, ex.Dual)]
    ordered = [*duals, *(e for e in loop.members if not isinstance(e, ex.Dual))]
    cuts = range(0, len(ordered), LONGEST)
    return [Loop(ordered[cut : cut + LONGEST]) for cut in cuts]
