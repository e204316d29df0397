"""Words that are keywords only where one may stand, and names elsewhere."""

from __future__ import annotations

from typing import Any

from lark import Token
from lark.parsers.lalr_parser_state import ParserState

from tpc.syntax.lexer import make_token_at

_ALWAYS = frozenset({"DEF", "FOR", "IN", "RETURN"})


def is_soft(token: Token) -> bool:
    """Whether a token is a word of the language that may also be a name."""
    return token.isalpha() and token.type not in _ALWAYS and token.type != "NAME"


def resolve_first_word(tokens: list[Token]) -> None:
    """Make the first word of a line a name where it is assigned to: ``noise = ...``."""
    if is_soft(tokens[0]) and _is_assigned(tokens):
        tokens[0] = _as_name(tokens[0])


def as_keyword_or_name(token: Token, state: ParserState[Any], first: bool) -> Token:
    """The token as the parser should see it: a soft word that may be a name here is one."""
    if first or not is_soft(token):
        return token
    row = state.parse_conf.states[state.position]
    return token if token.type in row and "NAME" not in row else _as_name(token)


def _is_assigned(tokens: list[Token]) -> bool:
    kinds = [each.type for each in tokens]
    if kinds[1] == "LSQB" and "RSQB" in kinds:
        return kinds[kinds.index("RSQB") + 1] == "EQUAL"
    return kinds[1] == "EQUAL"


def _as_name(token: Token) -> Token:
    return make_token_at("NAME", str(token), token)
