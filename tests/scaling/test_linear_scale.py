"""Features that only linear maps read: their scale is a convention, its change is not."""

from __future__ import annotations

from fractions import Fraction

import pytest

import tpc
from tpc.scaling.classification import Kind

PROGRAM = """\
width n
size d = 5
exponent b, c
input x : [d]
target y : [1]
param U : [n, d]  abc(0, b, c)
param V : [1, n]  abc(0, 1/2, c)  init zero
def f(x):
    h = U @ x
    return V @ h
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""


def kind_at(b: str, c: str) -> tuple[Kind, object]:
    found = tpc.compile(text=PROGRAM).classify(b=b, c=c)
    return found.kind, found.r


def test_vectors_of_size_root_n_that_double_are_features() -> None:
    """Word2Vec's own scales: inputs of variance 1/n, a readout of zero, rates free of n.

    In the limit both weights move by as much as they are: the kernel of the output moves too.
    """
    assert kind_at("1/2", "0") == (Kind.FEATURE, 0)


def test_large_vectors_that_hardly_move_are_a_kernel() -> None:
    assert kind_at("0", "1") == (Kind.KERNEL, 2)


@pytest.mark.parametrize(("b", "c"), [("1/2", "0"), ("0", "1"), ("1/4", "1/2"), ("3/4", "0")])
def test_region_and_point_agree(b: str, c: str) -> None:
    program = tpc.compile(text=PROGRAM)
    at = {"b": Fraction(b), "c": Fraction(c)}
    assert program.region().kind(at) is kind_at(b, c)[0]
