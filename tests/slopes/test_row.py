"""Verdicts on sizes that are known: powers of the width, corrections, noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from tpc.slopes import Row, Verdict

WIDTHS = (64, 128, 256, 512, 1024)
HALF = Fraction(1, 2)


def row(
    size: Callable[[float], float], predicted: Fraction | float, noise: float = 0.0, seeds: int = 8
) -> Row:
    random = np.random.default_rng(0)
    sizes = tuple(
        tuple(size(n) * math.exp(noise * random.standard_normal()) for _ in range(seeds))
        for n in WIDTHS
    )
    return Row("z", "change", predicted, WIDTHS, sizes)


@pytest.mark.parametrize("e", [Fraction(-1, 2), Fraction(0), HALF, Fraction(3, 2)])
def test_pure_powers_agree(e: Fraction) -> None:
    found = row(lambda n: 3 * n ** -float(e), e, noise=0.05)
    assert found.verdict is Verdict.AGREES
    assert found.slope == pytest.approx(-float(e), abs=0.05)
    assert found.error is not None
    assert 0 < found.error < 0.05
    assert len(found.local) == 4


@pytest.mark.parametrize("off", [Fraction(-1), -HALF, Fraction(-1, 4), Fraction(1, 4), HALF])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_other_powers_differ(off: Fraction, noise: float) -> None:
    assert row(lambda n: n ** -float(HALF + off), HALF, noise).verdict is Verdict.DIFFERS


@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize(
    "size",
    [
        lambda n: 1 + 8 * n**-0.5,
        lambda n: 1 - 5 * n**-0.5,
        lambda n: math.sqrt(1 + 300 / n),
    ],
)
def test_corrections_are_transient(size: Callable[[float], float], noise: float) -> None:
    assert abs(row(size, Fraction(0)).slope or 0) > 0.1
    assert row(size, Fraction(0), noise).verdict is Verdict.TRANSIENT
    assert row(size, HALF, noise).verdict is Verdict.DIFFERS


def test_zero_is_zero() -> None:
    assert row(lambda n: 0.0, math.inf).verdict is Verdict.AGREES
    assert row(lambda n: 0.0, Fraction(0)).verdict is Verdict.DIFFERS
    assert row(lambda n: 1.0, math.inf).verdict is Verdict.DIFFERS


def test_a_few_dead_networks_do_not_matter() -> None:
    full = row(lambda n: 2.0, Fraction(0), seeds=5)
    sizes = tuple((*found[1:], 0.0) for found in full.sizes)
    assert Row("z", "change", Fraction(0), WIDTHS, sizes).verdict is Verdict.AGREES
    sizes = tuple((*found[:2], 0.0, 0.0, 0.0) for found in full.sizes)
    assert Row("z", "change", Fraction(0), WIDTHS, sizes).slope is None


def test_what_is_not_finite_differs() -> None:
    assert row(lambda n: math.inf, Fraction(0)).verdict is Verdict.DIFFERS
    assert row(lambda n: math.nan, Fraction(0)).slope is None


def test_json_has_no_floats_that_json_lacks() -> None:
    found = row(lambda n: math.inf, math.inf).to_json()
    assert found["predicted"] == "inf"
    assert found["sizes"] == [None] * 5
