"""Polynomials between kinks: closed forms against quadrature that is cut at the kinks."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

from tpc.exact import Constant
from tpc.limit.dual import Dual
from tpc.limit.quadrature import pair_expectation
from tpc.ops.activations import activation
from tpc.ops.activations import formula as fm
from tpc.ops.activations.written import from_formula
from tpc.runtime.bent import upper_tail

Z = fm.Z
ONE, HALF = fm.number(1), fm.number(Constant.of(1) / 2)


def relu(argument):
    return fm.apply(activation("relu"), argument)


def clipped(low, high, argument=Z):
    return fm.maximum(fm.number(low), fm.minimum(fm.number(high), argument))


CASES = {
    "relu(z - 1)": (relu(fm.subtract(Z, ONE)), lambda z: max(z - 1, 0)),
    "relu(1/2 - 2 z)": (relu(fm.subtract(HALF, fm.scale(Z, 2))), lambda z: max(0.5 - 2 * z, 0)),
    "relu6": (clipped(0, 6), lambda z: min(max(z, 0), 6)),
    "hard tanh": (clipped(-1, 1), lambda z: min(max(z, -1), 1)),
    "hard swish": (
        fm.multiply(Z, fm.scale(clipped(0, 6, fm.add(Z, fm.number(3))), Constant.of(1) / 6)),
        lambda z: z * min(max(z + 3, 0), 6) / 6,
    ),
    "z + |z - 1|": (
        fm.add(Z, fm.apply(activation("abs"), fm.subtract(Z, ONE))),
        lambda z: z + abs(z - 1),
    ),
    "step(z - 1/2)": (
        fm.apply(activation("step"), fm.subtract(Z, HALF)),
        lambda z: 1 if z > 0.5 else 0,
    ),
    "relu(z)^2 - z": (fm.subtract(fm.power(relu(Z), 2), Z), lambda z: max(z, 0) ** 2 - z),
    "hat": (relu(fm.subtract(ONE, fm.apply(activation("abs"), Z))), lambda z: max(1 - abs(z), 0)),
    "|z|^3": (fm.power(fm.apply(activation("abs"), Z), 3), lambda z: abs(z) ** 3),
    "relu(z)^3 - relu(-z)^3 / 2": (
        fm.subtract(
            fm.power(relu(Z), 3), fm.scale(fm.power(relu(fm.negate(Z)), 3), Constant.of(1) / 2)
        ),
        lambda z: z**3 if z > 0 else z**3 / 2,
    ),
}
POINTS = [(0.5, 2.0, -0.7), (1.3, 1.3, 1.0)]
MORE = [
    (1.0, 2.0, -1.0),
    (1.0, 1.0, 0.3),
    (3.0, 0.4, 0.95),
    (2.0, 3.0, 0.0),
    (1.0, 2.0, 1 - 1e-9),
    (1.0, 2.0, 1.0),
]


def closed(name):
    form = Dual(from_formula(CASES[name][0]))
    assert form.method == "closed form"
    return form


def size(form, a, b):
    return np.sqrt(form.expectation(a, a, a) * form.expectation(b, b, b))


@pytest.mark.parametrize("name", CASES)
def test_against_cut_quadrature(name):
    against_quadrature(name, POINTS)


def against_quadrature(name, points):
    form = closed(name)
    phi, kinks = form.activation.numpy, form.activation.kinks()
    for a, b, rho in points:
        deviations = (np.sqrt(a), np.sqrt(b))
        value = form.expectation(a, rho * np.sqrt(a * b), b)
        expected, _ = pair_expectation(phi, phi, deviations, rho, (kinks, kinks), tolerance=1e-13)
        assert abs(value - expected) < 1e-13 * size(form, a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_against_cut_quadrature_at_more_points(name):
    against_quadrature(name, MORE)


def exact(phi, kinks, a, b, rho):
    """Two-dimensional Gauss-Legendre quadrature in 20 digits, both integrals cut at the kinks."""
    with mpmath.workdps(20):
        s, t = mpmath.sqrt(a), mpmath.sqrt(b)
        rest = mpmath.sqrt(1 - mpmath.mpf(rho) ** 2)
        inner_cuts = [mpmath.mpf(kink) / t for kink in kinks]

        def edges(cuts):
            ends = {mpmath.mpf(i) for i in (-9, -3, 0, 3, 9)}
            return sorted(ends | {c for c in cuts if -9 < c < 9})

        def inner(x):
            cuts = edges([(c - rho * x) / rest for c in inner_cuts])
            return mpmath.quad(
                lambda y: phi(t * (rho * x + rest * y)) * mpmath.npdf(y), cuts, maxdegree=4
            )

        outer = edges([*(kink / s for kink in kinks), *(c / rho for c in inner_cuts)])
        return float(
            mpmath.quad(lambda x: phi(s * x) * mpmath.npdf(x) * inner(x), outer, maxdegree=4)
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relu(z - 1)", "hard tanh", "hard swish", "|z|^3"])
def test_against_mpmath(name):
    form = closed(name)
    a, b, rho = 0.5, 2.0, -0.7
    value = form.expectation(a, rho * np.sqrt(a * b), b)
    expected = exact(CASES[name][1], form.activation.kinks(), a, b, rho)
    assert abs(value - expected) < 1e-13 * size(form, a, b)


@pytest.mark.parametrize("name", CASES)
def test_kernels_are_semidefinite_at_any_size(name):
    form = closed(name)
    x = np.random.default_rng(0).standard_normal((6, 3))
    x[1], x[2], x[3] = 2 * x[0], x[0] * (1 + 1e-8), -x[0]
    for scale in (0.0, 1e-150, 1e-6, 1.0, 10.0):
        gram = scale**2 * (x @ x.T)
        q = np.diag(gram)
        kernel = form.expectation(q[:, None], gram, q[None, :])
        assert np.isfinite(kernel).all()
        # terms of large variances cancel: 1e-11 of second moments is what the form promises
        assert np.linalg.eigvalsh(kernel).min() >= -1e-12 * np.trace(kernel)


def test_where_terms_cancel_quadrature_takes_over():
    """A clipped value of huge variance is a sign."""
    value = closed("hard tanh").expectation(1e8, 5e7, 1e8, tolerance=1e-9)
    assert value == pytest.approx(1 / 3, abs=1e-4)
    assert np.isfinite(value)


def test_upper_tail():
    for y in itertools.chain(np.linspace(-8, 8, 33), [20.0, 37.0, 1e3]):
        with mpmath.workdps(30):
            expected = float(mpmath.ncdf(-mpmath.mpf(y)))
        assert upper_tail(np.float64(y)) == pytest.approx(expected, rel=2e-13, abs=1e-306)
