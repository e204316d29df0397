"""Phase diagrams as text and as JSON-ready data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from tpc.scaling.classification import Kind
from tpc.scaling.polyhedron import relation
from tpc.scaling.region import can_be_positive
from tpc.scaling.region_text import (
    face_text,
    point_json,
    point_text,
    region_json,
    region_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from tpc.phase import Example, Phase
    from tpc.scaling.landmarks import Landmark
    from tpc.scaling.polyhedron import Point
    from tpc.scaling.region import Region
    from tpc.scaling.slices import Part, Slice


def phase_text(phase: Phase) -> str:
    """Return a phase diagram as text: the region, its faces, named points, and the slice."""
    blocks = [region_text(phase.region, faces=False, called=partial(_called, phase))]
    blocks += [face_text(e.name, e.face, phase.region, _remark(e)) for e in phase.examples]
    if phase.marks:
        blocks.append("\n".join(_named_lines(phase)))
    if phase.slice is not None:
        blocks.append("\n".join(_slice_lines(phase, phase.slice)))
    return "\n\n".join(blocks)


def _called(phase: Phase, point: Point) -> str:
    """Say which named parametrizations a point is, up to gauges."""
    names = [mark.name for mark in phase.marks if mark.places.contains(point)]
    return f": {' and '.join(names)}" if names else ""


def _remark(example: Example) -> str:
    """Say which weights do what inside of a face."""
    said = []
    if example.moving:
        said.append(f"the output moves through {', '.join(example.moving)}")
    if example.face.kind is Kind.FEATURE and example.maximal:
        said.append(f"maximally updated: {', '.join(example.maximal)}")
    return f": {'; '.join(said)}" if said else ""


# -- named parametrizations ------------------------------------------------------------------------


def _named_lines(phase: Phase) -> Iterator[str]:
    yield "named parametrizations"
    for mark in phase.marks:
        kind = "" if mark.kind is None else mark.kind.value
        yield f"    {mark.name:10}  {kind:8}  {_where(phase, mark)}"


def _where(phase: Phase, mark: Landmark) -> str:
    if mark.point is None:
        return "these exponents cannot express it"
    if mark.found is None:
        return _wherever(phase, mark)
    faces = phase.faces_at(mark.point)
    if faces:
        return f"{point_text(mark.point)} on {', '.join(faces)}"
    broken = violated(phase.region, mark.point)
    return f"{point_text(mark.point)}: violates {', '.join(broken)}"


def _wherever(phase: Phase, mark: Landmark) -> str:
    """Say which faces a parametrization meets that leaves powers in expressions open."""
    met = []
    for name, face in phase.region.named_faces:
        both = face.polyhedron.intersect(mark.places)
        if not both.is_empty and (not face.positive or can_be_positive(face.positive, both)):
            met.append(name)
    return f"leaves exponents open: meets {', '.join(met)}" if met else "nowhere stable"


def violated(region: Region, point: Mapping[str, Fraction]) -> list[str]:
    """Return the conditions of stability that a point violates, in the part nearest to it."""
    found = []
    for cell in region.cells:
        form = cell.polyhedron.canonical
        equal = [relation(f, "=") for f in form.equalities if f.evaluate(point) != 0]
        lower = [relation(f, ">=") for f in form.inequalities if f.evaluate(point) < 0]
        found.append([*equal, *lower])
    return min(found, key=len, default=[])


# -- the slice -------------------------------------------------------------------------------------


def _slice_lines(phase: Phase, found: Slice) -> Iterator[str]:
    yield f"slice of {found.x} and {found.y}{_at(phase, found)}"
    rows = [(", ".join(p.names), p.shape, ", ".join(p.conditions)) for p in reversed(found.parts)]
    names = max((len(row[0]) for row in rows), default=0)
    for name, shape, conditions in rows:
        yield f"    {name:{names}}  {shape:5}  {conditions}"
    yield f"    {'all else is unstable' if rows else 'unstable everywhere'}"
    for corner in found.corners:
        yield f"    corner ({found.x} = {corner[0]}, {found.y} = {corner[1]})"
    for mark in found.marks:
        place = f"({found.x} = {mark.x}, {found.y} = {mark.y})"
        yield f"    {' and '.join(mark.names)} at {place}: {mark.kind.value}"


def _at(phase: Phase, found: Slice) -> str:
    if not found.at:
        return ""
    values = ", ".join(f"{symbol} = {form}" for symbol, form in found.at.items())
    return f" through {phase.through}, at {values}" if phase.through else f" at {values}"


# -- JSON ------------------------------------------------------------------------------------------


def phase_json(phase: Phase) -> dict[str, Any]:
    """Return a phase diagram as JSON-ready data."""
    region = region_json(phase.region)
    for face, example in zip(region["faces"], phase.examples, strict=True):
        face["example"] = point_json(example.point)
        face["moving"] = list(example.moving)
        face["maximal"] = list(example.maximal)
    return {
        **region,
        "named": [_mark_json(phase, mark) for mark in phase.marks],
        "slice": None if phase.slice is None else _slice_json(phase, phase.slice),
    }


def _mark_json(phase: Phase, mark: Landmark) -> dict[str, Any]:
    return {
        "name": mark.name,
        "kind": None if mark.kind is None else mark.kind.value,
        "point": None if mark.point is None else point_json(mark.point),
        "faces": [] if mark.point is None else list(phase.faces_at(mark.point)),
        "violates": [] if mark.point is None else violated(phase.region, mark.point),
    }


def _slice_json(phase: Phase, found: Slice) -> dict[str, Any]:
    return {
        "x": found.x,
        "y": found.y,
        "at": {symbol: str(form) for symbol, form in found.at.items()},
        "through": phase.through,
        "box": [[str(end) for end in span] for span in found.box],
        "parts": [_part_json(found, part) for part in found.parts],
        "marks": [
            {"names": list(m.names), "x": str(m.x), "y": str(m.y), "kind": m.kind.value}
            for m in found.marks
        ],
    }


def _part_json(found: Slice, part: Part) -> dict[str, Any]:
    corners = part.corners(found.x, found.y, found.box)
    return {
        "kind": part.kind.value,
        "faces": list(part.names),
        "shape": part.shape,
        "conditions": list(part.conditions),
        "polygon": [[str(x), str(y)] for x, y in corners],
    }
