"""Functions with kinks of nearly equal inputs: quadrature cut at the kinks, for many pairs."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from tpc.exact import Constant
from tpc.limit.dual import dual
from tpc.limit.ridges import ridge_expectations
from tpc.limit.series import series_expectation
from tpc.ops.activations import activation
from tpc.ops.activations import formula as fm
from tpc.ops.activations.written import from_formula

HALF = fm.number(Constant.of(1) / 2)


def applied(name, argument):
    return fm.apply(activation(name), argument)


CASES = {
    "tanh(relu)": (applied("tanh", applied("relu", fm.Z)), lambda z: mpmath.tanh(max(z, 0))),
    "relu(sin - 1/2)": (
        applied("relu", fm.subtract(applied("sin", fm.Z), HALF)),
        lambda z: max(mpmath.sin(z) - 0.5, 0),
    ),
    "sigmoid step": (
        fm.multiply(applied("sigmoid", fm.Z), applied("step", fm.subtract(fm.Z, HALF))),
        lambda z: 1 / (1 + mpmath.exp(-z)) if z > 0.5 else mpmath.mpf(0),
    ),
}


def test_relu_and_step_are_found_again():
    """Against closed forms, at all distances from full correlation."""
    rho = np.array([0.85, 0.99, 1 - 1e-6, 1 - 1e-12, 1.0, -0.9, -1.0])
    one, two = np.full(rho.size, 0.7), np.full(rho.size, 2.5)
    k = rho * np.sqrt(one * two)
    for name in ("relu", "abs"):
        form = dual(name)
        phi, kinks = form.activation.numpy, form.activation.kinks()
        roots = (np.sqrt(one), np.sqrt(two))
        value, error = ridge_expectations(phi, phi, roots, rho, (kinks, kinks))
        size = np.sqrt(form.expectation(one, one, one) * form.expectation(two, two, two))
        assert np.all(np.abs(value - form.expectation(one, k, two)) < 1e-12 * size)
        assert np.all(error < 1e-10 * size)


def test_no_ridge_no_estimate():
    _, error = ridge_expectations(np.abs, np.abs, (np.ones(1), np.ones(1)), np.zeros(1), ((), ()))
    assert np.isinf(error[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rho"),
    [("tanh(relu)", 0.6), ("tanh(relu)", 0.99), ("sigmoid step", 0.99), ("relu(sin - 1/2)", 1.0)],
)
def test_composite_kinks_against_mpmath(name, rho):
    """The stated bound holds, by an outer and an inner integral in 20 digits cut at the kinks."""
    phi = from_formula(CASES[name][0])
    exact = CASES[name][1]
    value, bound = series_expectation(phi, np.ones(1), np.array([rho]), np.ones(1), 1e-10)
    with mpmath.workdps(20):
        r = mpmath.mpf(rho)
        rest = mpmath.sqrt(1 - r * r)
        kinks = [mpmath.mpf(z) for z in phi.kinks() if abs(z) < 9]

        def edges(cuts, step):
            ends = {mpmath.mpf(i) for i in np.arange(-9, 9.5, step)}
            return sorted(ends | {c for c in cuts if -9 < c < 9})

        def inner(x):
            if rest == 0:
                return exact(x)
            cuts = edges([(z - r * x) / rest for z in kinks], 9)
            y = lambda y: exact(r * x + rest * y) * mpmath.npdf(y)  # noqa: E731
            return mpmath.quad(y, cuts, maxdegree=4)

        steps = [i * rest / r for i in (-4, -1, 0, 1, 4)]
        outer = edges([*kinks, *(z / r + step for z in kinks for step in steps)], 3)
        expected = mpmath.quad(lambda x: exact(x) * mpmath.npdf(x) * inner(x), outer, maxdegree=4)
        size = mpmath.quad(lambda x: exact(x) ** 2 * mpmath.npdf(x), edges(kinks, 1))
    assert abs(value[0] - float(expected)) < max(bound, 1e-13) * float(size)
    assert bound <= 1e-10
