"""Limits at the default tolerance against networks of two widths, extrapolated in 1/n.

The statistic is the largest |f_t - g_t| over all steps and samples in standard errors: those of the
limit's replicates and of the means over networks, combined. It must stay below three. What the
networks' own noise allows is within 0.01 absolutely. ``bench/feature.py --truth`` prints the table.
"""

from __future__ import annotations

import pytest

from tests.feature.truth import (
    CONSTRUCTS,
    PERCEPTRONS,
    Case,
    compared,
    construct_case,
    perceptron_case,
)
from tpc.feature.run import TOLERANCE


def assert_true(case: Case) -> None:
    found = compared(case)
    assert found.run.error.max() <= TOLERANCE
    assert found.deviation < 3
    assert found.difference < 0.01 or found.difference < 2 * found.noise.max()


@pytest.mark.parametrize(("layers", "act", "mean_field"), [(1, "relu", True), (2, "tanh", False)])
def test_in_short(layers: int, act: str, mean_field: bool) -> None:
    assert_true(perceptron_case(layers, act, mean_field, width=64, seeds=32))


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "act", "mean_field"), PERCEPTRONS)
def test_perceptrons(layers: int, act: str, mean_field: bool) -> None:
    assert_true(perceptron_case(layers, act, mean_field))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTS)
def test_constructs(name: str) -> None:
    assert_true(construct_case(name))
