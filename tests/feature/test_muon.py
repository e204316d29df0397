"""Muon: steps of spectral norm one, from Gram matrices of finitely many vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.feature.programs import data, deviations, extrapolated, module_of
from tpc.diagnostics import TpcError
from tpc.feature import feature_limit
from tpc.ir.module import Module

MUON = """
width n
size d = 4, k = 2
input x : [d]
target y : [k]
param U : [n, d] abc(-1/2, 1/2, 0)
param W : [n, n] abc(0, 1/2, 0)
param V : [k, n] abc(1/2, 1/2, 0)
def f(x) = V @ tanh(W @ tanh(U @ x))
train:
    loss = squared_error(f(x), y)
    optimizer {for_w} for W
    optimizer {rest}
"""
EVERYWHERE = "muon(lr = 0.3, beta = 0.5, decay = 0.2)"


def muon(for_w: str, rest: str = "sgd(lr = 0.3)") -> Module:
    return module_of(MUON.format(for_w=for_w, rest=rest))


@pytest.mark.parametrize(
    ("for_w", "rest"),
    [
        ("muon(lr = 0.4, beta = 0.5)", "sgd(lr = 0.3)"),
        ("muon(lr = 0.4, beta = 0.7, nesterov = 0)", EVERYWHERE),
    ],
)
def test_against_finite_widths(for_w: str, rest: str) -> None:
    module, points = muon(for_w, rest), data(2, 4, 2)
    g, other = extrapolated(module, points, 3, width=48, seeds=40)
    run = feature_limit(module).train(points, 3, particles=512, replicates=4)
    assert np.abs(deviations(run.f, run.error, g, other, 1e-2)).max() < 4
    assert np.abs(run.f).max() > 0.2


def test_steps_do_not_hang_on_the_size_of_gradients() -> None:
    """A loss times a constant: the same steps of W, if nothing else moves."""
    points = data(2, 4, 2)
    runs = []
    for factor in ("1", "7"):
        text = MUON.format(for_w="muon(lr = 0.4)", rest="sgd(lr = 1e-14)")
        text = text.replace("squared_error(f(x), y)", f"{factor} * squared_error(f(x), y)")
        limit = feature_limit(module_of(text))
        runs.append(limit.train(points, 1, particles=256, replicates=1).f)
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-9)


def test_resumed_exactly(tmp_path: Path) -> None:
    limit, points = feature_limit(muon("muon(lr = 0.4)", EVERYWHERE)), data(2, 4, 2)
    request = {"particles": 256, "replicates": 1}
    path = tmp_path / "run.part"
    whole = limit.train(points, 3, **request)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        limit.train(points, 3, checkpoint=path, save_every=0.0, progress=stop, **request)
    np.testing.assert_array_equal(whole.f, limit.train(points, 3, checkpoint=path, **request).f)


def test_a_bias_has_no_polar_factor() -> None:
    text = MUON.format(for_w="muon(lr = 1)", rest="muon(lr = 1)").replace(
        "param W", "param b : [n] abc(-1/2, 1/2, 0)\nparam W"
    )
    with pytest.raises(TpcError, match="orthogonalises matrices"):
        feature_limit(module_of(text.replace("U @ x)", "U @ x + b)"))).train(data(2, 4, 2), 1)
