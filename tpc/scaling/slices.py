"""Two-dimensional slices of a region: exact polygons, edges and points of each class.

A slice is a plane in the space of a program's exponents: two of them vary, the others are affine
functions of the two (mostly constants). Every part of it is the intersection of the plane with a
polyhedron, computed by exact linear programming; nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine
from tpc.scaling.classification import Kind
from tpc.scaling.initial import degenerate_cells
from tpc.scaling.polyhedron import Point, Polyhedron, relation, solve
from tpc.scaling.region import Region, can_be_positive

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.scaling.landmarks import Landmark

Corner = tuple[Fraction, Fraction]
Box = tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]]

#: Later classes lie on the faces of earlier ones, and are drawn over them.
ORDER = (Kind.DEGENERATE, Kind.TRIVIAL, Kind.KERNEL, Kind.FEATURE)
_ROOM = Fraction(1, 2)
_SHAPES = ("point", "edge", "area")


@dataclass(frozen=True)
class Part:
    """An area, edge or point of a slice that is of one class: where all of ``positive`` > 0.

    ``names`` are those of the faces of the region that it belongs to.
    """

    kind: Kind
    names: tuple[str, ...]
    polyhedron: Polyhedron
    positive: tuple[Affine, ...] = ()

    @property
    def dimension(self) -> int:
        """2 for an area, 1 for an edge, 0 for a point."""
        return self.polyhedron.dimension

    @property
    def shape(self) -> str:
        """``area``, ``edge`` or ``point``."""
        return _SHAPES[self.dimension]

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """The conditions as text, equalities first."""
        form = self.polyhedron.canonical
        strict = {f for f in self.positive if not _is_positive(f, form)}
        closed = [f for f in form.inequalities if not any(_same(f, g) for g in strict)]
        lines = [relation(f, "=") for f in form.equalities]
        lines += [relation(f, ">=") for f in closed]
        return (*lines, *(relation(f, ">") for f in sorted(strict, key=lambda f: f.sort_key)))

    def corners(self, x: str, y: str, box: Box) -> tuple[Corner, ...]:
        """Return the corners within a box, counterclockwise; of an edge two, of a point one."""
        return self.polyhedron.polygon(x, y, {}, box)


@dataclass(frozen=True)
class Mark:
    """Named parametrizations at one place of a slice, and the class there."""

    names: tuple[str, ...]
    x: Fraction
    y: Fraction
    kind: Kind


@dataclass(frozen=True)
class Slice:
    """A plane of parametrizations: ``at`` gives the exponents other than x and y.

    What belongs to no part is unstable.
    """

    x: str
    y: str
    at: Mapping[str, Affine]
    parts: tuple[Part, ...]
    marks: tuple[Mark, ...]

    def point(self, x: Fraction | int, y: Fraction | int) -> Point:
        """Return the exponents at a place of the slice."""
        values = {self.x: Fraction(x), self.y: Fraction(y)}
        return values | {s: form.evaluate(values) for s, form in self.at.items()}

    @cached_property
    def corners(self) -> tuple[Corner, ...]:
        """The vertices of the parts."""
        found = {
            (v[self.x], v[self.y]): None
            for part in self.parts
            if part.kind is not Kind.DEGENERATE
            for v in part.polyhedron.vertices()
            if not part.polyhedron.generators.lines
        }
        return tuple(found)

    @cached_property
    def box(self) -> Box:
        """A window that holds all corners and marks, and shows which way the parts go on."""
        places = [*self.corners, *((m.x, m.y) for m in self.marks)]
        if not places:
            places = [(p[self.x], p[self.y]) for p in self._somewhere()] or [(Fraction(0),) * 2]
        spans = []
        for i, symbol in enumerate((self.x, self.y)):
            low, high = min(p[i] for p in places), max(p[i] for p in places)
            down, up = (self._goes_on(symbol, sign) for sign in (-1, 1))
            spans.append((low - _ROOM * (1 + down), high + _ROOM * (1 + up)))
        longest = max(high - low for low, high in spans)
        x, y = (_widened(span, longest * Fraction(2, 3)) for span in spans)
        return (x, y)

    def _goes_on(self, symbol: str, sign: int) -> bool:
        """Whether a stable part is unbounded in a direction."""
        rays = [
            ray
            for part in self.parts
            if part.kind is not Kind.DEGENERATE
            for made in [part.polyhedron.generators]
            for ray in (*made.rays, *made.lines)
        ]
        return any(ray[symbol] * sign > 0 for ray in rays)

    def _somewhere(self) -> Iterator[Point]:
        for part in self.parts:
            point = part.polyhedron.point()
            if point is not None:
                yield point


def _widened(span: tuple[Fraction, Fraction], length: Fraction) -> tuple[Fraction, Fraction]:
    """Return a span of at least a length, its ends rounded to quarters."""
    more = max(length - (span[1] - span[0]), Fraction(0)) / 2
    low, high = span[0] - more, span[1] + more
    return (Fraction(round(low * 4), 4), Fraction(round(high * 4), 4))


def _is_positive(form: Affine, polyhedron: Polyhedron) -> bool:
    least = polyhedron.minimum(form)
    return least is not None and least > 0


def _same(f: Affine, g: Affine) -> bool:
    """Whether two forms are positive multiples of each other."""
    pairs = zip(f.terms, g.terms, strict=False)
    ratio = next((p[1] / q[1] for p, q in pairs), None)
    return ratio is not None and ratio > 0 and f == g * ratio


# -- which plane -----------------------------------------------------------------------------------


def plane(
    region: Region, x: str, y: str, at: Mapping[str, Fraction], through: Landmark | None
) -> dict[str, Affine]:
    """Return the exponents other than x and y, as functions of x and y.

    ``at`` comes first; then what the equalities of stability say; then the point ``through``.

    Raises:
        TpcError: an exponent is unknown, named twice, or nothing fixes it.
    """
    _check_names(region.symbols, x, y, at)
    names = {s: Affine.symbol(s) for s in region.symbols}
    # first in the alphabet: x and y are solved for only where nothing else is left to solve for
    names |= {x: Affine.symbol(_X), y: Affine.symbol(_Y)}
    home = {} if through is None or through.point is None else through.point
    wishes = [*region.equalities, *(Affine.symbol(s) - q for s, q in home.items())]
    known = [names[s] - q for s, q in at.items()]
    for form in wishes:
        wished = [*known, form.substitute(names)]
        solution = solve(wished)
        if solution is not None and not {_X, _Y} & set(solution):
            known = wished
    found = solve(known) or {}
    back = {_X: Affine.symbol(x), _Y: Affine.symbol(y)}
    others = [s for s in region.symbols if s not in (x, y)]
    _refuse_free([s for s in others if s not in found])
    return {s: found[s].substitute(back) for s in others}


_X, _Y = " x", " y"


def _refuse_free(free: Sequence[str]) -> None:
    if free:
        raise TpcError(
            Diagnostic(
                "E0935",
                f"the slice leaves {', '.join(free)} free",
                help=f"give values, --at {free[0]}=0, or a parametrization, --through mup",
            )
        )


def _check_names(symbols: Sequence[str], x: str, y: str, at: Iterable[str]) -> None:
    for name in (x, y, *at):
        if name not in symbols:
            raise TpcError(
                Diagnostic(
                    "E0934",
                    f"the program has no free exponent `{name}`",
                    help=f"its exponents are {', '.join(symbols)}" if symbols else None,
                )
            )
    twice = x if x == y or x in at else y if y in at else None
    if twice is not None:
        raise TpcError(Diagnostic("E0934", f"the exponent `{twice}` is named twice"))


# -- what is in it ---------------------------------------------------------------------------------


def cut(
    module: Module,
    region: Region,
    marks: Iterable[Landmark],
    x: str,
    y: str,
    at: Mapping[str, Affine],
) -> Slice:
    """Return a slice of a region: ``at`` holds the exponents other than x and y.

    Raises:
        TpcError: an op or optimizer has no rule for exponents.
    """
    parts = _merged([*_degenerate(module, region, at), *_stable(region, x, y, at)])
    found = Slice(x, y, at, tuple(sorted(parts, key=_rank)), ())
    return replace(found, marks=tuple(_marks(found, marks)))


def _rank(part: Part) -> tuple[int, int, tuple[str, ...]]:
    return (ORDER.index(part.kind), -part.dimension, part.names)


def _merged(parts: Sequence[Part]) -> list[Part]:
    """Drop parts that lie within others of their class; equal ones become one with both names."""
    kept: list[Part] = []
    for part in sorted(parts, key=_rank):
        for place, other in enumerate(kept):
            if other.kind is part.kind and _covers(other, part):
                if _covers(part, other):
                    kept[place] = replace(other, names=(*other.names, *part.names))
                break
        else:
            kept.append(part)
    return kept


def _covers(large: Part, small: Part) -> bool:
    inner, outer = small.polyhedron, large.polyhedron
    if not all(map(inner.implies, outer.inequalities)):
        return False
    if not all(map(inner.implies_zero, outer.equalities)):
        return False
    return all(
        any(_same(f, g) for g in small.positive) or _is_positive(f, inner) for f in large.positive
    )


def _stable(region: Region, x: str, y: str, at: Mapping[str, Affine]) -> Iterator[Part]:
    for name, face in region.named_faces:
        inside = face.polyhedron.substitute(at)
        inside = Polyhedron((x, y), inside.inequalities, inside.equalities)
        if inside.is_empty:
            continue
        positive = tuple(form.substitute(at) for form in face.positive)
        if positive and not can_be_positive(positive, inside):
            continue
        shown = tuple(form for form in positive if not form.is_constant)
        yield Part(face.kind, (name,), inside.canonical, shown)


def _degenerate(module: Module, region: Region, at: Mapping[str, Affine]) -> Iterator[Part]:
    """Yield where preactivations vanish at initialisation, if the plane leaves the equalities."""
    if len(region.cells) == 1 and all(f.substitute(at) == 0 for f in region.equalities):
        return
    for cell, positive in degenerate_cells(module, at):
        symbols = tuple(s for s in region.symbols if s not in at)
        inside = cell.substitute(at)
        inside = Polyhedron(symbols, inside.inequalities, inside.equalities)
        above = tuple(form.substitute(at) for form in positive)
        if not inside.is_empty and can_be_positive(above, inside):
            yield Part(Kind.DEGENERATE, ("degenerate",), inside.canonical, above)


def _marks(found: Slice, marks: Iterable[Landmark]) -> Iterator[Mark]:
    at: dict[Corner, list[Landmark]] = {}
    for mark in marks:
        inside = mark.places.substitute(found.at)
        inside = Polyhedron((found.x, found.y), inside.inequalities, inside.equalities)
        if inside.dimension == 0 and mark.kind is not None:
            place = inside.vertices()[0]
            at.setdefault((place[found.x], place[found.y]), []).append(mark)
    for (x, y), here in at.items():
        kind = here[0].kind
        assert kind is not None
        yield Mark(tuple(mark.name for mark in here), x, y, kind)
