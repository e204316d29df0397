"""Where in the space of its exponents a program is stable, and what it does there.

The conditions of stability are minima of affine forms that must not be negative: linear
inequalities. The class of a stable point depends on which of them hold with equality, so the
classes are unions of faces of rational polyhedra.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine
from tpc.parametrize.acting import acting
from tpc.scaling.classification import Kind
from tpc.scaling.classify import analyse, last_features, moving_features
from tpc.scaling.domain import Split, SymbolicDomain
from tpc.scaling.polyhedron import Point, Polyhedron, relation
from tpc.scaling.tropical import Tropical, minimum

if TYPE_CHECKING:
    from tpc.ir.alignment import Alignment
    from tpc.ir.module import Module
    from tpc.scaling.run import Run

_MOST_CELLS = 500
_NAMED_FIRST = (Kind.FEATURE, Kind.KERNEL, Kind.TRIVIAL)


@dataclass(frozen=True)
class Face:
    """A set of stable parametrizations of one class: `polyhedron`, where all of `positive` > 0."""

    kind: Kind
    polyhedron: Polyhedron
    positive: tuple[Affine, ...] = ()

    def contains(self, point: Mapping[str, Fraction | int]) -> bool:
        """Return whether a parametrization belongs to the face."""
        return self.polyhedron.contains(point) and all(
            form.evaluate(point) > 0 for form in self.positive
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions as text, equalities first."""
        lines = [line for line in str(self.polyhedron).splitlines() if line != "all"]
        return (*lines, *(relation(form, ">") for form in self.positive))


@dataclass(frozen=True)
class Cell:
    """A polyhedron of stable parametrizations on which sizes are given by the same formulas.

    ``output`` is the exponent of the change of the outputs, ``feature`` the least one among the
    features', ``r`` the least among the vectors that feed the outputs' last linear maps.
    """

    polyhedron: Polyhedron
    output: Tropical
    feature: Tropical
    r: Tropical

    @cached_property
    def faces(self) -> tuple[Face, ...]:
        """The classes within the cell."""
        return tuple(self._faces())

    def _faces(self) -> Iterator[Face]:
        everywhere = self.polyhedron
        if can_be_positive(self.output.forms, everywhere):
            yield Face(Kind.TRIVIAL, everywhere.canonical, self.output.forms)
        for form in self.output.forms:
            moving = everywhere.with_constraints((), [form])
            if moving.is_empty:
                continue
            feature = self.feature.prune(moving)
            if can_be_positive(feature.forms, moving):
                yield Face(Kind.KERNEL, moving.canonical, feature.forms)
            for other in feature.forms:
                learning = moving.with_constraints((), [other])
                if not learning.is_empty:
                    yield Face(Kind.FEATURE, learning.canonical)


@dataclass(frozen=True)
class Region:
    """The stable, nondegenerate parametrizations of a program: a union of polyhedra (cells).

    ``symbols`` are the program's exponents. With a single cell, as for every perceptron, the region
    is the polyhedron that ``equalities`` and ``inequalities`` describe. ``alignment`` is what was
    assumed of weights that are less than fully aligned with what they read.
    """

    symbols: tuple[str, ...]
    cells: tuple[Cell, ...]
    alignment: Mapping[str, Alignment] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_empty(self) -> bool:
        """Whether no choice of exponents is stable."""
        return not self.cells

    @property
    def equalities(self) -> tuple[Affine, ...]:
        """Forms that are zero on the whole region."""
        hull = dict.fromkeys(f for cell in self.cells for f in cell.polyhedron.affine_hull())
        return tuple(f for f in hull if all(c.polyhedron.implies_zero(f) for c in self.cells))

    @property
    def inequalities(self) -> tuple[Affine, ...]:
        """Forms that are >= 0 on the whole region, irredundant within each cell."""
        found = dict.fromkeys(f for cell in self.cells for f in cell.polyhedron.irredundant())
        return tuple(f for f in found if all(c.polyhedron.implies(f) for c in self.cells))

    @property
    def vertices(self) -> tuple[Point, ...]:
        """Vertices of the cells, modulo the lines along which nothing changes."""
        found = {tuple(v.items()): v for cell in self.cells for v in cell.polyhedron.vertices()}
        return tuple(found.values())

    @cached_property
    def faces(self) -> tuple[Face, ...]:
        """The sets of trivial, kernel and feature-learning parametrizations, the largest ones."""
        found = list(dict.fromkeys(face for cell in self.cells for face in cell.faces))
        kept: list[Face] = []
        for face in found:
            others = (g for g in found if g is not face and g.kind == face.kind)
            if not any(_covers(g, face, before=g in kept) for g in others):
                kept.append(face)
        return tuple(kept)

    @cached_property
    def named_faces(self) -> tuple[tuple[str, Face], ...]:
        """The faces with names, ``kernel 1``: feature learning first, then kernel, then trivial."""
        ordered = sorted(self.faces, key=lambda face: _NAMED_FIRST.index(face.kind))
        groups = {kind: [f for f in ordered if f.kind is kind] for kind in _NAMED_FIRST}
        return tuple(
            (kind.value if len(group) == 1 else f"{kind.value} {number}", face)
            for kind, group in groups.items()
            for number, face in enumerate(group, start=1)
        )

    def contains(self, point: Mapping[str, Fraction | int]) -> bool:
        """Return whether a parametrization is stable and not degenerate.

        Raises:
            KeyError: an exponent has no value.
        """
        return any(cell.polyhedron.contains(point) for cell in self.cells)

    def kind(self, point: Mapping[str, Fraction | int]) -> Kind | None:
        """Return the class of a stable parametrization, None where it is not stable."""
        for cell in self.cells:
            if cell.polyhedron.contains(point):
                if (cell.output.evaluate(point) or 0) > 0 or cell.output.is_infinite:
                    return Kind.TRIVIAL
                feature = cell.feature.evaluate(point)
                return Kind.FEATURE if feature is not None and feature <= 0 else Kind.KERNEL
        return None

    def text(self) -> str:
        """Return the region as text: conditions, r, vertices, and the classes' faces."""
        from tpc.scaling.region_text import region_text

        return region_text(self)

    def latex(self) -> str:
        """Return the region as LaTeX, for display mathematics, without delimiters."""
        from tpc.scaling.region_text import region_latex

        return region_latex(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def to_json(self) -> dict[str, Any]:
        """Return the region as JSON-ready data; rationals are strings (docs/json.md)."""
        from tpc.scaling.region_text import region_json

        return region_json(self)

    def __repr__(self) -> str:
        return f"<Region of {', '.join(self.symbols)}: {len(self.cells)} cells>"


def region(module: Module) -> Region:
    """Return the region of a program with symbolic exponents.

    Conditions are adopted as they are met: every preactivation is of order one at initialisation
    (equalities, which are substituted), nothing consumed blows up (inequalities, on which all
    exponents are pruned). Where several terms may be the largest the region is cut.

    Raises:
        TpcError: an op or optimizer has no rule for exponents, or there are too many parts.
    """
    module = acting(module)
    waiting = [Polyhedron(module.exponents)]
    cells: list[Cell] = []
    for _ in range(_MOST_CELLS):
        if not waiting:
            return Region(module.exponents, tuple(cells), module.alignment)
        domain = SymbolicDomain(waiting.pop())
        try:
            found, _plan = analyse(module, domain)
            for name in found.trained:  # decay takes no more than all of a weight
                domain.require_nonnegative(found.shrinkage(name))
            if not found.vanished:
                cells.append(_cell(found, domain))
        except Split as split:
            waiting += reversed(split.cells)
            continue
    raise TpcError(
        Diagnostic(
            "E0933",
            f"the region of the exponents has more than {_MOST_CELLS} parts",
            help="give some of the exponents values",
        )
    )


def _cell(found: Run, domain: SymbolicDomain) -> Cell:
    plan = found.plan
    ends = minimum(found.sizes[node].change.smallest for node in plan.outputs.values())
    last = minimum(change for _, change in last_features(found))
    moving = minimum(change for _, change in moving_features(found))
    polyhedron = domain.region
    return Cell(
        polyhedron.canonical,
        ends.prune(polyhedron),
        moving.prune(polyhedron),
        last.prune(polyhedron),
    )


_GAP = "least of several exponents"  # no symbol of a program: names there have no spaces


def can_be_positive(forms: Iterable[Affine], polyhedron: Polyhedron) -> bool:
    """Return whether forms are > 0, all of them, somewhere on a polyhedron that is not empty."""
    gap = Affine.symbol(_GAP)
    lifted = polyhedron.with_constraints(form - gap for form in forms)
    greatest = lifted.maximum(gap)
    return greatest is None or greatest > 0


def _covers(large: Face, small: Face, *, before: bool) -> bool:
    """Whether every point of one face belongs to another (of equal faces the first is kept)."""
    if not _within(small, large):
        return False
    return before or not _within(large, small)


def _within(small: Face, large: Face) -> bool:
    inner, outer = small.polyhedron, large.polyhedron
    closed = all(map(inner.implies, outer.inequalities)) and all(
        map(inner.implies_zero, outer.equalities)
    )
    return closed and set(large.positive) <= set(small.positive)
