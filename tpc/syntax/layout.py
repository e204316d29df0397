"""Tokens to logical lines: brackets are matched, line ends inside them dropped, indentation made
tokens.

Whatever is wrong with brackets or indentation is reported here and mended, so that the parser meets
only lines that are whole; a mended line is marked ``faulty`` and the parser's complaints about it
are kept back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lark import Token

from tpc.diagnostics import Diagnostic, Label
from tpc.syntax.lexer import make_token_at, span_of_token

_CLOSER = {"LPAR": "RPAR", "LSQB": "RSQB"}
_TEXT = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]"}
_DECLARES = frozenset(
    [
        "WIDTH",
        "SIZE",
        "REAL",
        "EXPONENT",
        "PARAMETRIZATION",
        "ACT",
        "INPUT",
        "TARGET",
        "NOISE",
        "PARAM",
        "OPTIMIZER",
    ]
)
_OPENS_BLOCK = frozenset({"DEF", "FOR", "TRAIN"})


@dataclass
class LogicalLine:
    """A statement's tokens (its block apart), ended by NEWLINE; INDENT or DEDENTs may lead."""

    tokens: list[Token] = field(default_factory=list)
    leading: list[Token] = field(default_factory=list)
    faulty: bool = False


def lay_out(tokens: list[Token]) -> tuple[list[LogicalLine], list[Diagnostic]]:
    """Join and indent: the logical lines of a program and what was wrong with their layout."""
    tokens = [each for each in tokens if each.type != "COMMENT"]
    joiner = _Joiner(tokens, wary=not _balanced(tokens))
    lines = joiner.run()
    indenter = _Indenter()
    indented = indenter.run(lines)
    return indented, joiner.found + indenter.found


def _balanced(tokens: list[Token]) -> bool:
    """Whether all brackets match: if not, what looks like a statement ends the one before."""
    pending: list[str] = []
    for token in tokens:
        if token.type in _CLOSER:
            pending.append(_CLOSER[token.type])
        elif token.type in ("RPAR", "RSQB") and (not pending or pending.pop() != token.type):
            return False
    return not pending


class _Joiner:
    """Matches brackets and cuts the tokens into logical lines."""

    def __init__(self, tokens: list[Token], wary: bool) -> None:
        self.tokens, self.wary = tokens, wary
        self.found: list[Diagnostic] = []
        self.lines: list[LogicalLine] = []
        self.line = LogicalLine()
        self.open: list[Token] = []

    def run(self) -> list[LogicalLine]:
        for at, token in enumerate(self.tokens):
            if token.type == "NEWLINE":
                if not self.open or (self.wary and self._begins_statement(at + 1)):
                    self._end_line(token)
            elif token.type == "STRAY":
                self.line.faulty = True
            else:
                self._take(token)
        if self.line.tokens or self.line.faulty:
            self._end_line(None)
        return self.lines

    def _take(self, token: Token) -> None:
        if token.type in _CLOSER:
            self.open.append(token)
        elif token.type in ("RPAR", "RSQB"):
            mended = self._close(token)
            if mended is None:
                return
            token = mended
        self.line.tokens.append(token)

    def _close(self, token: Token) -> Token | None:
        """Match a closing bracket; a wrong one is reported and taken as the right one."""
        if not self.open:
            self._report("E0104", f"this `{token}` closes nothing", token, help="remove it")
            return None
        opener = self.open[-1]
        if _CLOSER[opener.type] == token.type:
            self.open.pop()
            return token
        if any(_CLOSER[each.type] == token.type for each in self.open):
            self._close_down_to(token)
            return token
        self.open.pop()
        wanted = _TEXT[_CLOSER[opener.type]]
        label = Label(span_of_token(opener), "opened here")
        self._report(
            "E0104", f"`{token}` does not close `{opener}`", token, label, help=f"write `{wanted}`"
        )
        return make_token_at(_CLOSER[opener.type], wanted, token)

    def _close_down_to(self, token: Token) -> None:
        """Close what is open inside the bracket that ``token`` closes."""
        inner = 1
        while _CLOSER[self.open[-inner].type] != token.type:
            inner += 1
        self._unclosed(self.open[-inner + 1 :])
        for _ in range(inner - 1):
            self._close_missing(token)
        self.open.pop()

    def _close_missing(self, where: Token) -> None:
        opener = self.open.pop()
        closer = _CLOSER[opener.type]
        self.line.tokens.append(make_token_at(closer, "", where))

    def _unclosed(self, openers: list[Token]) -> None:
        """One report for all brackets of a statement that are never closed, at the innermost."""
        opener = openers[-1]
        wanted = "".join(_TEXT[_CLOSER[each.type]] for each in reversed(openers[-9:]))
        more = f" ({len(openers)} brackets are open here)" if len(openers) > 1 else ""
        self._report(
            "E0103", f"`{opener}` is never closed{more}", opener, help=f"add the missing `{wanted}`"
        )

    def _end_line(self, newline: Token | None) -> None:
        last = self.line.tokens[-1] if self.line.tokens else None
        if self.open:
            self._unclosed(self.open)
        while self.open:
            assert last is not None
            self._close_missing(newline or last)
        if last is not None:
            self.line.tokens.append(newline or make_token_at("NEWLINE", "", last))
            self.lines.append(self.line)
        self.line = LogicalLine()

    def _begins_statement(self, at: int) -> bool:
        """Whether a statement seems to begin with the token at ``at``."""
        while at < len(self.tokens) and self.tokens[at].type == "NEWLINE":
            at += 1
        if at >= len(self.tokens):
            return False
        kinds = [each.type for each in self._rest_of_line(at)]
        second = kinds[1] if len(kinds) > 1 else ""
        if kinds[0] in ("DEF", "RETURN") or (kinds[0] == "FOR" and kinds[-1] == "COLON"):
            return True
        if kinds[0] in _DECLARES and second not in ("EQUAL", "COMMA", "RPAR", "RSQB"):
            return True
        if kinds[0] == "TRAIN" and second == "COLON":
            return True
        return self._at_margin(at) and kinds[0] != "FOR" and _assigns(kinds)

    def _at_margin(self, at: int) -> bool:
        """Whether a line is indented no more than the statement that might go on in it."""
        return _column(self.tokens[at]) <= _column(self.line.tokens[0])

    def _rest_of_line(self, at: int) -> list[Token]:
        end = at
        while end < len(self.tokens) and self.tokens[end].type != "NEWLINE":
            end += 1
        return self.tokens[at:end]

    def _report(
        self, code: str, headline: str, at: Token, *labels: Label, help: str | None = None
    ) -> None:
        if self.line.faulty:
            return  # one report per statement
        self.line.faulty = True
        self.found.append(Diagnostic(code, headline, span_of_token(at), labels, help))


def _assigns(kinds: list[str]) -> bool:
    """Whether a line reads ``name = ...`` or ``name[...] = ...``."""
    if kinds[0] in ("NUMBER", "STRING") or not kinds[0].isalpha() or len(kinds) < 3:
        return False
    if kinds[1] == "LSQB" and "RSQB" in kinds:
        return kinds[kinds.index("RSQB") + 1 :][:1] == ["EQUAL"]
    return kinds[1] == "EQUAL"


def _column(token: Token) -> int:
    """How far a token is indented; tabs, which have been reported, count four."""
    span = span_of_token(token)
    start = span.source.line_starts[span.line - 1]
    return len(span.source.text[start : span.start].expandtabs(4))


class _Indenter:
    """Turns indentation into INDENT and DEDENT before the lines."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self.levels: list[tuple[int, bool]] = [(0, True)]  # column, and whether it opened a block
        self.previous: LogicalLine | None = None

    def run(self, lines: list[LogicalLine]) -> list[LogicalLine]:
        for line in lines:
            self._place(line, _column(line.tokens[0]))
            self.previous = line
        if lines:
            self._finish(lines)
        return lines

    def _finish(self, lines: list[LogicalLine]) -> None:
        end = LogicalLine()
        last = lines[-1].tokens[-1]
        if self._wants_block():
            self._missing_block(end, last)
        while len(self.levels) > 1:
            self._leave(end, last)
        lines.append(end)

    def _place(self, line: LogicalLine, column: int) -> None:
        first = line.tokens[0]
        if column > self.levels[-1][0]:
            if self._may_open_block():
                self._enter(line, first, column)
            else:
                self._too_deep(line, first, column)
            return
        if self._wants_block():
            self._missing_block(line, first)
        while column < self.levels[-1][0]:
            self._leave(line, first)
        if column != self.levels[-1][0]:
            self._between(line, first, column)

    def _enter(self, line: LogicalLine, at: Token, column: int) -> None:
        self.levels.append((column, True))
        line.leading.append(make_token_at("INDENT", "", at))

    def _leave(self, line: LogicalLine, at: Token) -> None:
        _, opened = self.levels.pop()
        if opened:
            line.leading.append(make_token_at("DEDENT", "", at))

    def _may_open_block(self) -> bool:
        """Whether the last line ends in a colon, or should have."""
        kinds = self._last_kinds()
        if not kinds:
            return False
        return kinds[-1] == "COLON" or (kinds[0] in _OPENS_BLOCK and "EQUAL" not in kinds)

    def _wants_block(self) -> bool:
        kinds = self._last_kinds()
        return bool(kinds) and kinds[-1] == "COLON" and kinds[0] in _OPENS_BLOCK

    def _last_kinds(self) -> list[str]:
        return [each.type for each in self.previous.tokens[:-1]] if self.previous else []

    def _missing_block(self, line: LogicalLine, at: Token) -> None:
        """Report a header without a block and give it an empty one."""
        assert self.previous is not None
        header = self.previous.tokens[0]
        if not self.previous.faulty:
            self.found.append(
                Diagnostic(
                    "E0106",
                    f"nothing is indented under this `{header}`",
                    span_of_token(self.previous.tokens[-2]),
                    (Label(span_of_token(header), "this opens a block"),),
                    "indent the lines that belong to it by four spaces",
                )
            )
        for kind in ("INDENT", "ERROR", "NEWLINE", "DEDENT"):
            line.leading.append(make_token_at(kind, "", at))

    def _too_deep(self, line: LogicalLine, at: Token, column: int) -> None:
        self.levels.append((column, False))
        line.faulty = True
        self.found.append(
            Diagnostic(
                "E0107",
                "this line is indented, but nothing opened a block",
                span_of_token(at),
                help="start it below the line before; blocks follow lines that end in `:`",
            )
        )

    def _between(self, line: LogicalLine, at: Token, column: int) -> None:
        columns = [level for level, _ in self.levels]
        self.levels.append((column, False))
        line.faulty = True
        self.found.append(
            Diagnostic(
                "E0108",
                "this indentation matches no line above",
                span_of_token(at),
                help=f"the enclosing blocks are indented by {_listed(columns)} spaces",
            )
        )


def _listed(columns: list[int]) -> str:
    return ", ".join(str(each) for each in columns)
