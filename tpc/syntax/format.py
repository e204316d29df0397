"""The formatter: one layout for every program.

It moves white space only, so that what a program says cannot change: comments, line breaks inside
brackets and single blank lines stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lark import Token

from tpc.diagnostics import Source
from tpc.syntax.columns import cells_of, in_columns
from tpc.syntax.parser import parse_lines
from tpc.syntax.spacing import gaps

_INDENT = "    "


@dataclass
class Row:
    """A line of the result: its level of indentation, its cells, and the comment after it."""

    level: int
    cells: tuple[str, ...]
    comment: str = ""
    rest: list[str] = field(default_factory=list)  # the further lines of a broken one


def format_program(source: Source) -> str:
    """The program in canonical layout. Raises TpcError where it does not parse.

    ``parse(format(p)) == parse(p)``, and formatting twice is formatting once.
    """
    _, lines = parse_lines(source)
    rows: list[Row | str] = []
    level, at = 0, 0
    for line in lines:
        before = level
        level += sum({"INDENT": 1, "DEDENT": -1}[each.type] for each in line.leading)
        first = line.tokens[0].start_pos or 0 if line.tokens else len(source.text)
        _between(source.text[at:first], rows, before, level)
        if line.tokens:
            rows.append(_row(source, line.tokens[:-1], level))
            at = line.tokens[-2].end_pos or 0
    while rows and rows[-1] == "":
        rows.pop()
    return "".join(text + "\n" for text in _texts(rows))


def _between(gap: str, rows: list[Row | str], before: int, level: int) -> None:
    """The comments and blank lines between two statements."""
    trailing, *others = gap.split("\n")
    if trailing.strip() and rows and isinstance(rows[-1], Row):
        rows[-1].comment = trailing.strip()
    elif trailing.strip():
        others.insert(0, trailing)
    margin = len(others[-1]) if others else 0
    for text in others[:-1] if rows or others[:-1] else []:
        _between_line(text, rows, before, level, margin)
    if others and others[-1].strip():
        _between_line(others[-1], rows, before, level, 0)


def _between_line(text: str, rows: list[Row | str], before: int, level: int, margin: int) -> None:
    comment = text.strip()
    if comment:
        deeper = before > level and len(text) - len(text.lstrip()) > margin
        rows.append(Row(before if deeper else level, (comment,)))
    elif rows and rows[-1] != "":
        rows.append("")


def _row(source: Source, tokens: list[Token], level: int) -> Row:
    """One statement; where it is broken over several lines, it stays so."""
    spaces = gaps(tokens)
    if not _is_broken(source, tokens):
        return Row(level, cells_of(tokens, spaces))
    first, *rest = _broken(source, tokens, spaces, level)
    return Row(level, (first,), rest=rest)


def _gap_text(source: Source, tokens: list[Token], at: int) -> str:
    return source.text[tokens[at - 1].end_pos or 0 : tokens[at].start_pos or 0]


def _is_broken(source: Source, tokens: list[Token]) -> bool:
    return any("\n" in _gap_text(source, tokens, at) for at in range(1, len(tokens)))


def _broken(source: Source, tokens: list[Token], spaces: list[str], level: int) -> list[str]:
    """The lines of a statement that is broken inside brackets."""
    lines = [str(tokens[0])]
    depth = 0
    for at in range(1, len(tokens)):
        depth += _opens(tokens[at - 1])
        gap = _gap_text(source, tokens, at)
        if "\n" not in gap:
            lines[-1] += spaces[at] + tokens[at]
            continue
        first, *others = (part.strip() for part in gap.split("\n"))
        if first:
            lines[-1] += "  " + first
        inner = _INDENT * (level + depth)
        lines += [inner + part for part in others if part]
        own = depth - (tokens[at].type in ("RPAR", "RSQB"))
        lines.append(_INDENT * (level + own) + tokens[at])
    return lines


def _opens(token: Token) -> int:
    return (token.type in ("LPAR", "LSQB")) - (token.type in ("RPAR", "RSQB"))


def _texts(rows: list[Row | str]) -> list[str]:
    """The lines of the result, neighbouring declarations aligned."""
    texts: list[str] = []
    group: list[Row] = []
    for row in [*rows, ""]:
        if group and not (isinstance(row, Row) and _alike(group[-1], row)):
            texts += _lines(group)
            group = []
        if isinstance(row, Row):
            group.append(row)
        else:
            texts.append(row)
    return texts[:-1]


def _alike(one: Row, other: Row) -> bool:
    """Whether two neighbours are aligned: declarations of one kind, each on one line."""
    return len(one.cells) > 1 and len(other.cells) > 1 and one.cells[0] == other.cells[0]


def _lines(group: list[Row]) -> list[str]:
    texts: list[str] = []
    for row, text in zip(group, in_columns([row.cells for row in group]), strict=True):
        lines = [_INDENT * row.level + text, *row.rest]
        if row.comment:
            lines[-1] += "  " + row.comment
        texts += lines
    return texts
