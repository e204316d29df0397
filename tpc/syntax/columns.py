"""Neighbouring declarations, aligned: keywords, colons, axes and modifiers each in a column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lark import Token

_SHORT = frozenset({"WIDTH", "SIZE", "REAL", "ACT"})
_DATA = frozenset({"INPUT", "TARGET", "NOISE"})
_MODIFIERS = frozenset({"ABC", "INIT", "MULT", "LR", "DECAY", "EPS", "FROZEN"})
_WIDEST = 20

Cells = tuple[str, ...]


def cells_of(tokens: Sequence[Token], spaces: Sequence[str]) -> Cells:
    """The cells of a statement: first the kind of its table (empty: none), then its columns."""
    kind = tokens[0].type
    if kind in _SHORT:
        return ("short", str(tokens[0]), _text(tokens, spaces, 1, len(tokens)))
    if kind in _DATA or kind == "PARAM":
        colon = _index(tokens, "COLON")
        names = _text(tokens, spaces, 1, colon)
        table = "param" if kind == "PARAM" else "data"
        axes, modifiers = _after_colon(tokens, spaces, colon + 1)
        return (table, str(tokens[0]), names, axes, modifiers)
    return (_text(tokens, spaces, 0, len(tokens)),)


def in_columns(rows: Sequence[Cells]) -> list[str]:
    """The texts of rows of one table; names much longer than the others push nobody aside."""
    if len(rows[0]) == 1:
        return [row[0] for row in rows]
    keyword = max(len(row[1]) for row in rows)
    if rows[0][0] == "short":
        return [f"{row[1].ljust(keyword)} {row[2]}" for row in rows]
    names = _column(row[2] for row in rows)
    axes = _column(row[3] for row in rows if row[4])
    return [_declaration(row, keyword, names, axes) for row in rows]


def _declaration(row: Cells, keyword: int, names: int, axes: int) -> str:
    _, word, name, extent, modifiers = row
    head = f"{word.ljust(keyword)} {name.ljust(names)} : "
    return head + (f"{extent.ljust(axes)}  {modifiers}" if modifiers else extent)


def _column(texts: Iterable[str]) -> int:
    return max((len(each) for each in texts if len(each) <= _WIDEST), default=0)


def _after_colon(tokens: Sequence[Token], spaces: Sequence[str], at: int) -> tuple[str, str]:
    """The axes (with `in vocab`), and the modifiers, two blanks apart."""
    starts = [k for k in range(at, len(tokens)) if tokens[k].type in _MODIFIERS]
    ends = [*starts[1:], len(tokens)]
    axes = _text(tokens, spaces, at, starts[0] if starts else len(tokens))
    modifiers = [_text(tokens, spaces, k, end) for k, end in zip(starts, ends, strict=False)]
    return axes, "  ".join(modifiers)


def _index(tokens: Sequence[Token], kind: str) -> int:
    return next(at for at, token in enumerate(tokens) if token.type == kind)


def _text(tokens: Sequence[Token], spaces: Sequence[str], start: int, end: int) -> str:
    pieces = [str(tokens[start])] if start < end else []
    pieces += [spaces[at] + tokens[at] for at in range(start + 1, end)]
    return "".join(pieces)
