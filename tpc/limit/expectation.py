"""Expectations of functions of several Gaussians, where no rule makes them smaller.

The integrand is a straight-line program (*tape*): steps ``(kind, data, arguments)``, each of which
computes a value from earlier ones:

* ``leaf`` (data: which Gaussian), ``scalar`` (which number of a sample), ``number`` (a constant);
* ``sum`` (data: constant and coefficients), ``product``, ``power`` (data: the exponent);
* ``apply`` (data: the activation);
* ``share`` (data: position and number of scores; arguments: scores, then masks).

The last step is the integrand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tpc.exact import Constant
from tpc.limit import expressions as ex

Step = tuple[str, Any, tuple[int, ...]]
Tape = tuple[Step, ...]


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Expectation(ex.Expression):
    """``E[f(g_1, ..., g_k)]`` for Gaussians g of mean zero.

    ``covariance`` is the upper triangle, row by row. ``sides`` says of each Gaussian whether it
    belongs to x (0) or x' (1), and has a number that the same variable of both samples shares.
    """

    tape: Tape
    scalars: tuple[ex.Expression, ...]
    covariance: tuple[ex.Expression, ...]
    sides: tuple[tuple[int, int], ...]

    @property
    def operands(self) -> tuple[ex.Expression, ...]:
        """The expressions below."""
        return (*self.scalars, *self.covariance)

    @property
    def dimension(self) -> int:
        """The number of Gaussians."""
        return len(self.sides)

    def between(self, i: int, j: int) -> ex.Expression:
        """Return the covariance of two of the Gaussians."""
        i, j = min(i, j), max(i, j)
        return self.covariance[i * self.dimension - i * (i - 1) // 2 + j - i]


def expectation(
    tape: Tape,
    scalars: tuple[ex.Expression, ...],
    covariance: tuple[ex.Expression, ...],
    sides: tuple[tuple[int, int], ...],
) -> ex.Expression:
    """Return the expectation of a tape."""
    cross = any(e.cross for e in (*scalars, *covariance))
    found: ex.Expression = ex.intern(Expectation, cross, tape, scalars, covariance, sides)
    return found


class Recorder:
    """Writes a tape; equal steps are written once."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._known: dict[Step, int] = {}

    def step(self, kind: str, data: Any, *arguments: int) -> int:
        """Add a step and return its place."""
        step = (kind, data, arguments)
        if step not in self._known:
            self._known[step] = len(self.steps)
            self.steps.append(step)
        return self._known[step]

    def number(self, value: Constant) -> int:
        """Add a constant."""
        return self.step("number", value)

    def product(self, *factors: int) -> int:
        """Add a product of one factor or more."""
        return factors[0] if len(factors) == 1 else self.step("product", None, *sorted(factors))

    def sum(self, constant: Constant, terms: list[tuple[Constant, int]]) -> int:
        """Add a linear combination."""
        if constant.is_zero and len(terms) == 1 and terms[0][0].is_one:
            return terms[0][1]
        if not terms:
            return self.number(constant)
        data = (constant, tuple(c for c, _ in terms))
        return self.step("sum", data, *(place for _, place in terms))

    def power(self, base: int, exponent: Fraction) -> int:
        """Add a power."""
        return base if exponent == 1 else self.step("power", exponent, base)

    def tape(self, last: int) -> Tape:
        """Return what ``last`` needs, as a tape that ends with it."""
        needed, todo = set(), [last]
        while todo:
            place = todo.pop()
            if place not in needed:
                needed.add(place)
                todo += self.steps[place][2]
        where = {place: i for i, place in enumerate(sorted(needed))}
        return tuple(
            (kind, data, tuple(where[a] for a in arguments))
            for kind, data, arguments in (self.steps[place] for place in sorted(needed))
        )


def renumbered(tape: Tape) -> tuple[Tape, tuple[int, ...], tuple[int, ...]]:
    """Return a tape whose leaves and scalars are numbered by first use, and what they were."""
    leaves: dict[int, int] = {}
    scalars: dict[int, int] = {}
    steps = []
    for kind, data, arguments in tape:
        if kind in ("leaf", "scalar"):
            table = leaves if kind == "leaf" else scalars
            data = table.setdefault(data, len(table))
        steps.append((kind, data, arguments))
    return tuple(steps), tuple(leaves), tuple(scalars)
