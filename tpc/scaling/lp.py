"""Exact linear programming: the simplex method on integer dictionaries.

A dictionary writes each basic slack as an affine function of the nonbasic ones. All entries share
one denominator (integer pivoting, Edmonds 1967), so that a pivot costs a few integer products per
entry and no gcd. Ties are broken by the least index (Bland 1977), so every loop ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

Row = list[int]  # coefficients of the nonbasic variables, then the constant


@dataclass(frozen=True)
class Optimum:
    """The least value of an objective and a point where it is taken."""

    value: Fraction
    point: tuple[Fraction, ...]


def integer_row(coefficients: Sequence[Fraction], const: Fraction) -> Row:
    """Return the positive multiple of `coefficients . x + const` with coprime integer entries."""
    common = lcm(const.denominator, *(q.denominator for q in coefficients))
    row = [q.numerator * (common // q.denominator) for q in (*coefficients, const)]
    divisor = gcd(*row) or 1
    return [entry // divisor for entry in row]


class Program:
    """The feasible set {x in Q^k : coefficients . x + const >= 0 for every row}, x free.

    Rows are integer rows. After construction `feasible` tells whether the set is non-empty.
    """

    def __init__(self, variables: int, rows: Sequence[Row]) -> None:
        # labels: 0..k-1 are the free variables, k.. the slacks of the rows
        self._k = variables
        self._rows = [list(row) for row in rows]
        self._basic = [variables + i for i in range(len(rows))]
        self._nonbasic = list(range(variables))
        self._denominator = 1
        self._free_rows: list[Row] = []
        self._free_basic: list[int] = []
        self._bring_free_variables_in()
        self.feasible = self._find_feasible()

    def minimise(self, objective: Sequence[Fraction], const: Fraction) -> Optimum | None:
        """Return the minimum of an affine objective, None where it is unbounded below.

        The set must be feasible; the dictionary stays feasible, so that repeated calls start warm.
        """
        whole = integer_row(objective, const)
        scale = next(
            (Fraction(w) / q for w, q in zip(whole, (*objective, const), strict=True) if q),
            Fraction(1),
        )
        cost = self._in_present_basis(whole)
        while True:
            if any(cost[j] for j in self._lineality_columns()):
                return None
            entering = self._least(
                (j for j in self._slack_columns() if cost[j] < 0), self._nonbasic
            )
            if entering is None:
                value = Fraction(cost[-1], self._denominator) / scale
                return Optimum(value, self._point())
            leaving = self._ratio_test(entering)
            if leaving is None:
                return None
            cost = self._pivot(leaving, entering, cost)

    # -- the dictionary --------------------------------------------------------------------------

    def _bring_free_variables_in(self) -> None:
        """Make every free variable basic that occurs: the others span the lineality space."""
        for variable in range(self._k):
            column = self._nonbasic.index(variable)
            row = next((i for i, r in enumerate(self._rows) if r[column]), None)
            if row is not None:
                self._pivot(row, column, None)
                self._free_rows.append(self._rows.pop(row))
                self._free_basic.append(self._basic.pop(row))

    def _lineality_columns(self) -> list[int]:
        return [j for j, label in enumerate(self._nonbasic) if label < self._k]

    def _slack_columns(self) -> list[int]:
        return [j for j, label in enumerate(self._nonbasic) if label >= self._k]

    def _find_feasible(self) -> bool:
        """Run the least-index criss-cross method with objective zero (Terlaky 1985)."""
        while True:
            row = self._least((i for i, r in enumerate(self._rows) if r[-1] < 0), self._basic)
            if row is None:
                return True
            entries = self._rows[row]
            column = self._least(
                (j for j in self._slack_columns() if entries[j] > 0), self._nonbasic
            )
            if column is None:
                return False
            self._pivot(row, column, None)

    @staticmethod
    def _least(candidates: object, labels: Sequence[int]) -> int | None:
        best: int | None = None
        for candidate in candidates:  # type: ignore[attr-defined]
            if best is None or labels[candidate] < labels[best]:
                best = candidate
        return best

    def _ratio_test(self, column: int) -> int | None:
        best: int | None = None
        for i, row in enumerate(self._rows):
            if row[column] >= 0:
                continue
            if best is None:
                best = i
                continue
            # compare const / -entry by cross multiplication: entries are negative
            chosen = self._rows[best]
            difference = row[-1] * chosen[column] - chosen[-1] * row[column]
            if difference > 0 or (difference == 0 and self._basic[i] < self._basic[best]):
                best = i
        return best

    def _pivot(self, row: int, column: int, cost: Row | None) -> Row:
        pivot_row, old = self._rows[row], self._denominator
        p = pivot_row[column]
        sign = -1 if p < 0 else 1
        updated = [
            pivot_row if r is pivot_row else _eliminate(r, pivot_row, column, p, old, sign)
            for r in self._rows
        ]
        self._free_rows = [_eliminate(r, pivot_row, column, p, old, sign) for r in self._free_rows]
        if cost is not None:
            cost = _eliminate(cost, pivot_row, column, p, old, sign)
        updated[row] = [
            sign * (old if j == column else -entry) for j, entry in enumerate(pivot_row)
        ]
        self._rows, self._denominator = updated, abs(p)
        self._basic[row], self._nonbasic[column] = self._nonbasic[column], self._basic[row]
        return cost or []

    def _in_present_basis(self, objective: Row) -> Row:
        """Express an objective in the nonbasic variables, over the common denominator."""
        cost = [0] * (self._k + 1)
        for column, label in enumerate(self._nonbasic):
            if label < self._k:
                cost[column] = objective[label] * self._denominator
        cost[-1] = objective[-1] * self._denominator
        for label, row in zip(self._free_basic, self._free_rows, strict=True):
            weight = objective[label]
            if weight:
                cost = [c + weight * entry for c, entry in zip(cost, row, strict=True)]
        return cost

    def _point(self) -> tuple[Fraction, ...]:
        point = [Fraction(0)] * self._k
        for label, row in zip(self._free_basic, self._free_rows, strict=True):
            point[label] = Fraction(row[-1], self._denominator)
        return tuple(point)


def _eliminate(row: Row, pivot_row: Row, column: int, p: int, old: int, sign: int) -> Row:
    """Substitute the entering variable; the division by the old denominator is exact."""
    factor = row[column]
    if not factor:
        result = [entry * p // old for entry in row]
    else:
        result = [(e * p - factor * q) // old for e, q in zip(row, pivot_row, strict=True)]
        result[column] = factor
    return result if sign > 0 else [-entry for entry in result]
