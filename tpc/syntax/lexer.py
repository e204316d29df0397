"""Text to tokens, by the terminals of the grammar; what is no token is reported and skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from lark import Token
from lark.lexer import PatternStr, TerminalDef

from tpc.diagnostics import Diagnostic, Label, Source, Span
from tpc.syntax.build import ProgramToken
from tpc.syntax.grammar import load_parser

_LONGEST_NUMBER = 400
_LARGEST_EXPONENT = 300

_HELP = {
    "'": 'texts stand in double quotes: "t n, u n -> t u"',
    ";": "write one statement per line",
    "!": "there is no `!`; comparisons are `<`, `>`, `<=` and `>=`",
    "%": "there is no remainder or percent sign",
    "&": "there are no logical operators; nest `where(condition, x, y)` instead",
    "|": "there are no logical operators; nest `where(condition, x, y)` instead",
    "{": "groups are written with `(` and `)`, axes and indices with `[` and `]`",
    "}": "groups are written with `(` and `)`, axes and indices with `[` and `]`",
    "\\": "a line goes on after its end only inside brackets",
    "$": "no LaTeX here: `alpha` or the letter itself is a name",
    "\N{MINUS SIGN}": "write the ASCII minus sign `-`",
    "\N{EN DASH}": "write the ASCII minus sign `-`",
    "\N{MULTIPLICATION SIGN}": "write `*`, or `@` for a contraction",
    "\N{MIDDLE DOT}": "write `*`, or `@` for a contraction",
    "\N{DOT OPERATOR}": "write `*`, or `@` for a contraction",
    "\N{LEFT DOUBLE QUOTATION MARK}": 'write straight double quotes "..."',
    "\N{RIGHT DOUBLE QUOTATION MARK}": 'write straight double quotes "..."',
    "\N{HORIZONTAL ELLIPSIS}": "a range is written with two dots: `1..3`",
    "\N{NO-BREAK SPACE}": "write an ordinary space",
}


def make_token(kind: str, text: str, source: Source, start: int) -> Token:
    """A token of ``source`` that begins at offset ``start``."""
    token = ProgramToken(kind, text, start_pos=start, end_pos=start + len(text))
    token.source = source
    return token


def make_token_at(kind: str, text: str, place: Token) -> Token:
    """A token that begins where ``place`` does, and which its text need not have."""
    assert isinstance(place, ProgramToken)
    return make_token(kind, text, place.source, place.start_pos or 0)


def span_of_token(token: Token) -> Span:
    """The place of a token."""
    assert isinstance(token, ProgramToken)
    return Span(token.source, token.start_pos or 0, token.end_pos or 0)


@cache
def _scanner() -> tuple[re.Pattern[str], dict[str, str]]:
    """One expression for all terminals that are not keywords, and the keywords."""
    keywords: dict[str, str] = {}
    patterns: list[TerminalDef] = []
    for terminal in load_parser().terminals:
        if isinstance(terminal.pattern, PatternStr) and terminal.pattern.value.isalpha():
            keywords[terminal.pattern.value] = terminal.name
        else:
            patterns.append(terminal)
    patterns.sort(key=_preference)
    union = "|".join(f"(?P<{each.name}>{each.pattern.to_regexp()})" for each in patterns)
    return re.compile(union), keywords


def _preference(terminal: TerminalDef) -> tuple[bool, int, str]:
    """Patterns first (`.5` before `.`), then texts, the longer first (`..` before `.`)."""
    fixed = isinstance(terminal.pattern, PatternStr)
    return fixed, -len(terminal.pattern.value) if fixed else 0, terminal.name


def scan(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """All tokens, with line ends and comments, without blanks; and what was no token.

    A stray character leaves a token ``STRAY``, so that its line is known to be faulty.
    """
    expression, keywords = _scanner()
    tokens: list[Token] = []
    found: list[Diagnostic] = []
    at, text = 0, source.text
    while at < len(text):
        match = expression.match(text, at)
        if match is None:
            end = _end_of_stray(text, at)
            found.append(_stray(source.span(at, end)))
            tokens.append(make_token("STRAY", text[at:end], source, at))
            at = end
            continue
        kind, value = match.lastgroup or "", match.group()
        if kind == "NAME":
            kind = keywords.get(value, kind)
        elif kind == "NUMBER" and not _is_sane(value):
            found.append(_insane_number(source.span(at, match.end())))
            kind = "STRAY"
        if kind != "BLANK":
            tokens.append(make_token(kind, value, source, at))
        at = match.end()
    return tokens, list(_without_repeats(found))


def _is_sane(number: str) -> bool:
    _, _, exponent = number.lower().partition("e")
    return len(number) <= _LONGEST_NUMBER and abs(int(exponent or 0)) <= _LARGEST_EXPONENT


def _insane_number(span: Span) -> Diagnostic:
    return Diagnostic(
        "E0118",
        "this number is out of range",
        span,
        help=f"numbers have at most {_LONGEST_NUMBER} digits and lie between "
        f"1e-{_LARGEST_EXPONENT} and 1e{_LARGEST_EXPONENT}",
    )


def _end_of_stray(text: str, at: int) -> int:
    """Like characters in a row are one finding; an open quote spoils the rest of its line."""
    if text[at] == '"':
        end = text.find("\n", at)
        return len(text) if end < 0 else end
    end = at + 1
    while end < len(text) and text[end] == text[at]:
        end += 1
    return end


def _stray(span: Span) -> Diagnostic:
    character = span.text[0]
    if character == '"':
        return Diagnostic("E0116", "this text is never closed", span, help='close it with `"`')
    if character == "\t":
        return Diagnostic("E0105", "tabs are not allowed", span, help="indent with spaces")
    shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
    return Diagnostic(
        "E0102",
        f"the character {shown} has no meaning here",
        span,
        help=_HELP.get(character),
    )


def _without_repeats(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Indenting with tabs is one mistake of a file, stray characters are one of their line."""
    found = list(found)
    tabs = [each for each in found if each.code == "E0105"]
    seen: set[tuple[str, int]] = set()
    for each in found:
        assert each.span is not None
        line = 0 if each.code == "E0105" else each.span.line
        if (each.code, line) not in seen:
            seen.add((each.code, line))
            yield _first_tab(tabs) if each.code == "E0105" else each


def _first_tab(tabs: list[Diagnostic]) -> Diagnostic:
    first = tabs[0]
    assert first.span is not None
    lines = {each.span.line for each in tabs if each.span}
    if len(lines) == 1:
        return first
    label = Label(first.span, f"the first of {len(lines)} lines with tabs")
    return Diagnostic(first.code, first.headline, first.span, (label,), first.help)
