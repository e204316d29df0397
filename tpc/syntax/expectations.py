"""The messages of :mod:`tpc.syntax.messages`, filed under sentences that fail at their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """What the parser waited for, and how to write it."""

    what: str
    help: str | None = None


_TYPE = "axes stand in brackets: `[n, d]`; `[]` is a scalar"
_MODIFIERS = "axes are followed by `abc(a, b, c)`, `init`, `mult`, `lr`, `decay`, `eps`, `frozen`"
_DEF = "write `def f(x) = expression`, or `def f(x):` and an indented block"
_LOOP = "a loop reads `for l in 2..L:`"
_TARGET = "an assignment reads `name = expression`"
_CALL = "arguments are separated by commas; named ones read `axis = 1`"
_STATEMENT = "a declaration, a function, `train:` or an assignment"

SENTENCES: Mapping[str, Expected] = {
    # the beginning of a statement
    "3": Expected(_STATEMENT),
    "width n\n3": Expected(_STATEMENT),
    "x 3": Expected("`=`"),
    "x[1] 3": Expected("`=`", _TARGET),
    "x = \n": Expected("an expression"),
    "x[1] = \n": Expected("an expression"),
    "return \n": Expected("the value to return"),
    # declarations
    "width 3": Expected("the name of the width", "a width is declared as `width n`"),
    "width n 3": Expected("the end of the line", "a program has one width: `width n`"),
    "size 3": Expected("the name of a size", "a size is declared as `size d = 784`"),
    "size d 3": Expected("`=` and a value", "a size is declared as `size d = 784`"),
    "size d = \n": Expected("a value", "a size is declared as `size d = 784`"),
    "size d = 3 3": Expected("`,` or the end of the line", "several read `size d = 784, k = 10`"),
    "size d = 1, 3": Expected("another name", "several read `size d = 784, k = 10`"),
    "real 3": Expected("the name of a constant", "a constant is declared as `real eta = 0.1`"),
    "exponent 3": Expected("the name of an exponent", "exponents are declared as `exponent a, c`"),
    "exponent a 3": Expected(
        "`,` or the end of the line", "an exponent is unknown: it has no value in the program"
    ),
    "exponent a, 3": Expected("another name"),
    "parametrization 3": Expected(
        "a parametrization", "one of `standard`, `ntk`, `mean_field`, `mup`"
    ),
    "parametrization mup 3": Expected("the end of the line"),
    "act 3": Expected("the name of an activation", "write `act phi = relu` or `act phi(z) = z^2`"),
    "act phi 3": Expected("`=` or `(`", "write `act phi = relu` or `act phi(z) = z^2`"),
    "act phi(3": Expected("the argument of the activation", "write `act phi(z) = z^2`"),
    "act phi(z) 3": Expected("`=` and a formula", "write `act phi(z) = z^2`"),
    "act phi = \n": Expected("an activation", "write `act phi = relu`"),
    "input 3": Expected("the name of an input", "an input is declared as `input x : [d]`"),
    "target 3": Expected("the name of a target", "a target is declared as `target y : [k]`"),
    "noise 3": Expected("the name of a noise", "a noise is declared as `noise z : [k]`"),
    "input x 3": Expected("`:` and the axes", "an input is declared as `input x : [d]`"),
    "input x : 3": Expected("the axes in brackets", _TYPE),
    "input x : [3] 3": Expected(
        "`in` or the end of the line", "integer inputs read `input words : [T] in vocab`"
    ),
    "input x : [3] in \n": Expected("the number of classes", "write `input words : [T] in vocab`"),
    "param 3": Expected("the name of a param", "a param is declared as `param W : [n, n]`"),
    "param W 3": Expected("`:` and the axes", "a param is declared as `param W : [n, n]`"),
    "param W, 3": Expected("the name of a param", "several read `param Q, K : [n, n]`"),
    "param W[1] ": Expected("`..`", "a range has both ends: `1..L`"),
    "param W[1..3 3": Expected("`]` or `,`", "a family reads `param W[1..L] : [n, n]`"),
    "param W : 3": Expected("the axes in brackets", _TYPE),
    "param W : [3] 3": Expected("a modifier or the end of the line", _MODIFIERS),
    "param W : [3] init 3 3": Expected("a modifier or the end of the line", _MODIFIERS),
    "param W : [3] init \n": Expected(
        "an initialisation", "one of `init normal(s)`, `init fan_in(g)`, `init zero`, `init one`"
    ),
    "param W : [3] abc 3": Expected("`(`", "the exponents read `abc(0, 1/2, 0)`"),
    "param W : [3] abc(\n": Expected("three exponents", "the exponents read `abc(0, 1/2, 0)`"),
    "param W : [\n": Expected("an axis or `]`", _TYPE),
    "param W : [3 3": Expected("`,` or `]`", _TYPE),
    # functions, loops, training
    "def 3": Expected("the name of a function", _DEF),
    "def f 3": Expected("`(` and the arguments", _DEF),
    "def f(3": Expected("an argument's name or `)`", "arguments are plain names: `def f(x, W)`"),
    "def f(x 3": Expected("`,` or `)`", "arguments are plain names: `def f(x, W)`"),
    "def f(x) 3": Expected("`=` or `:`", _DEF),
    "def f() 3": Expected("`=` or `:`", _DEF),
    "def f(x) = \n": Expected("the value of the function", _DEF),
    "def f(x): 3": Expected("the end of the line", _DEF),
    "for 3": Expected("the name of the index", _LOOP),
    "for l 3": Expected("`in`", _LOOP),
    "for l in \n": Expected("a range", _LOOP),
    "for l in 1..L \n": Expected("`:`", _LOOP),
    "for l in 1..\n": Expected("the last value of the range", _LOOP),
    "train 3": Expected("`:`", "the training block opens with `train:`"),
    "train: 3": Expected("the end of the line", "what belongs to `train:` stands indented below"),
    "optimizer \n": Expected("an optimizer", "an optimizer reads `optimizer sgd(lr = 0.1)`"),
    "optimizer sgd 3": Expected(
        "`(`, `for` or the end of the line", "settings read `optimizer sgd(lr = 0.1)`"
    ),
    "optimizer sgd(lr = 1) for 3": Expected(
        "the name of a param", "write `optimizer muon(lr = 0.02) for W, Q`"
    ),
    "optimizer sgd(lr = 1) for W 3": Expected("`,` or the end of the line"),
    # expressions
    **{f"x = a {each} \n": Expected(f"an operand after `{each}`") for each in "+-*/@"},
    **{f"x = a {each} b {each} \n": Expected(f"an operand after `{each}`") for each in "+-*/@"},
    "x = + \n": Expected("an operand after the sign"),
    "x = a ^ \n": Expected("an exponent after `^`"),
    "x = a < \n": Expected("something to compare with"),
    "x = a.(": Expected("`T`", "a transpose is written `W.T`; a decimal number `1.0`"),
    "x = - \n": Expected("an operand after the sign"),
    "x = (\n": Expected("an expression"),
    "x = (a b": Expected("an operator, `,` or `)`"),
    "x = a[\n": Expected("an index", "indices count from 1: `x[1]`, `x[1..3]`"),
    "x = a[1 3": Expected("`..`, `,` or `]`"),
    "x = a[1, \n": Expected("another index"),
    "x = f(\n": Expected("an argument or `)`", _CALL),
    "x = f(a 3": Expected("an operator, `,` or `)`", _CALL),
    "x = f(a = \n": Expected("the value of the argument", _CALL),
    "x = f(a for 3": Expected("the name of the index", "write `stack(h[t] for t in 1..T)`"),
    "x = f(a for t 3": Expected("`in`", "write `stack(h[t] for t in 1..T)`"),
    "x = f(a for t in \n": Expected("a range", "write `stack(h[t] for t in 1..T)`"),
}

_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text",
    "NEWLINE": "the end of the line",
    "RANGE": "`..`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "FOR": "`for`",
    "IN": "`in`",
}
_EXPRESSION = {"NAME", "NUMBER", "STRING", "LPAR", "PLUS", "MINUS"}
OPERATORS = {"STAR", "SLASH", "AT", "CARET"}  # signs may also begin an operand
_ENDS = ("COMMA", "RPAR", "RSQB", "RANGE", "COLON", "IN", "FOR", "EQUAL", "NEWLINE")


def generic(accepted: set[str]) -> Expected:
    """What a state waits for, said by the terminals that it accepts."""
    if accepted >= _EXPRESSION:
        return Expected("an expression")
    operators = ["an operator"] if accepted & OPERATORS else []
    ends = [_WORDS[each] for each in _ENDS if each in accepted]
    if operators and len(ends) > 3:
        ends = ["the end of the expression"]
    starts = () if operators else ("NAME", "LPAR", "LSQB")
    others = [_WORDS[each] for each in starts if each in accepted]
    return Expected(_either(operators + others + ends) or "something else")


def _either(words: list[str]) -> str:
    return " or ".join(([", ".join(words[:-1])] if len(words) > 1 else []) + words[-1:])
