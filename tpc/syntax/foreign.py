"""Syntax errors that come from knowing another language: what is meant is known, so say it."""

from __future__ import annotations

from lark import Token

from tpc.diagnostics import Diagnostic
from tpc.syntax.lexer import span_of_token

_LATER = {
    "block": "write a `def` and hand it its weights: `def block(h, Q, K)`",
    "constant": "write the numbers as sizes and reals, or give the tensor as an `input`",
    "import": "a program is one file; copy the definition",
}

_STATEMENTS = {
    "if": "choose elementwise with `where(condition, x, y)`",
    "elif": "choose elementwise with `where(condition, x, y)`",
    "else": "choose elementwise with `where(condition, x, y)`",
    "while": "loops have fixed ranges: `for t in 1..T:`",
    "class": "a program has functions only: `def f(x):`",
    "lambda": "name the function: `def f(x) = expression`",
    "from": "a program is one file",
    "print": "`tpc check --emit ir` shows what a program means",
    "assert": "a program only defines; expectations are checked with `tpc classify --expect`",
    "let": "an assignment reads `name = expression`",
    "const": "a constant is declared as `real eta = 0.1`, a size as `size d = 10`",
    "var": "an assignment reads `name = expression`",
    "function": "a function reads `def f(x) = expression`",
    "fn": "a function reads `def f(x) = expression`",
}

_OPERATORS = {
    ("STAR", "STAR"): ("`**` is not an operator", "a power is written `^`"),
    ("EQUAL", "EQUAL"): ("`==` is not an operator", "comparisons are `<`, `>`, `<=` and `>=`"),
    ("COLON", "EQUAL"): ("`:=` is not an operator", "an assignment is written `=`"),
    ("MINUS", "GREATER"): ("`->` is not an operator", "the type of a value is found, not declared"),
    ("SLASH", "SLASH"): ("`//` is not an operator", "a quotient is written `/`, a comment `#`"),
    ("PLUS", "EQUAL"): ("`+=` is not an operator", "write `x = x + ...`"),
    ("MINUS", "EQUAL"): ("`-=` is not an operator", "write `x = x - ...`"),
    ("STAR", "EQUAL"): ("`*=` is not an operator", "write `x = x * ...`"),
    ("SLASH", "EQUAL"): ("`/=` is not an operator", "write `x = x / ...`"),
    ("AT", "EQUAL"): ("`@=` is not an operator", "write `x = W @ x`"),
    ("RANGE", "RANGE"): ("`....` is not an operator", "a range is written with two dots: `1..3`"),
    ("RANGE", "DOT"): ("`...` is not an operator", "a range is written with two dots: `1..3`"),
}


def foreign(tokens: list[Token], at: int) -> Diagnostic | None:
    """A diagnostic that knows what was meant at ``tokens[at]``, or None."""
    return (
        _later(tokens)
        or _statement(tokens, at)
        or _operator(tokens, at)
        or _colon(tokens, at)
        or _axes(tokens, at)
    )


def _later(tokens: list[Token]) -> Diagnostic | None:
    word = str(tokens[0])
    if word not in _LATER or len(tokens) < 2 or tokens[1].type != "NAME":
        return None
    return Diagnostic(
        "E0109",
        f"`{word}` is not yet in the language",
        span_of_token(tokens[0]),
        help=_LATER[word],
    )


def _statement(tokens: list[Token], at: int) -> Diagnostic | None:
    for token in (tokens[0], tokens[at - 1], tokens[at]):
        if token.type == "NAME" and str(token) in _STATEMENTS:
            return Diagnostic(
                "E0117",
                f"there is no `{token}` in this language",
                span_of_token(token),
                help=_STATEMENTS[str(token)],
            )
    return None


def _operator(tokens: list[Token], at: int) -> Diagnostic | None:
    pairs = [(tokens[at - 1], tokens[at])] if at else []
    pairs += [(tokens[at], tokens[at + 1])] if at + 1 < len(tokens) else []
    for left, right in pairs:
        known = _OPERATORS.get((left.type, right.type))
        if known and left.end_pos == right.start_pos:
            headline, help = known
            span = span_of_token(left).to(span_of_token(right))
            return Diagnostic("E0117", headline, span, help=help)
    return None


def _colon(tokens: list[Token], at: int) -> Diagnostic | None:
    """``x[1:3]`` and ``x[:]``."""
    if tokens[at].type != "COLON" or not any(each.type == "LSQB" for each in tokens[:at]):
        return None
    opened = sum((each.type == "LSQB") - (each.type == "RSQB") for each in tokens[:at])
    if opened == 0:
        return None
    return Diagnostic(
        "E0117",
        "`:` makes no slice in this language",
        span_of_token(tokens[at]),
        help="a range includes both ends and counts from 1: `x[1..3]`",
    )


def _axes(tokens: list[Token], at: int) -> Diagnostic | None:
    """``param W [n, n]`` lacks its colon; without it the brackets would be a family's range."""
    kinds = [each.type for each in tokens[:at]]
    if kinds[:1] != ["PARAM"] or "COLON" in kinds or "LSQB" not in kinds or "RANGE" in kinds:
        return None
    return Diagnostic(
        "E0101",
        "expected `:` before the axes",
        span_of_token(tokens[kinds.index("LSQB")]),
        help="a param is declared as `param W : [n, n]`, a family as `param W[1..L] : [n, n]`",
    )
