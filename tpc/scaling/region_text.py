"""Regions as text and as JSON-ready data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.scaling.polyhedron import relation

if TYPE_CHECKING:
    from tpc.scaling.region import Cell, Face, Region


def region_text(region: Region) -> str:
    """Return a region as text: conditions, r, vertices, and the classes' faces."""
    if region.is_empty:
        return "no choice of the exponents is stable"
    if not region.symbols:
        return "the program has no exponents to choose: it is stable"
    parts = []
    for number, cell in enumerate(region.cells, start=1):
        title = "stable" if len(region.cells) == 1 else f"stable, part {number}"
        parts.append("\n".join([f"{title} where", *_indented(_cell_lines(cell))]))
    parts += [_face_text(face, region) for face in region.faces]
    return "\n\n".join(parts)


def _face_text(face: Face, region: Region) -> str:
    return "\n".join([f"{face.kind.value} where also", *_indented(_own(face, region))])


def _cell_lines(cell: Cell) -> Iterator[str]:
    yield from str(cell.polyhedron).splitlines()
    yield f"r = {cell.r}"
    yield f"output changes by n^-e, e = {cell.output}"
    for vertex in cell.polyhedron.vertices():
        yield f"vertex {point_text(vertex)}"
    lines = cell.polyhedron.generators.lines
    if lines:
        yield "up to multiples of " + ", ".join(point_text(line) for line in lines)


def point_text(point: Mapping[str, Fraction]) -> str:
    """Return a point as text: `(a = 1/2, c = 0)`, zeros left out where others remain."""
    shown = {name: value for name, value in point.items() if value} or point
    return "(" + ", ".join(f"{name} = {value}" for name, value in shown.items()) + ")"


def _own(face: Face, region: Region) -> list[str]:
    """Return the conditions of a face that do not hold on the whole region anyway."""
    known = {relation(form, "=") for form in region.equalities}
    known |= {relation(form, ">=") for form in region.inequalities}
    return [line for line in face.conditions if line not in known] or ["nothing more"]


def _indented(lines: Iterator[str] | list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def region_json(region: Region) -> dict[str, Any]:
    """Return a region as JSON-ready data."""
    return {
        "schema": 1,
        "symbols": list(region.symbols),
        "equalities": [relation(form, "=") for form in region.equalities],
        "inequalities": [relation(form, ">=") for form in region.inequalities],
        "vertices": [_point_json(vertex) for vertex in region.vertices],
        "cells": [_cell_json(cell) for cell in region.cells],
        "faces": [
            {"kind": face.kind.value, "conditions": list(face.conditions)} for face in region.faces
        ],
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    made = cell.polyhedron.generators
    return {
        "equalities": [relation(form, "=") for form in cell.polyhedron.affine_hull()],
        "inequalities": [relation(form, ">=") for form in cell.polyhedron.irredundant()],
        "r": str(cell.r),
        "output": str(cell.output),
        "feature": str(cell.feature),
        "vertices": [_point_json(vertex) for vertex in made.vertices],
        "rays": [_point_json(ray) for ray in made.rays],
        "lines": [_point_json(line) for line in made.lines],
    }


def _point_json(point: Mapping[str, Fraction]) -> dict[str, str]:
    return {name: str(value) for name, value in point.items()}
