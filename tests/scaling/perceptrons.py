"""Perceptrons with free exponents, and the theorem that says what they do (TP4, Theorem 3.x).

The theorem is written down here, for tests only; the compiler does not know it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import accumulate
from random import Random

import tpc
from tpc.ir import Module
from tpc.scaling import Kind

HALF = Fraction(1, 2)
Triple = tuple[Fraction, Fraction, Fraction]


def text(
    depth: int, *, common: bool = True, activation: str = "tanh", optimizer: str = "sgd"
) -> str:
    """Return a perceptron with `depth` hidden layers; exponents are a1, b1, c1, a2..."""
    layers = range(1, depth + 2)
    rates = {l: "c" if common else f"c{l}" for l in layers}
    names = [f"a{l}, b{l}" for l in layers] + sorted(set(rates.values()))
    shapes = {1: "[n, d]", depth + 1: "[1, n]"}
    params = [f"param W{l} : {shapes.get(l, '[n, n]')} abc(a{l}, b{l}, {rates[l]})" for l in layers]
    hidden = [
        f"    h{l} = W{l} @ {'x' if l == 1 else f'z{l - 1}'}\n    z{l} = {activation}(h{l})"
        for l in range(1, depth + 1)
    ]
    return "\n".join(
        [
            "width n",
            "size d = 10",
            f"exponent {', '.join(names)}",
            "input x : [d]",
            "target y : [1]",
            *params,
            "def f(x):",
            *hidden,
            f"    return W{depth + 1} @ z{depth}",
            "train:",
            "    loss = mse(f(x), y)",
            f"    optimizer {optimizer}(lr = 1{', decay = 0' if optimizer == 'adamw' else ''})",
            "",
        ]
    )


@cache
def module(
    depth: int, common: bool = True, activation: str = "tanh", optimizer: str = "sgd"
) -> Module:
    """Return the typed program of :func:`text`."""
    return tpc.compile(
        text=text(depth, common=common, activation=activation, optimizer=optimizer)
    ).module


def point(rows: list[Triple], common: bool = True) -> dict[str, Fraction]:
    """Return the values of the exponents, one triple (a, b, c) for each layer."""
    values = {}
    for l, (a, b, c) in enumerate(rows, start=1):
        values |= {f"a{l}": Fraction(a), f"b{l}": Fraction(b)}
        values["c" if common else f"c{l}"] = Fraction(c)
    return values


def theorem(rows: list[Triple]) -> tuple[Kind, Fraction | None]:
    """Return the class and r of a perceptron under SGD with a common c.

    The theorem calls every initialisation unstable at which a preactivation is not of order one;
    here one that vanishes is degenerate, unless a later value blows up all the same.
    """
    *hidden, (a, b, c) = rows
    sizes = list(accumulate(al + bl - (HALF if l else 0) for l, (al, bl, _) in enumerate(rows)))
    if any(sizes[:-1]):
        first = next(filter(None, sizes))
        return (Kind.UNSTABLE if first < 0 or min(sizes) < 0 else Kind.DEGENERATE), None
    readout = a + b
    r = min(readout, 2 * a + c) + c - 1
    r += min(2 * al + (l == 0) for l, (al, _, _) in enumerate(hidden))
    if readout < HALF or r < 0 or 2 * a + c < 1 or readout + r < 1:
        return Kind.UNSTABLE, None
    if readout + r > 1 and 2 * a + c > 1:
        return Kind.TRIVIAL, r
    return (Kind.FEATURE if r == 0 else Kind.KERNEL), r


def draw(depth: int, random: Random) -> list[Triple]:
    """Return a random parametrization; every class comes up often.

    A quarter is drawn at large; of the rest the initialisation is stable, and most get a readout on
    the boundary and hidden multipliers such that r is a wanted number, often zero.
    """

    def rational() -> Fraction:
        return Fraction(random.randint(-6, 6), random.choice([2, 3, 4, 6]))

    c, a = rational(), [rational() for _ in range(depth + 1)]
    if random.random() < 0.25:
        b = [random.choice([-x, HALF - x, 1 - x, rational()]) for x in a]
        return list(zip(a, b, [c] * (depth + 1), strict=True))
    readout = HALF + random.choice([0, HALF, abs(rational()) / 4])
    if random.random() < 0.8:
        a[-1] = (1 - c) / 2 + random.choice([0, 0, abs(rational()) / 4])
    if random.random() < 0.8:
        wanted = max(random.choice([0, 1 - readout, abs(rational()) / 4]), 0)
        sum_ = wanted + 1 - c - min(readout, 2 * a[-1] + c)
        slack = [random.choice([0, 0, abs(rational()) / 4, -Fraction(1, 8)]) for _ in range(depth)]
        a = [(sum_ - (l == 0)) / 2 + slack[l] for l in range(depth)] + a[-1:]
    b = [(HALF if l else 0) - a[l] for l in range(depth)] + [readout - a[-1]]
    return list(zip(a, b, [c] * (depth + 1), strict=True))


def random_rows(depth: int, random: Random) -> list[Triple]:
    """Return a stable initialisation with one rate a weight, often on the boundary."""
    rows = [
        (
            a := Fraction(random.randint(-2, 2), 2),
            (HALF if l else 0) - a,
            (1 if l else 0) - a + random.choice([0, 0, HALF, 1, -HALF]),
        )
        for l in range(depth)
    ]
    a = Fraction(random.randint(-2, 2), 2)
    rows.append((a, random.choice([HALF, 1]) - a, 1 - a + random.choice([0, 0, HALF])))
    return rows
