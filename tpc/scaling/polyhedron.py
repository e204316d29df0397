"""Rational polyhedra over named exponents: where a program is stable, and what is implied there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import gcd, lcm

from tpc.exact import Affine, AffineLike
from tpc.scaling.cone import Cone, Vector, generators
from tpc.scaling.frame import Frame
from tpc.scaling.lp import Optimum, Program, integer_row

Point = dict[str, Fraction]
_MOST_FOR_FRAME = 24
_GAP = "gap of a minimum"  # no symbol of a program: names there have no spaces


@dataclass(frozen=True)
class Generators:
    """Vertices modulo the lineality space, directions of unbounded rays, and lines.

    The polyhedron is the convex hull of the vertices, plus nonnegative multiples of the rays, plus
    the span of the lines. Rays and lines are given by their integer coordinates.
    """

    vertices: tuple[Point, ...]
    rays: tuple[Point, ...]
    lines: tuple[Point, ...]


class Polyhedron:
    """The set {x : f(x) >= 0 for f in inequalities, g(x) == 0 for g in equalities}.

    Immutable. `symbols` are the coordinates, in order; constraints are affine forms over them,
    kept as primitive integer multiples without duplicates, in the order in which they were given.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        inequalities: Iterable[AffineLike] = (),
        equalities: Iterable[AffineLike] = (),
    ) -> None:
        names = dict.fromkeys(symbols)
        lower = [primitive(Affine.of(f)) for f in inequalities]
        equal = [signed(primitive(Affine.of(f))) for f in equalities]
        for form in (*lower, *equal):
            names.update(dict.fromkeys(form.symbols))
        self.symbols = tuple(names)
        self.inequalities = tuple(dict.fromkeys(f for f in lower if not _is_true(f)))
        self.equalities = tuple(dict.fromkeys(f for f in equal if f != 0))
        self._implied: dict[Affine, bool] = {}

    # -- solving ---------------------------------------------------------------------------------

    @cached_property
    def _solution(self) -> dict[str, Affine] | None:
        """The equalities solved for some symbols; None where they contradict each other."""
        return solve(self.equalities)

    @cached_property
    def _free(self) -> tuple[str, ...]:
        solved = self._solution or {}
        return tuple(symbol for symbol in self.symbols if symbol not in solved)

    def _coordinates(self, form: Affine) -> list[Fraction]:
        return [form.coefficient(symbol) for symbol in self._free]

    @cached_property
    def _program(self) -> Program | None:
        if self._solution is None:
            return None
        forms = [form.substitute(self._solution) for form in self.inequalities]
        rows = [integer_row(self._coordinates(form), form.const) for form in forms]
        if any(not any(row[:-1]) and row[-1] < 0 for row in rows):
            return None
        program = Program(len(self._free), [row for row in rows if any(row[:-1])])
        return program if program.feasible else None

    @property
    def is_empty(self) -> bool:
        """Whether no point satisfies all constraints."""
        return self._program is None

    def _minimise(self, form: AffineLike) -> Optimum | None:
        assert self._program is not None
        assert self._solution is not None
        reduced = Affine.of(form).substitute(self._solution)
        if any(symbol not in self._free for symbol in reduced.symbols):
            return None  # a symbol without constraints
        return self._program.minimise(self._coordinates(reduced), reduced.const)

    def minimum(self, form: AffineLike) -> Fraction | None:
        """Return the least value of an affine form, None where it has none (minus infinity).

        Raises:
            ValueError: the polyhedron is empty.
        """
        if self.is_empty:
            raise ValueError("an empty polyhedron has no minimum")
        optimum = self._minimise(form)
        return None if optimum is None else optimum.value

    def maximum(self, form: AffineLike) -> Fraction | None:
        """Return the greatest value of an affine form, None where it has none."""
        least = self.minimum(-Affine.of(form))
        return None if least is None else -least

    def implies(self, form: AffineLike) -> bool:
        """Return whether `form >= 0` on all of it (true where it is empty)."""
        if self.is_empty:
            return True
        form = Affine.of(form)
        known = self._implied.get(form)
        if known is None:
            known = self._frame.nonnegative(form) if self._frame is not None else None
            if known is None:
                optimum = self._minimise(form)
                known = optimum is not None and optimum.value >= 0
            self._implied[form] = known
        return known

    def implies_zero(self, form: AffineLike) -> bool:
        """Return whether `form == 0` on all of it."""
        return self.implies(form) and self.implies(-Affine.of(form))

    def point(self) -> Point | None:
        """Return some point of it, None where it is empty."""
        if self.is_empty:
            return None
        optimum = self._minimise(0)
        assert optimum is not None
        assert self._solution is not None
        free = dict(zip(self._free, optimum.point, strict=True))
        return {s: self._solution.get(s, Affine.symbol(s)).evaluate(free) for s in self.symbols}

    def contains(self, point: Mapping[str, Fraction | int]) -> bool:
        """Return whether a point satisfies every constraint; KeyError names a missing symbol."""
        return all(f.evaluate(point) >= 0 for f in self.inequalities) and all(
            f.evaluate(point) == 0 for f in self.equalities
        )

    # -- new polyhedra ---------------------------------------------------------------------------

    def with_constraints(
        self, inequalities: Iterable[AffineLike] = (), equalities: Iterable[AffineLike] = ()
    ) -> Polyhedron:
        """Return the part of it where further constraints hold."""
        return Polyhedron(
            self.symbols, (*self.inequalities, *inequalities), (*self.equalities, *equalities)
        )

    def intersect(self, other: Polyhedron) -> Polyhedron:
        """Return the common part; symbols of either are coordinates of it."""
        return Polyhedron(
            (*self.symbols, *other.symbols),
            (*self.inequalities, *other.inequalities),
            (*self.equalities, *other.equalities),
        )

    def substitute(self, values: Mapping[str, AffineLike]) -> Polyhedron:
        """Return the preimage under a substitution; replaced symbols are coordinates no more."""
        images = [Affine.of(value) for value in values.values()]
        names = [symbol for symbol in self.symbols if symbol not in values]
        names += [symbol for image in images for symbol in image.symbols]
        return Polyhedron(
            names,
            (form.substitute(values) for form in self.inequalities),
            (form.substitute(values) for form in self.equalities),
        )

    @cached_property
    def canonical(self) -> Polyhedron:
        """The same set in normal form: all equalities solved, the inequalities irredundant."""
        if self.is_empty:
            return Polyhedron(self.symbols, [Affine.of(-1)])
        implicit = [f for f in self.inequalities if self.maximum(f) == 0]
        solution = solve((*self.equalities, *implicit))
        assert solution is not None
        equal = [Affine.symbol(symbol) - image for symbol, image in sorted(solution.items())]
        reduced = dict.fromkeys(primitive(f.substitute(solution)) for f in self.inequalities)
        kept = [f for f in reduced if not f.is_constant]
        for form in tuple(kept):
            others = [f for f in kept if f is not form]
            if Polyhedron(self.symbols, others).implies(form):
                kept = others
        return Polyhedron(self.symbols, kept, equal)

    def irredundant(self) -> tuple[Affine, ...]:
        """Return inequalities none of which follows from the others and the affine hull."""
        return self.canonical.inequalities

    def affine_hull(self) -> tuple[Affine, ...]:
        """Return the equalities (implicit ones too) that hold on all of it, solved."""
        return self.canonical.equalities

    @cached_property
    def dimension(self) -> int:
        """The dimension of its affine hull; -1 where it is empty."""
        if self.is_empty:
            return -1
        return len(self.symbols) - len(self.canonical.equalities)

    # -- generators ------------------------------------------------------------------------------

    @cached_property
    def generators(self) -> Generators:
        """Vertices, rays and lines. Without a vertex only where it is empty."""
        if self.is_empty:
            return Generators((), (), ())
        solution = self._solution
        assert solution is not None
        forms = [form.substitute(solution) for form in self.inequalities]
        rows = [tuple(integer_row(self._coordinates(f), f.const)) for f in forms]
        height: Vector = (*([0] * len(self._free)), 1)
        cone = generators(len(self._free) + 1, [*rows, height])
        return self._lift(cone, self._free, solution)

    def _lift(self, cone: Cone, free: Sequence[str], solution: Mapping[str, Affine]) -> Generators:
        def full(vector: Sequence[Fraction | int], affine: bool) -> Point:
            values = dict(zip(free, map(Fraction, vector), strict=True))
            images = {s: solution.get(s, Affine.symbol(s)) for s in self.symbols}
            forms = {s: f if affine else f - f.const for s, f in images.items()}
            return {s: f.evaluate(values) for s, f in forms.items()}

        vertices = [
            full([Fraction(x, ray[-1]) for x in ray[:-1]], True) for ray in cone.rays if ray[-1]
        ]
        rays = [full(ray[:-1], False) for ray in cone.rays if not ray[-1]]
        lines = [full(line[:-1], False) for line in cone.lineality]
        return Generators(tuple(vertices), tuple(rays), tuple(lines))

    def vertices(self) -> tuple[Point, ...]:
        """Return the vertices (modulo lines: one point of each minimal face)."""
        return self.generators.vertices

    @cached_property
    def _frame(self) -> Frame | None:
        """Generators for comparisons, where there are not too many constraints for that."""
        if len(self.inequalities) > _MOST_FOR_FRAME or len(self._free) > _MOST_FOR_FRAME // 2:
            return None
        made = self.generators
        return Frame(self.symbols, made.vertices, made.rays, made.lines)

    def lowest(self, forms: Sequence[Affine], *, thorough: bool = True) -> list[Affine]:
        """Return forms with the same minimum on it, without those that it does not need.

        Unless `thorough`, only forms go that lie everywhere above one other form.
        """
        quick = self._frame.lowest(forms, thorough=thorough) if self._frame is not None else None
        if quick is not None:
            return quick
        kept = list(forms)
        for form in forms:
            others = [other for other in kept if other is not form]
            single = any(self.implies(form - other) for other in others)
            if single or (thorough and others and self.above_minimum(form, others)):
                kept = others
        return kept

    def above_minimum(self, form: Affine, others: Sequence[Affine]) -> bool:
        """Return whether `form >= min(others)` on all of it (others not empty)."""
        quick = self._frame.above_minimum(form, others) if self._frame is not None else None
        if quick is not None:
            return quick
        # the greatest gap with other - form >= gap for all others is not positive
        gap = Affine.symbol(_GAP)
        greatest = self.with_constraints(other - form - gap for other in others).maximum(gap)
        return greatest is not None and greatest <= 0

    def polygon(
        self,
        x: str,
        y: str,
        at: Mapping[str, Fraction | int],
        box: tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]],
    ) -> tuple[tuple[Fraction, Fraction], ...]:
        """Return the corners, counterclockwise, of a slice in the plane of two symbols.

        `at` gives the other symbols their values; the slice is clipped to the box
        `((x_min, x_max), (y_min, y_max))`. A slice that is a segment has two corners, a point one.
        """
        plane = self.substitute({s: Fraction(v) for s, v in at.items() if s not in (x, y)})
        sides: list[Affine] = []
        for symbol, (low, high) in ((x, box[0]), (y, box[1])):
            sides += [Affine.symbol(symbol) - low, high - Affine.symbol(symbol)]
        clipped = Polyhedron((x, y), (*plane.inequalities, *sides), plane.equalities)
        if set(clipped.symbols) != {x, y}:
            missing = sorted(set(clipped.symbols) - {x, y})
            raise KeyError(f"the slice needs values for {', '.join(missing)}")
        return _counterclockwise([(p[x], p[y]) for p in clipped.vertices()])

    # -- comparing and printing ------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        """Equality of sets over the same symbols."""
        if not isinstance(other, Polyhedron):
            return NotImplemented
        return (
            set(self.symbols) == set(other.symbols) and self._within(other) and other._within(self)
        )

    def __hash__(self) -> int:
        return hash(frozenset(self.symbols))

    def _within(self, other: Polyhedron) -> bool:
        return all(map(self.implies, other.inequalities)) and all(
            map(self.implies_zero, other.equalities)
        )

    def __str__(self) -> str:
        if self.is_empty:
            return "empty"
        form = self.canonical
        lines = [relation(f, "=") for f in form.equalities]
        lines += [relation(f, ">=") for f in form.inequalities]
        return "\n".join(lines) if lines else "all"

    def __repr__(self) -> str:
        return f"Polyhedron({', '.join(str(self).splitlines())})"


def primitive(form: Affine) -> Affine:
    """Return the positive multiple whose coefficients (the constant apart) are coprime integers."""
    numbers = [q for _, q in form.terms] or [form.const]
    if not any(numbers):
        return form
    common = lcm(*(q.denominator for q in numbers))
    divisor = gcd(*(q.numerator * (common // q.denominator) for q in numbers))
    return form * Fraction(common, divisor)


def signed(form: Affine) -> Affine:
    """Return the form or its negative, so that its first coefficient is positive."""
    return -form if form.terms and form.terms[0][1] < 0 else form


def _is_true(form: Affine) -> bool:
    return form.is_constant and form.const >= 0


def solve(equalities: Iterable[Affine]) -> dict[str, Affine] | None:
    """Solve `form == 0` for all forms: images of the symbols that are solved for, else None.

    Images hold no solved symbol. Symbols that stand last in the alphabet are solved for first.
    """
    solution: dict[str, Affine] = {}
    for equality in equalities:
        form = equality.substitute(solution)
        if form.is_constant:
            if form.const:
                return None
            continue
        symbol, coefficient = form.terms[-1]
        image = Affine.symbol(symbol) - form / coefficient
        solution = {s: f.substitute({symbol: image}) for s, f in solution.items()}
        solution[symbol] = image
    return solution


_MIRRORED = {"=": "=", ">=": "<=", ">": "<"}


def relation(form: Affine, sign: str) -> str:
    """Return `form sign 0` as text, constant on the right, no leading minus: `a + b >= 1/2`."""
    if form.is_constant:
        return f"{form} {sign} 0"
    if form.terms[0][1] < 0:
        form, sign = -form, _MIRRORED[sign]
    return f"{form - form.const} {sign} {-form.const}"


def _counterclockwise(
    points: Sequence[tuple[Fraction, Fraction]],
) -> tuple[tuple[Fraction, Fraction], ...]:
    """Order the corners of a convex polygon (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return tuple(ordered)

    def chain(sequence: Iterable[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, Fraction]]:
        hull: list[tuple[Fraction, Fraction]] = []
        for point in sequence:
            while len(hull) >= 2 and _turn(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)
        return hull[:-1]

    return tuple(chain(ordered) + chain(reversed(ordered)))


def _turn(
    o: tuple[Fraction, Fraction], a: tuple[Fraction, Fraction], b: tuple[Fraction, Fraction]
) -> Fraction:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
