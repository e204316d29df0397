"""Comparisons of affine forms on a polyhedron by its generators, in integers.

A form is nonnegative on a polyhedron exactly if it is at the vertices, does not fall along the rays
and does not change along the lines. With the generators at hand each question costs a few integer
products, where a linear program would cost thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import lcm

from tpc.exact import Affine
from tpc.scaling.lp import Program

Column = tuple[int, ...]
_Values = tuple[Column, Column]  # at the lines, and at the vertices and rays


class Frame:
    """Integer generators of a nonempty polyhedron: vertices and rays, and lines apart.

    A column holds the coordinates in the order of ``symbols`` and then a height: the common
    denominator for a vertex, 0 for a direction.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        vertices: Iterable[Mapping[str, Fraction]],
        rays: Iterable[Mapping[str, Fraction]],
        lines: Iterable[Mapping[str, Fraction]],
    ) -> None:
        self._index = {symbol: place for place, symbol in enumerate(symbols)}
        bounded = [_column(symbols, vertex, 1) for vertex in vertices]
        self._columns = (*bounded, *(_column(symbols, ray, 0) for ray in rays))
        self._lines = tuple(_column(symbols, line, 0) for line in lines)

    def nonnegative(self, form: Affine) -> bool | None:
        """Return whether a form is >= 0 on the polyhedron; None if it has other symbols."""
        row = self._row(form, _denominator([form]))
        if row is None:
            return None
        return not any(_dot(row, line) for line in self._lines) and all(
            _dot(row, column) >= 0 for column in self._columns
        )

    def lowest(self, forms: Sequence[Affine], *, thorough: bool) -> list[Affine] | None:
        """Return forms with the same minimum on the polyhedron; None where one has other symbols.

        Forms that lie everywhere above one other form go (of equals one stays); `thorough`, so do
        those that only several others together undercut.
        """
        scale = _denominator(forms)
        kept: list[tuple[Affine, _Values]] = []
        for form in forms:
            row = self._row(form, scale)
            if row is None:
                return None
            value = self._values(row)
            if any(_below(other, value) for _, other in kept):
                continue
            kept = [item for item in kept if not _below(value, item[1])]
            kept.append((form, value))
        if thorough:
            for item in tuple(kept):
                others = [other for other in kept if other is not item]
                if len(others) > 1 and _undercut(item[1], [value for _, value in others]):
                    kept = others
        return [form for form, _ in kept]

    def above_minimum(self, form: Affine, others: Sequence[Affine]) -> bool | None:
        """Return whether `form >= min(others)` on the polyhedron; None if one has other symbols."""
        scale = _denominator([form, *others])
        rows = [self._row(each, scale) for each in (form, *others)]
        values = [self._values(row) for row in rows if row is not None]
        if len(values) < len(rows):
            return None
        value, *rest = values
        single = any(_below(other, value) for other in rest)
        return single or (len(rest) > 1 and _undercut(value, rest))

    def _values(self, row: Column) -> _Values:
        return (
            tuple(_dot(row, line) for line in self._lines),
            tuple(_dot(row, column) for column in self._columns),
        )

    def _row(self, form: Affine, scale: int) -> Column | None:
        row = [0] * (len(self._index) + 1)
        for symbol, coefficient in form.terms:
            place = self._index.get(symbol)
            if place is None:
                return None
            row[place] = coefficient.numerator * (scale // coefficient.denominator)
        row[-1] = form.const.numerator * (scale // form.const.denominator)
        return tuple(row)


def _undercut(value: _Values, others: Sequence[_Values]) -> bool:
    """Whether the minimum of several forms is <= a form on the whole polyhedron.

    It is exactly if some convex combination of the others is <= the form at every generator (by the
    minimax theorem): a linear program in the weights, of which the last is 1 minus the rest.
    """
    if any(all(value[1][k] < other[1][k] for other in others) for k in range(len(value[1]))):
        return False  # strictly the least at a vertex, or along a ray
    if _above_a_midpoint(value, others):
        return True
    gaps = [
        tuple(x - y for x, y in zip((*value[0], *value[1]), (*o[0], *o[1]), strict=True))
        for o in others
    ]
    *first, last = gaps
    lines = len(value[0])
    rows = []
    for k in range(len(last)):
        row = [*(gap[k] - last[k] for gap in first), last[k]]
        rows.append(row)
        if k < lines:
            rows.append([-entry for entry in row])
    free = len(first)
    rows += [[int(i == j) for j in range(free)] + [0] for i in range(free)]
    rows.append([-1] * free + [1])
    return (
        all(any(row[:-1]) or row[-1] >= 0 for row in rows)
        and Program(free, [row for row in rows if any(row[:-1])]).feasible
    )


def _above_a_midpoint(value: _Values, others: Sequence[_Values]) -> bool:
    """Whether a form is nowhere below the mean of two others: powers of sums are full of these."""
    twice = tuple(2 * x for x in value[0])
    for number, first in enumerate(others):
        for second in others[:number]:
            if all(x + y == z for x, y, z in zip(first[0], second[0], twice, strict=True)) and all(
                x + y <= 2 * z for x, y, z in zip(first[1], second[1], value[1], strict=True)
            ):
                return True
    return False


def _below(first: _Values, second: _Values) -> bool:
    """Whether one form is <= another at every generator."""
    if first[0] != second[0]:
        return False
    return all(x <= y for x, y in zip(first[1], second[1], strict=True))


def _dot(u: Column, v: Column) -> int:
    return sum(x * y for x, y in zip(u, v, strict=True) if x)


def _column(symbols: Sequence[str], point: Mapping[str, Fraction], height: int) -> Column:
    scale = lcm(*(point[symbol].denominator for symbol in symbols))
    return (*(int(point[symbol] * scale) for symbol in symbols), height * scale)


def _denominator(forms: Iterable[Affine]) -> int:
    return lcm(
        *(form.const.denominator for form in forms),
        *(q.denominator for form in forms for _, q in form.terms),
    )
