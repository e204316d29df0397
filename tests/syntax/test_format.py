"""The formatter moves white space only, and knows when it is done."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.diagnostics import Source
from tpc.syntax import format_program, parse

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tp"))


def formatted(text: str) -> str:
    source = Source.of(text)
    result = format_program(source)
    again = Source.of(result)
    assert parse(again) == parse(source)
    assert format_program(again) == result
    assert _comments(result) == _comments(text)
    return result


def _comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    formatted(path.read_text(encoding="utf-8"))


def test_layout() -> None:
    text = """\
width   n
size d=784,k = 1   # of the data
act phi=relu
parametrization mup


input  x:[ d ]
target label : [k]  in  4 * k

param   W[2 .. L],Q:[ 4 * n,n ]   init normal( n^( -1/2 ) )   mult 1 lr 0.1*n^-1
param U : [n,d] frozen
def  f( x ) :
  # what it does
  z=phi( U@x )+x[ 1 ]- x[1 + 2]^2/2

  for l in 2 .. L :
     z = phi(W[ l ]@z,
  axis=(1,2))  # on
  return - V@z
"""
    assert (
        formatted(text)
        == """\
width n
size  d = 784, k = 1  # of the data
act   phi = relu
parametrization mup

input  x     : [d]
target label : [k] in 4 * k

param W[2..L], Q : [4*n, n]  init normal(n^(-1/2))  mult 1  lr 0.1 * n^-1
param U          : [n, d]    frozen
def f(x):
    # what it does
    z = phi(U @ x) + x[1] - x[1+2]^2 / 2

    for l in 2..L:
        z = phi(W[l] @ z,
            axis = (1, 2))  # on
    return -V @ z
"""
    )


def test_comments_keep_their_block() -> None:
    text = """\
# first

def f(x):
    for l in 1..2:
        x = tanh(x)
        # in the loop
    # in the function
    return x
# at the top
"""
    assert formatted(text) == text


def test_broken_lines() -> None:
    text = """\
def f(x) = g(  # one
    x,
    # two
    (
        y
    )
)
"""
    assert formatted(text) == text


@given(st.integers(0, 10**6))
def test_any_white_space(seed: int) -> None:
    """However a program is spaced, it comes out the same, but for its line breaks."""
    chance = random.Random(seed)
    text = chance.choice(EXAMPLES).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    spaced = "\n".join(_respaced(line, chance) for line in lines)
    assert formatted(spaced) == formatted("\n".join(lines))


def _respaced(line: str, chance: random.Random) -> str:
    if '"' in line:
        return line
    head, mark, comment = line.partition("#")
    indent = len(head) - len(head.lstrip())
    parts = ["" if not each else each + " " * chance.randint(0, 2) for each in head.split(" ")]
    body = "".join(f" {each}" for each in parts if each).lstrip()
    return (
        " " * indent + body.replace(",", " ," if chance.random() < 0.5 else ", ") + mark + comment
    )
