"""How far apart two tokens stand in canonical layout."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

_OPERAND_ENDS = frozenset({"NAME", "NUMBER", "STRING", "RPAR", "RSQB"})
_TIGHT = frozenset({"RANGE", "DOT", "CARET"})
_OPENERS = frozenset({"LPAR", "LSQB"})
_CLOSERS = frozenset({"RPAR", "RSQB"})


def gaps(tokens: Sequence[Token]) -> list[str]:
    """The white space before each token of a line."""
    found = [""]
    brackets: list[str] = []
    for at in range(1, len(tokens)):
        _track(tokens, at - 1, brackets)
        found.append(_gap(tokens, at, brackets))
    return found


def _track(tokens: Sequence[Token], at: int, brackets: list[str]) -> None:
    """Keep the stack of open brackets: `(`, `[` of axes, or `i` for the `[` of an index."""
    kind = tokens[at].type
    if kind == "LPAR":
        brackets.append("(")
    elif kind == "LSQB":
        brackets.append("i" if at and tokens[at - 1].type in _OPERAND_ENDS else "[")
    elif kind in _CLOSERS:
        brackets.pop()


def _gap(tokens: Sequence[Token], at: int, brackets: list[str]) -> str:
    left, right = tokens[at - 1].type, tokens[at].type
    inside = brackets[-1] if brackets else ""
    if left in _OPENERS or right in _CLOSERS or right == "COMMA":
        return ""
    if left in _TIGHT or right in _TIGHT:
        return ""
    if right in _OPENERS and (left in _OPERAND_ENDS or left == "ABC"):
        return ""
    if right == "COLON" and at == len(tokens) - 1:
        return ""
    if left in ("PLUS", "MINUS"):
        return " " if _is_binary(tokens, at - 1) and inside != "i" else ""
    if right in ("PLUS", "MINUS") and _is_binary(tokens, at):
        return "" if inside == "i" else " "
    for operator in (at - 1, at):
        if tokens[operator].type in ("STAR", "SLASH") and _is_tight(tokens, operator, inside):
            return ""
    return " "


def _is_binary(tokens: Sequence[Token], at: int) -> bool:
    return at > 0 and tokens[at - 1].type in _OPERAND_ENDS


def _is_tight(tokens: Sequence[Token], at: int, inside: str) -> bool:
    """``[4*n, n]`` and ``1/2`` are written without blanks, other products and quotients with."""
    if inside in ("[", "i"):
        return True
    if tokens[at].type == "STAR" or not 0 < at < len(tokens) - 1:
        return False
    return (
        _is_integer(tokens[at - 1]) and _is_integer(tokens[at + 1]) and not _ends_power(tokens, at)
    )


def _is_integer(token: Token) -> bool:
    return token.type == "NUMBER" and token.isdigit()


def _ends_power(tokens: Sequence[Token], at: int) -> bool:
    """Whether the number before ``at`` is an exponent: ``z^2 / 2``."""
    before = at - 2
    while before >= 0 and tokens[before].type in ("PLUS", "MINUS"):
        before -= 1
    return before >= 0 and tokens[before].type == "CARET"
