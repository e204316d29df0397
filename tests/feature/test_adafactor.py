"""Adafactor: factored second moments are averages, and averages are expectations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.feature.programs import data, deviations, extrapolated, module_of
from tpc.diagnostics import TpcError
from tpc.feature import feature_limit
from tpc.ir.module import Module

ADAFACTOR = """
width n
size d = 4, k = 2
input x : [d]
target y : [k]
param U : [n, d] abc(-1/2, 1/2, 0)
param b : [n] abc(0, 0, 0) init {bias}
param W : [n, n] abc(0, 1/2, 1/2)
param V : [k, n] abc(1/2, 1/2, 0)
def f(x) = V @ tanh(W @ tanh(U @ x + b))
train:
    loss = squared_error(f(x), y)
    optimizer adafactor(lr = 0.3{more})
"""


def adafactor(more: str = "", bias: str = "normal") -> Module:
    return module_of(ADAFACTOR.format(more=more, bias=bias))


@pytest.mark.parametrize(
    ("more", "bias"), [("", "zero"), (", threshold = 1/2, decay_rate = 0.6, decay = 0.2", "normal")]
)
def test_against_finite_widths(more: str, bias: str) -> None:
    module, points = adafactor(more, bias), data(2, 4, 2)
    if "decay = " in more:  # of the order of the weight for all of them
        text = ADAFACTOR.format(more=more, bias=bias).replace(
            "1/2, 1/2)", "1/2, 1/2) decay 0.2 * n^(1/2)"
        )
        module = module_of(text)
    g, other = extrapolated(module, points, 3, width=64, seeds=48)
    run = feature_limit(module).train(points, 3, particles=1024, replicates=4)
    assert np.abs(deviations(run.f, run.error, g, other, 1e-2)).max() < 4
    assert np.abs(run.f).max() > 0.2


@pytest.mark.slow
def test_against_many_networks() -> None:
    module, points = adafactor(), data(2, 4, 2)
    g, other = extrapolated(module, points, 4, width=128, seeds=512)
    run = feature_limit(module).train(points, 4)
    assert np.abs(deviations(run.f, run.error, g, other, 0.0)).max() < 3


def test_resumed_exactly(tmp_path: Path) -> None:
    limit, points = feature_limit(adafactor()), data(2, 4, 2)
    request = {"particles": 256, "replicates": 1}
    path = tmp_path / "run.part"
    whole = limit.train(points, 3, **request)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        limit.train(points, 3, checkpoint=path, save_every=0.0, progress=stop, **request)
    np.testing.assert_array_equal(whole.f, limit.train(points, 3, checkpoint=path, **request).f)


def test_a_matrix_that_starts_at_zero_is_refused() -> None:
    text = ADAFACTOR.format(more="", bias="zero")
    text = text.replace("abc(0, 1/2, 1/2)", "abc(0, 1/2, 1/2) init zero")
    with pytest.raises(TpcError, match="starts at zero"):
        feature_limit(module_of(text)).train(data(2, 4, 2), 1)
