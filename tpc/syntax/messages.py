"""What a syntax error says: a message per state of the parser.

States have no stable numbers, so each message is filed under a sentence that fails in its state;
the states are looked up by running these sentences when the first error is to be reported. A state
that no sentence reaches is described by what it would accept.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken
from lark.parsers.lalr_analysis import Reduce
from lark.parsers.lalr_parser_state import ParserState

from tpc.diagnostics import Diagnostic, Label, Source, did_you_mean
from tpc.syntax.expectations import OPERATORS, SENTENCES, Expected, generic
from tpc.syntax.foreign import foreign
from tpc.syntax.grammar import load_parser
from tpc.syntax.keywords import as_keyword_or_name
from tpc.syntax.layout import LogicalLine
from tpc.syntax.lexer import scan, span_of_token


def describe(state: ParserState[Any], line: LogicalLine, at: int) -> Diagnostic:
    """The diagnostic for the token at index ``at`` of a line, which ``state`` refuses."""
    tokens = line.tokens
    known = foreign(tokens, at)
    if known is not None:
        return known
    row = set(state.parse_conf.states[state.position])
    expected = by_state().get(settled(state)) or generic(row)
    what = expected.what
    if row & OPERATORS and "operator" not in what:
        what = f"an operator, {what}" if " or " in what else f"an operator or {what}"
    headline = f"expected {what}, found {_found(tokens[at])}"
    help = _help(tokens, at) or expected.help
    return Diagnostic("E0101", headline, span_of_token(tokens[at]), _labels(tokens, at), help)


def settled(state: ParserState[Any]) -> Any:
    """The state that is reached when all that is complete is reduced, whatever comes next.

    A state after a complete operand is the same everywhere; only the reductions lead back to what
    the operand is part of.
    """
    table = state.parse_conf.states
    stack = list(state.state_stack)
    while True:
        rules = [arg for action, arg in table[stack[-1]].values() if action is Reduce]
        if not rules or not rules[0].expansion or rules[0].origin.name == "broken":
            return stack[-1]
        del stack[len(stack) - len(rules[0].expansion) :]
        stack.append(table[stack[-1]][rules[0].origin.name][1])


@cache
def by_state() -> dict[Any, Expected]:
    """The message of each state that a sentence of :data:`SENTENCES` reaches."""
    return {settled(failing(sentence)): expected for sentence, expected in SENTENCES.items()}


def failing(sentence: str) -> ParserState[Any]:
    """The parser where it refuses the last token of a sentence.

    Raises ValueError where it does not, which a test excludes for all sentences.
    """
    state = load_parser().parse_interactive("").parser_state
    tokens, _ = scan(Source.of(sentence))
    for at, token in enumerate(tokens):
        try:
            state.feed_token(as_keyword_or_name(token, state, first=at == 0))
        except UnexpectedToken:
            if at < len(tokens) - 1:
                break
            return state
    raise ValueError(f"{sentence!r} should fail at its last token")


def _found(token: Token) -> str:
    if token.type == "NEWLINE":
        return "the end of the line"
    if token.type == "NUMBER":
        return f"the number `{token}`"
    if token.type == "STRING":
        return f"the text {token}"
    return f"`{token}`"


def _labels(tokens: list[Token], at: int) -> tuple[Label, ...]:
    """Inside brackets that began on an earlier line, point at their beginning."""
    open_brackets: list[Token] = []
    for token in tokens[:at]:
        if token.type in ("LPAR", "LSQB"):
            open_brackets.append(token)
        elif token.type in ("RPAR", "RSQB"):
            open_brackets.pop()
    if not open_brackets:
        return ()
    span = span_of_token(open_brackets[-1])
    if span.line == span_of_token(tokens[at]).line:
        return ()
    return (Label(span, "inside these brackets"),)


_STARTERS = [
    "width",
    "size",
    "real",
    "exponent",
    "parametrization",
    "act",
    "input",
    "target",
    "noise",
    "param",
    "def",
    "train",
    "optimizer",
    "for",
    "return",
]


def _help(tokens: list[Token], at: int) -> str | None:
    """A misspelt keyword shows at the second word of a line."""
    if at == 1 and tokens[0].type == "NAME":
        return did_you_mean(str(tokens[0]), _STARTERS)
    if at > 0 and tokens[at - 1].type in ("NUMBER", "NAME", "RPAR", "RSQB"):
        return _juxtaposed(tokens[at - 1], tokens[at])
    return None


def _juxtaposed(left: Token, right: Token) -> str | None:
    if right.type not in ("NAME", "NUMBER", "LPAR"):
        return None
    if left.type == "NUMBER":
        return f"a product is written `{left} * {right}`"
    return "a product is written with `*`, a contraction with `@`"
