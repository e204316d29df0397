"""Phase diagrams: what a program does at every choice of its exponents, and where names stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.scaling import classify, region
from tpc.scaling.axes import with_axes
from tpc.scaling.landmarks import Landmark, landmarks
from tpc.scaling.slices import Slice, cut, plane

if TYPE_CHECKING:
    from tpc.ir import Module
    from tpc.scaling import Classification, Region
    from tpc.scaling.polyhedron import Point
    from tpc.scaling.region import Face

_DEFAULT_THROUGH = "mup"


@dataclass(frozen=True)
class Example:
    """A face of the region by example: a point in its relative interior, and the class there."""

    name: str
    face: Face
    point: Point
    found: Classification

    @property
    def moving(self) -> tuple[str, ...]:
        """The weights whose updates move the output by order one."""
        return tuple(name for name, weight in self.found.weights.items() if weight.output == 0)

    @property
    def maximal(self) -> tuple[str, ...]:
        """The weights whose updates move their own outputs by order one."""
        return tuple(name for name, weight in self.found.weights.items() if weight.update == 0)


@dataclass(frozen=True)
class Phase:
    """The phase diagram of a program with symbolic exponents.

    ``region`` is where it is stable, ``marks`` are the named parametrizations, ``slice`` is a plane
    of parametrizations where one was asked for; ``through`` names the parametrization that fixed
    its other exponents.
    """

    module: Module
    region: Region
    marks: tuple[Landmark, ...]
    slice: Slice | None = None
    through: str | None = None

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """The faces of the region by example."""
        found = []
        for name, face in self.region.named_faces:
            point = _inside(face)
            found.append(Example(name, face, point, classify(self.module, point)))
        return tuple(found)

    def faces_at(self, point: Mapping[str, Fraction]) -> tuple[str, ...]:
        """Return the names of the faces that a point belongs to."""
        return tuple(name for name, face in self.region.named_faces if face.contains(point))

    def text(self) -> str:
        """Return the diagram as text."""
        from tpc.report.phase_text import phase_text

        return phase_text(self)

    def latex(self) -> str:
        """Return the region as LaTeX, for display mathematics."""
        return self.region.latex()

    def _repr_latex_(self) -> str:
        return self.region._repr_latex_()

    def to_json(self) -> dict[str, Any]:
        """Return the diagram as JSON-ready data; rationals are strings (docs/json.md)."""
        from tpc.report.phase_text import phase_json

        return phase_json(self)

    def plot(self, path: str | Path) -> None:
        """Draw the slice to a file (the suffix says which kind: png, svg, pdf).

        Raises:
            TpcError: there is no slice, or the file cannot be written.
        """
        from tpc.report.phase_plot import phase_plot

        if self.slice is None:
            raise TpcError(
                Diagnostic(
                    "E0935",
                    "a picture needs two exponents to draw",
                    help="name them: --x and --y",
                )
            )
        phase_plot(self, self.slice, Path(path))

    def __repr__(self) -> str:
        axes = "" if self.slice is None else f", slice {self.slice.x}, {self.slice.y}"
        return f"<Phase of {', '.join(self.region.symbols)}{axes}>"


def phase(
    module: Module,
    *,
    x: str | None = None,
    y: str | None = None,
    at: Mapping[str, Fraction] | None = None,
    through: str | None = None,
) -> Phase:
    """Return the phase diagram of a program; with ``x`` and ``y``, a slice of it too.

    An axis is an exponent or a combination of exponents, ``a + b``, which then stands in the place
    of one of them everywhere.

    Exponents of the slice that are neither axes nor in ``at`` follow from the equalities of
    stability as far as these say; the rest is taken from the parametrization ``through``
    (maximal update by default, where the program can express it).

    Raises:
        TpcError: the program has no symbolic exponents, a name is unknown, nothing fixes an
            exponent, or an op has no rule.
    """
    if not module.exponents:
        raise TpcError(
            Diagnostic(
                "E0936",
                "the program has no exponents to choose",
                help="declare some, `exponent a, b, c`, and use them: `param W : [n, n] "
                "abc(a, b, c)`; or ask `tpc classify` for the class",
            )
        )
    if (x is None) != (y is None):
        raise TpcError(Diagnostic("E0935", "a slice needs two axes", help="--x and --y"))
    if x is None or y is None:
        return Phase(module, region(module), landmarks(module))
    module, (x, y) = with_axes(module, (x, y), at or {})
    found, marks = region(module), landmarks(module)
    base = _through(marks, through)
    where = plane(found, x, y, at or {}, base)
    shown = cut(module, found, marks, x, y, where)
    return Phase(module, found, marks, shown, None if base is None else base.name)


def _through(marks: Iterable[Landmark], name: str | None) -> Landmark | None:
    found = {mark.name: mark for mark in marks if mark.point is not None}
    if name is not None and name not in found:
        raise TpcError(
            Diagnostic(
                "E0934",
                f"the exponents of the program cannot express {name}",
                help=f"they express {', '.join(found)}" if found else "give values with --at",
            )
        )
    return found.get(name or _DEFAULT_THROUGH)


def _inside(face: Face) -> Point:
    """Return a point in the relative interior of a face."""
    made = face.polyhedron.generators
    count = len(made.vertices)
    return {
        s: sum((v[s] for v in made.vertices), Fraction(0)) / count
        + sum((ray[s] for ray in made.rays), Fraction(0))
        for s in face.polyhedron.symbols
    }
