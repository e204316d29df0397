"""Renderings for editors, services and scripts: concise lines, JSON, GitHub workflow commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tpc.diagnostics.diagnostic import Diagnostic
from tpc.diagnostics.source import Span

JSON_VERSION = 1


def render_concise(diagnostic: Diagnostic) -> str:
    """One line: ``file:line:column: error[E0101]: headline``."""
    return str(diagnostic)


def diagnostic_object(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic as a JSON-ready object; ``place`` is null where no text is to blame."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "headline": diagnostic.headline,
        "place": diagnostic.span and _place(diagnostic.span),
        "labels": [
            {"place": _place(label.span), "text": label.text} for label in diagnostic.labels
        ],
        "help": diagnostic.help,
    }


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """All diagnostics as one JSON document ``{"version": 1, "diagnostics": [...]}``."""
    document = {
        "version": JSON_VERSION,
        "diagnostics": [diagnostic_object(each) for each in diagnostics],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def render_github(diagnostic: Diagnostic) -> str:
    """One GitHub workflow command, which shows the diagnostic beside the changed line."""
    command = {"note": "notice"}.get(diagnostic.severity, diagnostic.severity)
    properties = {}
    if diagnostic.span is not None:
        start, end = (
            _point(diagnostic.span, diagnostic.span.start),
            _point(diagnostic.span, diagnostic.span.end),
        )
        properties = {
            "file": diagnostic.span.source.name,
            "line": start["line"],
            "endLine": end["line"],
        }
        if start["line"] == end["line"]:
            properties |= {
                "col": start["column"],
                "endColumn": max(end["column"], start["column"] + 1),
            }
    properties["title"] = diagnostic.code
    message = diagnostic.headline + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
    listed = ",".join(f"{key}={_escape(str(value), ':,')}" for key, value in properties.items())
    return f"::{command} {listed}::{_escape(message)}"


def _escape(text: str, more: str = "") -> str:
    """Percent-encode what GitHub's runner would read as structure."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _place(span: Span) -> dict[str, Any]:
    return {
        "file": span.source.name,
        "start": _point(span, span.start),
        "end": _point(span, span.end),
    }


def _point(span: Span, offset: int) -> dict[str, int]:
    line, column = span.source.position(offset)
    return {"line": line, "column": column, "offset": offset}
