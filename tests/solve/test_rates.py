"""The largest stable learning rates at given initial values and multipliers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from solve.programs import perceptron

import tpc
from tpc.scaling.rates import largest_rates, rates

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("parametrization", "optimizer", "expected"),
    [
        ("standard", "sgd", (0, 1, 1)),
        ("standard", "adam", (HALF, 3 * HALF, 1)),
        ("ntk", "sgd", (0, 0, 0)),
        ("ntk", "adam", (HALF, 1, HALF)),
        ("mup", "sgd", (0, 0, 0)),
        ("mup", "adam", (HALF, 1, HALF)),
    ],
)
def test_perceptron(parametrization: str, optimizer: str, expected: tuple[Fraction, ...]) -> None:
    program = tpc.compile(text=perceptron(optimizer, depth=2))
    program = program.with_(parametrization=parametrization)
    found = largest_rates(program.module)
    assert tuple(rates(found)[name] for name in ("U", "W[2]", "V")) == expected
    kind = tpc.scaling.classify(found.module).kind
    assert kind == ("feature" if parametrization == "mup" else "kernel")


def test_no_rates_help_an_initialisation_that_blows_up() -> None:
    text = perceptron().replace("param W[2..3] : [n, n]", "param W[2..3] : [n, n] abc(0, 0, 0)")
    with pytest.raises(tpc.TpcError, match="no rates are stable"):
        tpc.compile(text=text).largest_rates()
