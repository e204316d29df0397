"""One entry for every rendering."""

from __future__ import annotations

from collections.abc import Iterable

from tpc.diagnostics.diagnostic import Diagnostic
from tpc.diagnostics.full import ansi, plain, render_full
from tpc.diagnostics.machine import render_concise, render_github, render_json

FORMATS = ("full", "concise", "json", "github")


def render(diagnostics: Iterable[Diagnostic], form: str = "full", colour: bool = False) -> str:
    """Render diagnostics in one of :data:`FORMATS`; every line is ended."""
    if form not in FORMATS:
        raise ValueError(f"unknown form {form!r}: one of {', '.join(FORMATS)}")
    found = list(diagnostics)
    if form == "json":
        return render_json(found) + "\n"
    if not found:
        return ""
    if form == "concise":
        return "".join(render_concise(each) + "\n" for each in found)
    if form == "github":
        return "".join(render_github(each) + "\n" for each in found)
    paint = ansi if colour else plain
    return "\n\n".join(render_full(each, paint) for each in found) + "\n"
