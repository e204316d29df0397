"""Regions as text and as JSON-ready data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine
from tpc.ir.alignment import alignment_json, alignment_text
from tpc.scaling.polyhedron import relation

if TYPE_CHECKING:
    from tpc.scaling.polyhedron import Point
    from tpc.scaling.region import Cell, Face, Region


def region_text(
    region: Region, faces: bool = True, called: Callable[[Point], str] = lambda point: ""
) -> str:
    """Return a region as text: conditions, r, vertices, and (if wanted) the classes' faces.

    ``called`` may add a remark to a vertex.
    """
    if region.is_empty:
        return "no choice of the exponents is stable"
    if not region.symbols:
        return "the program has no exponents to choose: it is stable"
    parts = []
    for number, cell in enumerate(region.cells, start=1):
        title = "stable" if len(region.cells) == 1 else f"stable, part {number}"
        parts.append("\n".join([f"{title} where", *_indented(_cell_lines(cell))]))
    parts.append(_vertices_text(region, called))
    parts.append(alignment_text(region.alignment))
    if faces:
        parts += [face_text(name, face, region) for name, face in region.named_faces]
    return "\n\n".join(parts)


def face_text(name: str, face: Face, region: Region, remark: str = "") -> str:
    """Return a face as text: its name, and its conditions beside those of stability."""
    return "\n".join([f"{name}{remark}", *_indented(_own(face, region))])


def _cell_lines(cell: Cell) -> Iterator[str]:
    yield from str(cell.polyhedron).splitlines()
    yield f"the last features change by n^-r, r = {cell.r}"
    yield f"the output changes by n^-e, e = {cell.output}"


def _vertices_text(region: Region, called: Callable[[Point], str]) -> str:
    lines = [f"vertex {point_text(vertex)}{called(vertex)}" for vertex in region.vertices]
    free = {
        point_text(line): None for cell in region.cells for line in cell.polyhedron.generators.lines
    }
    if free:
        lines.append(f"up to multiples of {', '.join(free)}")
    return "\n".join(lines)


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
        "alignment": alignment_json(region.alignment),
        "equalities": [relation(form, "=") for form in region.equalities],
        "inequalities": [relation(form, ">=") for form in region.inequalities],
        "vertices": [point_json(vertex) for vertex in region.vertices],
        "cells": [_cell_json(cell) for cell in region.cells],
        "faces": [
            {"name": name, "kind": face.kind.value, "conditions": list(face.conditions)}
            for name, face in region.named_faces
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
        "vertices": [point_json(vertex) for vertex in made.vertices],
        "rays": [point_json(ray) for ray in made.rays],
        "lines": [point_json(line) for line in made.lines],
    }


def point_json(point: Mapping[str, Fraction]) -> dict[str, str]:
    """Return a point as JSON-ready data."""
    return {name: str(value) for name, value in point.items()}


# -- LaTeX -----------------------------------------------------------------------------------------


def region_latex(region: Region) -> str:
    """Return a region as LaTeX for display mathematics: each cell, and the classes' faces."""
    if region.is_empty:
        return r"\varnothing"
    blocks = []
    for number, cell in enumerate(region.cells, start=1):
        title = "stable" if len(region.cells) == 1 else f"stable, part {number}"
        rows = _latex_rows(cell.polyhedron.affine_hull(), "=")
        rows += _latex_rows(cell.polyhedron.irredundant(), r"\ge")
        rows += [f"r &= {cell.r.latex()}", f"e &= {cell.output.latex()}"]
        blocks.append(_latex_block(title, rows))
    for name, face in region.named_faces:
        known = {*region.equalities, *region.inequalities}
        hull, closed = face.polyhedron.affine_hull(), face.polyhedron.irredundant()
        rows = _latex_rows((f for f in hull if f not in known), "=")
        rows += _latex_rows((f for f in closed if f not in known), r"\ge")
        rows += _latex_rows(face.positive, ">")
        blocks.append(_latex_block(name, rows))
    return "\\begin{gathered}\n" + " \\\\[1ex]\n".join(blocks) + "\n\\end{gathered}"


def _latex_rows(forms: Iterable[Affine], sign: str) -> list[str]:
    rows = []
    for form in forms:
        if form.terms and form.terms[0][1] < 0:
            form, shown = -form, {r"\ge": r"\le", ">": "<"}.get(sign, sign)
        else:
            shown = sign
        rows.append(f"{(form - form.const).latex()} &{shown} {Affine.of(-form.const).latex()}")
    return rows


def _latex_block(title: str, rows: Sequence[str]) -> str:
    body = " \\\\\n".join(rows)
    return f"\\text{{{title}:}}\\quad\\left\\{{\\begin{{aligned}}\n{body}\n\\end{{aligned}}\\right."
