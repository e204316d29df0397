"""Programs that the tests of limits share, as text."""

from __future__ import annotations

import tpc
from tpc.limit import Limit

PERCEPTRON = """
width n
size d = {d}, k = 1, L = {L}
act phi = {phi}
parametrization ntk
input x : [d]
target y : [k]
param U : [n, d]
param W[2..L] : [n, n] init normal(sqrt(2))
param b[2..L] : [n] init normal(1/2)
param V : [k, n]
def f(x):
    h = U @ x
    for l in 2..L:
        h = W[l] @ phi(h) + b[l]
    return V @ phi(h)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""


def perceptron(phi: str, L: int = 2, d: int = 7) -> tpc.Program:
    return tpc.compile(text=PERCEPTRON.format(phi=phi, L=L, d=d))


def limit(text: str, kind: str) -> Limit:
    return tpc.compile(text=text).limit(kind)
