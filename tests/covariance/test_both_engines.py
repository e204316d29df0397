"""What one way to run a recursion refuses, the other one must not give a number for."""

from __future__ import annotations

import numpy as np
import pytest
from covariance.test_arrays import by_entries, draw

import tpc
from tpc.conditional.limit import ConditionalLimit
from tpc.covariance import position_kernel
from tpc.limit.kernels import derive
from tpc.limit.moment import LimitRefusal
from tpc.limit.positions import many_positions
from tpc.ops.base import MissingRule

PROGRAM = """
width n
size d = 2, T = {T}
parametrization ntk
input x : [T, d]
param U : [n, d]
param W, R, A, Q : [n, n]
param G : [n, n] abc(0, 0, 0)
param B : [3, n]
param C : [n, 3]
param M : [3, 3]
param P : [T, d]
param v : [n]
param w : [1]
param z : [n] init zero
param V : [1, n]
def f(x):
    h = relu(U @ x)[1]
    {body}
"""
ATTENTION = (
    'a = U @ x; s = einsum("t n, u n -> t u", Q @ a, R @ a) * {size}; '
    'm = einsum("t u, u n -> t n", softmax(s, axis = 2), A @ a)[1]; return {read}'
)
ROOT = "n^(-1/2)"
DOT = "sum((W @ h) * (R @ h))"
RANDOM = "stays random"
REFUSED = {
    "random scores, nngp": (ATTENTION.format(size=ROOT, read="V @ relu(m)"), "mixture"),
    "random scores, ntk": (ATTENTION.format(size=ROOT, read="V @ m"), "random itself"),
    "random gate, nngp": (f"return V @ relu({DOT} * {ROOT} * (A @ h))", RANDOM),
    "random gate, ntk": (f"return V @ ({DOT} * {ROOT} * (A @ h))", RANDOM),
    "random gate, late, nngp": (f"return V @ ({DOT} * n^-1 * (A @ h)) * n^(1/2)", RANDOM),
    "random shift, nngp": (f"return V @ relu({DOT} * {ROOT} + A @ h)", RANDOM),
    "random sigmoid, nngp": (f"return V @ (sigmoid({DOT} * {ROOT}) * (A @ h))", RANDOM),
    "random mean, nngp": ("return V @ relu(A @ h * n^(1/2) * mean(W @ h))", RANDOM),
    "cancelled mean, nngp": (
        "s = mean(h * h) - mean((A @ h) * (A @ h)) * 2; return V @ relu(W @ h * n^(1/2) * s)",
        RANDOM,
    ),
    "small part of a large value, nngp": (
        "q = n^(1/2) * (W @ h) + R @ h; return V @ (mean(q * (R @ h)) * (A @ h))",
        "mean of its own",
    ),
    "quotient, nngp": ("return V @ (A @ h) / mean((W @ h) * (R @ h))", "vanishes"),
    "norm of nothing, nngp": ("return V @ layer_norm(z * (W @ h))", "vanishes"),
    "readout elsewhere, ntk": ("return V @ relu(W @ h + V[1])", "grows like"),
    "no readout, ntk": ("return relu(V @ relu(W @ h))", "random itself"),
    "large hidden weight, nngp": ("return V @ relu(G @ h)", "grows like"),
    "large output, nngp": ("return V @ relu(W @ h) * n^(1/2)", "grows like"),
    "bottleneck, nngp": ("return V @ relu(C @ (B @ h))", "without a width"),
    "bottleneck, ntk": ("return V @ (C @ (B @ h))", "random itself"),
    "learned offset, nngp": ("return V @ relu(U @ (x + P))[1]", "without a width"),
    "random gain, nngp": ("return V @ layer_norm((v @ (Q @ h)) * (A @ h))", "mean of its own"),
    "random gain, ntk": ("return V @ (w[1] * (A @ h))", "random itself"),
    "gain below a weight, nngp": ("return V @ relu(W @ (w[1] * (A @ h)))", "without a width"),
    "gain twice, nngp": ("return V @ (w[1] * (W @ (w[1] * (A @ h))))", "without a width"),
    "small matrix twice, nngp": ("return V @ (C @ (M @ (M @ (B @ h))))", "same weights"),
}
AVERAGED = (
    "random scores, nngp",
    "random scores, ntk",
    "random gate, nngp",
    "random gate, ntk",
    "random gate, late, nngp",
    "random shift, nngp",
    "random mean, nngp",
    "random sigmoid, nngp",
    "no readout, ntk",
    "bottleneck, nngp",
    "bottleneck, ntk",
    "learned offset, nngp",
    "random gain, nngp",
    "random gain, ntk",
    "gain below a weight, nngp",
    "gain twice, nngp",
)
"""What is an average over random scalars, of kernels that both ways may serve."""
KEPT = {
    "bottleneck at the end, nngp": "return V @ (C @ (B @ h))",
    "random scores at the end, nngp": ATTENTION.format(size=ROOT, read="V @ m"),
    "scores, ntk": ATTENTION.format(size="n^-1", read="V @ relu(m)"),
    "scores, nngp": ATTENTION.format(size="n^-1", read="V @ relu(m)"),
    "shifted by a number, ntk": "return V @ relu(W @ h + mean(h))",
    "product, ntk": "return V @ relu((W @ h) * (R @ h))",
    "vanishing gate, ntk": f"return V @ ({DOT} * n^-1 * (A @ h) + W @ h)",
    "transpose, nngp": "return V @ (W.T @ relu(W @ h))",
    "transpose, ntk": "return V @ relu(W.T @ relu(W @ h))",
    "nonlinear output, nngp": "return sigmoid(V @ relu(W @ h))",
}


def program(body: str, T: int) -> tpc.Program:
    return tpc.compile(text=PROGRAM.format(body=body.replace("; ", "\n    "), T=T))


@pytest.mark.parametrize("T", [2, 9])
@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_few_positions_and_with_many(case, T):
    body, words = REFUSED[case]
    kind = case.split(", ")[-1]
    found = program(body, T)
    assert many_positions(found.module) == (T > 8)
    if case not in AVERAGED:
        with pytest.raises(tpc.TpcError, match=words):
            found.limit(kind)
    elif T == 2:
        assert isinstance(found.limit(kind), ConditionalLimit)
    with pytest.raises((LimitRefusal, MissingRule)):
        position_kernel(found.module, (kind,))
    with pytest.raises((LimitRefusal, MissingRule)):
        derive(found.module, kind)


@pytest.mark.parametrize("case", KEPT)
def test_where_both_ways_serve_they_agree(case):
    kind = case.split(", ")[-1]
    found = program(KEPT[case], 2)
    x = draw(found, 2, 0)
    expected = by_entries(found, kind, x, x)
    assert np.isfinite(expected).all()
    assert np.any(expected)
    try:
        kernel = position_kernel(found.module, (kind,))
    except (MissingRule, LimitRefusal):
        found = program(KEPT[case], 9)  # which entries serve as well
        assert many_positions(found.module)
        assert np.any(by_entries(found, kind, draw(found, 1, 0), draw(found, 1, 0)))
        return
    np.testing.assert_allclose(kernel.evaluate(x, x, tolerance=1e-12)[0], expected, rtol=1e-9)
