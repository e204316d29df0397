"""Tokens to tree: the LALR automaton, driven line by line so that it can go on after an error.

Recovery is yacc's: on an error, states are popped until a statement may begin, the rest of the
line is skipped, and the reduction ``broken`` takes its place. A line never gives more than one
syntax error.
"""

from __future__ import annotations

from typing import Any

from lark.exceptions import UnexpectedToken
from lark.parsers.lalr_parser_state import ParserState

from tpc.diagnostics import Diagnostic, Source, TpcError
from tpc.syntax import tree
from tpc.syntax.grammar import load_parser
from tpc.syntax.keywords import as_keyword_or_name, resolve_first_word
from tpc.syntax.layout import LogicalLine, lay_out
from tpc.syntax.lexer import make_token, make_token_at, scan
from tpc.syntax.messages import describe
from tpc.syntax.placement import misplaced

MOST_ERRORS = 30
MOST_CHARACTERS = 4_000_000


def parse(source: Source) -> tree.Program:
    """The tree of a program. Raises TpcError with all syntax errors, in order of the text."""
    return parse_lines(source)[0]


def parse_lines(source: Source) -> tuple[tree.Program, list[LogicalLine]]:
    """The tree and the logical lines, in which words are told to be keywords or names.

    Raises TpcError as :func:`parse` does.
    """
    refused = _refuse(source)
    if refused is not None:
        raise TpcError(refused)
    tokens, found = scan(source)
    lines, more = lay_out(tokens)
    found += more
    if not lines and not found:
        raise TpcError(_empty(source))
    program = _Run(source, found).program(lines)
    if program is not None:
        found += misplaced(program)
    if found:
        raise TpcError(_in_order(found))
    assert program is not None
    return program, lines


def parse_expression(text: str, name: str) -> tree.Expression:
    """The tree of one expression that stands outside a program, as the value of an option.

    Raises:
        TpcError: it is no expression.
    """
    source = Source.of(text, name)
    refused = _refuse(source)
    if refused is not None:
        raise TpcError(refused)
    tokens, found = scan(source)
    lines, more = lay_out([make_token("RETURN", "", source, 0), *tokens])
    found += more
    program = _Run(source, found).program(lines)
    if program is not None and not found:
        found += misplaced(tree.Program(program.body[:1], span=program.span), only_depth=True)
    if found:
        raise TpcError(_in_order(found))
    assert program is not None
    statement = program.body[0]
    if len(program.body) > 1 or not isinstance(statement, tree.Return):
        raise TpcError(Diagnostic("E0101", "expected one expression", source.span(0, len(text))))
    return statement.value


class _Run:
    """One run of the automaton over the lines of a program."""

    def __init__(self, source: Source, found: list[Diagnostic]) -> None:
        self.source, self.found = source, found
        self.state: ParserState[Any] = load_parser().parse_interactive("").parser_state
        self.table = self.state.parse_conf.states

    def program(self, lines: list[LogicalLine]) -> tree.Program | None:
        """The tree, or None where there were too many errors to go on."""
        for line in lines:
            self._leading(line)
            if line.tokens:
                resolve_first_word(line.tokens)
                self._line(line)
            if len(self.found) >= MOST_ERRORS:
                return None
        end = make_token("$END", "", self.source, len(self.source.text))
        program: tree.Program = self.state.feed_token(end, is_end=True)
        return program

    def _leading(self, line: LogicalLine) -> None:
        """Layout tokens fit by construction: a block follows a header, or a broken one."""
        for token in line.leading:
            self.state.feed_token(token)

    def _line(self, line: LogicalLine) -> None:
        for at, token in enumerate(line.tokens):
            line.tokens[at] = as_keyword_or_name(token, self.state, first=at == 0)
            try:
                self.state.feed_token(line.tokens[at])
            except UnexpectedToken:
                if not line.faulty:
                    self.found.append(describe(self.state, line, at))
                self._recover(line)
                return

    def _recover(self, line: LogicalLine) -> None:
        state = self.state
        while "ERROR" not in self.table[state.position]:
            state.state_stack.pop()
            state.value_stack.pop()
        first = line.tokens[0]
        state.feed_token(make_token_at("ERROR", str(first), first))
        state.feed_token(line.tokens[-1])


def _refuse(source: Source) -> Diagnostic | None:
    if "\0" in source.text:
        at = source.text.index("\0")
        return Diagnostic(
            "E0112",
            "this is not a text: it has a NUL character",
            source.span(at, at + 1),
            help="a program is plain text in UTF-8; was another file meant?",
        )
    if len(source.text) > MOST_CHARACTERS:
        return Diagnostic(
            "E0114",
            f"this program has {len(source.text):,} characters, more than {MOST_CHARACTERS:,}",
            source.span(0, 0),
            help="families `W[1..L]` and loops say in one line what repeats",
        )
    return None


def _empty(source: Source) -> Diagnostic:
    return Diagnostic(
        "E0110",
        "this program is empty",
        source.span(0, 0),
        help="a smallest program is\n"
        "width n\ninput x : [3]\nparam U : [n, 3] init normal(1)\n"
        "param V : [1, n] init normal(n^(-1/2))\ndef f(x) = V @ tanh(U @ x)",
    )


def _in_order(found: list[Diagnostic]) -> list[Diagnostic]:
    """By place, each finding once; a line that is broken is not also blamed for where it stands."""
    broken = {each.span.line for each in found if each.span and each.code != "E0115"}
    kept = dict.fromkeys(
        each
        for each in found
        if each.code != "E0115" or each.span is None or each.span.line not in broken
    )
    ordered = sorted(kept, key=lambda each: each.span.start if each.span else -1)
    if len(ordered) < MOST_ERRORS:
        return ordered
    note = Diagnostic(
        "E0119",
        f"stopped after {MOST_ERRORS} errors",
        ordered[MOST_ERRORS - 1].span,
        severity="note",
    )
    return [*ordered[:MOST_ERRORS], note]
