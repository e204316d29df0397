"""Gauge symmetries: shifts of (a, b, c) that leave every f_t unchanged never change an answer."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import perceptrons
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.optimizers import optimizers
from tpc.scaling import Classification, classify

#: (a + t, b - t, c - k t) is the same training run: k by how a step depends on gradient and weight.
#: (Without weight decay, which is n^-c of the weight in every gauge.)
SHIFT_OF_C = {"linear": 2, "entrywise": 1, "spectral": 1, "parameter_scaled": 0}

shifts = st.fractions(min_value=-2, max_value=2, max_denominator=4)


def answer(found: Classification) -> object:
    """Return all that a classification says of sizes."""
    weights = {
        name: (each.initial, each.update, each.output, each.status)
        for name, each in found.weights.items()
    }
    return found.kind, found.r, dict(found.values), found.output, weights, found.steps


@pytest.mark.parametrize("optimizer", sorted(optimizers()))
@given(seed=st.integers(0, 10**6), depth=st.integers(1, 2), shift=st.lists(shifts, min_size=3))
@settings(max_examples=25, deadline=None)
def test_shifts_change_nothing(
    optimizer: str, seed: int, depth: int, shift: list[Fraction]
) -> None:
    factor = SHIFT_OF_C[optimizers()[optimizer].kind]
    rows = perceptrons.random_rows(depth, Random(seed))
    moved = [
        (a + t, b - t, c - factor * t)
        for (a, b, c), t in zip(rows, shift[: depth + 1], strict=True)
    ]
    module = perceptrons.module(depth, common=False, optimizer=optimizer)
    before, after = (
        classify(module, perceptrons.point(each, common=False)) for each in (rows, moved)
    )
    assert answer(before) == answer(after)
