"""Networks of finite width approach their kernels: the error falls as the width grows.

Both the mean over networks, up to its standard error and O(1/n), and for tangent kernels the
distance of a single network, which is O(n^(-1/2)), are measured.
"""

from __future__ import annotations

import numpy as np
import pytest
from limit.architectures import ARCHITECTURES, text_of

import tpc
from tpc.simulate.kernel import empirical_kernel

KINDS = [(name, kind) for name in ARCHITECTURES for kind in ("nngp", "ntk")]
RANDOM = {("random scores", "ntk")}  # a single network's stays away from the mean
SEEDS = {32: 400, 128: 200, 512: 40}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_the_error_falls_with_the_width(name: str, kind: str) -> None:
    outputs = 64 if kind == "nngp" else 1  # copies, whose mean is closer to the kernel
    program = tpc.compile(text=text_of(name, outputs))
    x = points(program)
    exact = program.limit(kind).evaluate(x)
    scale = np.abs(exact).max()
    distances = []
    for width, count in SEEDS.items():
        seeds = range(width, width + count)
        finite = empirical_kernel(program.module, {"x": x}, width=width, kind=kind, seeds=seeds)
        samples = finite.samples
        if samples.ndim == 5:
            samples = np.einsum("snmkk->snm", samples) / outputs
        mean, error = samples.mean(axis=0), samples.std(axis=0) / np.sqrt(count - 1)
        assert np.all(np.abs(mean - exact) < 5 * error + 4 / width * scale)
        distances.append(np.sqrt(((samples - exact) ** 2).mean()) / scale)
    if kind == "ntk" and (name, kind) not in RANDOM:
        falls = np.divide(distances[:-1], distances[1:])
        assert np.all(falls > 1.5)  # 2 at four times the width


def points(program: tpc.Program) -> np.ndarray:
    """Return three samples of the input."""
    spec = program.module.inputs["x"].type
    shape = (3, *(int(dim.count) for dim in spec.dims))
    rng = np.random.default_rng(8)
    if spec.below:
        return rng.integers(1, int(spec.below), shape)
    return rng.standard_normal(shape) / 2
