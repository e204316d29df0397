"""The full rendering: headline, source lines, underlines with labels, help.

The layout is rustc's: the place to blame is underlined with carets, the other places involved with
dashes; of several labels on one line the last stands beside the underline and the others hang
below on connecting lines.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.source import Source

Paint = Callable[[str, str], str]

_TAB = 4
_WINDOW = 150
_COLOURS = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "frame": "1;34",
    "head": "1",
    "help": "1;32",
}


def plain(kind: str, text: str) -> str:
    """Paint nothing."""
    return text


def ansi(kind: str, text: str) -> str:
    """Paint with terminal colours; ``kind`` is a severity, ``frame``, ``head`` or ``help``."""
    return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if text else text


@dataclass(frozen=True)
class _Mark:
    """An underline on one displayed line, in display columns from 0."""

    start: int
    end: int
    text: str
    primary: bool


def render_full(diagnostic: Diagnostic, paint: Paint = plain) -> str:
    """Render one diagnostic over several lines, without a final line end."""
    severity = diagnostic.severity
    head = paint(severity, f"{severity}[{diagnostic.code}]") + paint(
        "head", f": {diagnostic.headline}"
    )
    lines = [head]
    gutter = 1
    if diagnostic.span is not None:
        frames = _frames(diagnostic)
        gutter = max((len(str(number)) for _, number in frames), default=1)
        lines += _snippet(diagnostic, frames, gutter, paint)
    lines += _help(diagnostic, gutter, paint)
    return "\n".join(line.rstrip() for line in lines)


def _help(diagnostic: Diagnostic, gutter: int, paint: Paint) -> list[str]:
    if not diagnostic.help:
        return []
    first, *rest = diagnostic.help.split("\n")
    pad = " " * gutter
    lines = [f"{pad} {paint('frame', '=')} {paint('help', 'help')}: {first}"]
    return lines + [f"{pad}         {line}" for line in rest]


def _frames(diagnostic: Diagnostic) -> dict[tuple[Source, int], list[Label]]:
    """The lines to show, in order, each with its labels; the place to blame always has one."""
    assert diagnostic.span is not None
    labels = list(diagnostic.labels)
    if all(label.span != diagnostic.span for label in labels):
        labels.insert(0, Label(diagnostic.span, ""))
    frames: dict[tuple[Source, int], list[Label]] = {}
    for label in sorted(labels, key=lambda each: each.span.start):
        frames.setdefault((label.span.source, label.span.line), []).append(label)
    return frames


def _snippet(
    diagnostic: Diagnostic, frames: dict[tuple[Source, int], list[Label]], gutter: int, paint: Paint
) -> list[str]:
    span = diagnostic.span
    assert span is not None
    bar = paint("frame", "|")
    pad = " " * gutter
    lines = [f"{pad}{paint('frame', '-->')} {span}", f"{pad} {bar}"]
    shown: int | None = None
    for (source, number), labels in frames.items():
        if shown is not None and number > shown + 1:
            lines.append(paint("frame", "..."))
        shown = number
        text, marks = _display(source, number, labels, diagnostic)
        lines.append(f"{paint('frame', str(number).rjust(gutter))} {bar} {text}")
        lines += [f"{pad} {bar} {row}" for row in _rows(marks, diagnostic.severity, paint)]
    if diagnostic.help:
        lines.append(f"{pad} {bar}")
    return lines


def _display(
    source: Source, number: int, labels: list[Label], diagnostic: Diagnostic
) -> tuple[str, list[_Mark]]:
    """A source line as displayed, and its underlines in display columns."""
    raw = source.line(number)
    start = source.line_starts[number - 1]
    columns = _columns(raw)
    marks = []
    for label in labels:
        first = min(label.span.start - start, len(raw))
        last = min(max(label.span.end - start, first), len(raw))
        end = max(columns[last], columns[first] + 1)
        marks.append(_Mark(columns[first], end, label.text, label.span == diagnostic.span))
    text = "".join(_visible(character) for character in raw)
    return _window(text, marks)


def _window(text: str, marks: list[_Mark]) -> tuple[str, list[_Mark]]:
    """Cut a very long line down to the surroundings of the place to blame."""
    if len(text) <= _WINDOW:
        return text, marks
    focus = next((mark for mark in marks if mark.primary), marks[0])
    left = max(0, min(focus.start - _WINDOW // 3, len(text) - _WINDOW))
    right = left + _WINDOW
    before, after = ("..." if left else ""), ("..." if right < len(text) else "")
    shift = len(before) - left
    kept = [
        _Mark(mark.start + shift, min(mark.end, right) + shift, mark.text, mark.primary)
        for mark in marks
        if left <= mark.start < right
    ]
    return before + text[left:right] + after, kept


def _visible(character: str) -> str:
    if character == "\t":
        return " " * _TAB
    if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return "\N{REPLACEMENT CHARACTER}"
    return character


def _columns(raw: str) -> list[int]:
    """The display column of each character and of the end of the line."""
    columns = [0]
    for character in raw:
        wide = unicodedata.east_asian_width(character) in ("W", "F")
        step = (
            _TAB
            if character == "\t"
            else 2
            if wide
            else 0
            if unicodedata.combining(character)
            else 1
        )
        columns.append(columns[-1] + step)
    return columns


def _rows(marks: list[_Mark], severity: str, paint: Paint) -> list[str]:
    """The lines below a source line: underlines, then the labels that hang on connecting lines."""
    canvas = _Canvas(severity, paint)
    for mark in sorted(marks, key=lambda each: each.primary):
        canvas.put(
            0, mark.start, ("^" if mark.primary else "-") * (mark.end - mark.start), mark.primary
        )
    labelled = sorted(
        (mark for mark in marks if mark.text), key=lambda each: (each.start, each.end)
    )
    if labelled and all(mark.end <= labelled[-1].end for mark in marks) and _alone(labelled):
        last = labelled.pop()
        canvas.put(0, last.end + 1, last.text, last.primary)
    row = 2
    for mark in reversed(labelled):
        for above in range(1, row):
            canvas.put(above, mark.start, "|", mark.primary)
        canvas.put(row, mark.start, mark.text, mark.primary)
        row += 1
    return canvas.lines()


def _alone(labelled: list[_Mark]) -> bool:
    """Whether the last label can stand beside its underline: no other begins where it does."""
    return len(labelled) < 2 or labelled[-2].start != labelled[-1].start


class _Canvas:
    """A grid of painted characters; later ones cover earlier ones."""

    def __init__(self, severity: str, paint: Paint) -> None:
        self._cells: dict[int, dict[int, tuple[str, str]]] = {}
        self._severity, self._paint = severity, paint

    def put(self, row: int, column: int, text: str, primary: bool) -> None:
        kind = self._severity if primary else "frame"
        cells = self._cells.setdefault(row, {})
        for offset, character in enumerate(text):
            cells[column + offset] = (character, kind)

    def lines(self) -> list[str]:
        return [
            self._line(self._cells.get(row, {})) for row in range(max(self._cells, default=-1) + 1)
        ]

    def _line(self, cells: dict[int, tuple[str, str]]) -> str:
        out, run, kind = "", "", "frame"
        for column in range(max(cells, default=-1) + 1):
            character, wanted = cells.get(column, (" ", kind))
            if wanted != kind:
                out, run, kind = out + self._paint(kind, run), "", wanted
            run += character
        return out + self._paint(kind, run)
