"""Dual expectations: closed forms against independent quadrature, and what must hold of all."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.exact import Constant
from tpc.limit.dual import Dual, DualAccuracyError, dual
from tpc.ops.activations import ActivationError, activation, catalogue
from tpc.ops.activations import formula as fm
from tpc.ops.activations.written import from_formula

NAMES = [name for name, kind in catalogue().items() if kind.alone]
FAST = [name for name in NAMES if dual(name).method == "closed form"]
POINTS = [(1.0, 1.0, 0.3), (0.5, 2.0, -0.7), (3.0, 0.1, 0.95), (2.0, 3.0, 0.0)]


def exact(name: str, a: float, b: float, rho: float) -> float:
    """Two-dimensional Gauss-Legendre quadrature in 25 digits, cut at zero, by other means."""
    table = {
        "relu": lambda z: max(z, 0),
        "erf": mpmath.erf,
        "sin": mpmath.sin,
        "gelu": lambda z: z * mpmath.ncdf(z),
        "tanh": mpmath.tanh,
    }
    phi = table[name]
    with mpmath.workdps(25):
        s1, s2 = mpmath.sqrt(a), mpmath.sqrt(b)
        rest = mpmath.sqrt(1 - mpmath.mpf(rho) ** 2)

        def inner(x: mpmath.mpf) -> mpmath.mpf:
            cut = min(max(-rho * x / rest, -9), 9)
            values = mpmath.quad(
                lambda y: phi(s2 * (rho * x + rest * y)) * mpmath.npdf(y),
                sorted({mpmath.mpf(-10), mpmath.mpf(cut), mpmath.mpf(10)}),
                maxdegree=5,
            )
            return phi(s1 * x) * mpmath.npdf(x) * values

        return float(mpmath.quad(inner, [-10, 0, 10], maxdegree=5))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relu", "erf", "sin", "gelu", "tanh"])
def test_against_mpmath(name):
    a, b, rho = 0.5, 2.0, -0.7
    value = float(dual(name).expectation(a, rho * np.sqrt(a * b), b, tolerance=1e-13))
    assert value == pytest.approx(exact(name, a, b, rho), rel=1e-12, abs=1e-13)


def tensor_rule(phi, a, b, rho, nodes=80):
    """Gauss-Legendre on polar coordinates: kinks at zero lie on rays and are cut exactly."""
    rest = np.sqrt(1 - rho * rho)
    rays = np.unique(
        np.mod(
            [np.pi / 2, 3 * np.pi / 2, np.arctan2(-rho, rest), np.arctan2(-rho, rest) + np.pi],
            2 * np.pi,
        )
    )
    rays = np.concatenate([rays, [rays[0] + 2 * np.pi]])
    x, w = np.polynomial.legendre.leggauss(nodes)
    angle = np.concatenate([(p + q) / 2 + (q - p) / 2 * x for p, q in itertools.pairwise(rays)])
    weight = np.concatenate([(q - p) / 2 * w for p, q in itertools.pairwise(rays)])
    radius = np.concatenate([i + 0.5 + 0.5 * x for i in range(11)])
    mass = np.concatenate([0.5 * w] * 11) * radius * np.exp(-(radius**2) / 2) / (2 * np.pi)
    u = np.sqrt(a) * radius * np.cos(angle)[:, None]
    v = np.sqrt(b) * radius * (rho * np.cos(angle) + rest * np.sin(angle))[:, None]
    return weight @ (phi(u) * phi(v)) @ mass


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", [0, 1], ids=["phi", "slope"])
def test_against_polar_quadrature(name, order):
    form = dual(name).derivative() if order else dual(name)
    if form.activation.constant_value is not None:
        return
    for a, b, rho in POINTS:
        k = rho * np.sqrt(a * b)
        scale = np.sqrt(form.expectation(a, a, a, 1e-9) * form.expectation(b, b, b, 1e-9))
        value = form.expectation(a, k, b, tolerance=1e-11)
        expected = tensor_rule(form.activation.numpy, a, b, rho)
        assert abs(value - expected) < 2e-11 * scale


@pytest.mark.parametrize("power", range(6))
def test_rectified_powers_at_full_correlation(power):
    form = dual(activation("relu_power", power))
    double_factorial = np.prod(np.arange(2 * power - 1, 0, -2.0))
    value = form.expectation(2.0, 2.0, 2.0)
    assert value == pytest.approx(2.0**power * double_factorial / 2, rel=1e-14)
    assert form.expectation(2.0, -2.0, 2.0) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_extreme_variances_stay_finite(name):
    form = dual(name)
    top = 4.0 if name in ("exp", "monomial", "polynomial") else 1e6
    if form.method == "series":
        top = 50.0
    q = np.array([0.0, 1e-300, 1e-12, 1.0, top])
    for sign in (-1.0, 0.0, 1.0):
        values = form.expectation(q, sign * q, q, tolerance=1e-8)
        assert np.all(np.isfinite(values))
    values = form.expectation(0.0, 0.0, 1.0, tolerance=1e-8)
    assert np.isfinite(values)


def test_relu_at_the_ends_is_exact():
    relu, step = dual("relu"), dual("relu").derivative()
    for q in (1e-8, 0.3, 1.0, 7.0, 1e8):
        assert relu.expectation(q, q, q) == pytest.approx(q / 2, rel=4e-16)
        assert relu.expectation(q, -q, q) == pytest.approx(0.0, abs=1e-15 * q)
        assert step.expectation(q, q, q) == 0.5
        assert step.expectation(q, -q, q) == pytest.approx(0.0, abs=1e-16)
        assert step.expectation(q, 3 * q, 9 * q) == 0.5
    assert relu.expectation(0.0, 0.0, 1.0) == 0
    assert step.expectation(0.0, 0.0, 1.0) == 0.25


def test_erf_keeps_its_accuracy_at_huge_variances():
    value = dual("erf").expectation(1e12, 1e12, 1e12)
    with mpmath.workdps(40):
        q = mpmath.mpf(10) ** 12
        expected = 2 / mpmath.pi * mpmath.asin(2 * q / (1 + 2 * q))
    assert value == pytest.approx(float(expected), rel=1e-15)
    assert dual("erf").expectation(1e-20, 1e-20, 1e-20) == pytest.approx(4e-20 / np.pi, rel=1e-14)


variances = st.lists(st.floats(0.01, 10), min_size=2, max_size=5)


@pytest.mark.parametrize("name", [*FAST, "tanh", "silu"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_kernels_are_positive_semidefinite(name, data):
    count = data.draw(st.integers(2, 5))
    entries = st.integers(-40, 40).map(lambda i: i / 20)
    x = np.array(data.draw(st.lists(entries, min_size=3 * count, max_size=3 * count)))
    gram = (x.reshape(count, 3) @ x.reshape(count, 3).T) / 3
    q = np.diag(gram)
    for form in (dual(name), dual(name).derivative()):
        kernel = form.expectation(q[:, None], gram, q[None, :], tolerance=1e-8)
        scale = np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))
        assert np.allclose(kernel, kernel.T, rtol=1e-12, atol=1e-14)
        assert np.all(np.abs(kernel) <= scale + 1e-7 * (1 + scale))
        top = max(np.abs(kernel).max(), 1e-300)
        assert np.linalg.eigvalsh(kernel).min() >= -2e-7 * top


def test_derivative_is_the_slope_of_the_dual():
    for name in ("gelu", "tanh", "erf", "sin", "softplus"):
        h = 1e-4
        form = dual(name)
        above = form.expectation(1.0, 0.4 + h, 2.0, tolerance=1e-12)
        below = form.expectation(1.0, 0.4 - h, 2.0, tolerance=1e-12)
        slope = (above - below) / (2 * h)
        assert form.derivative().expectation(1.0, 0.4, 2.0) == pytest.approx(slope, rel=1e-6)


def test_user_formulas_find_closed_forms():
    z = fm.Z
    wave = fm.scale(fm.apply(activation("sin"), fm.add(fm.scale(z, 3), fm.number(1))), 2)
    bent = fm.where(z, fm.scale(z, 2), fm.scale(z, Constant.of(1) / 4))
    for body in (wave, bent, fm.add(z, fm.power(z, 3)), fm.maximum(z, fm.number(0))):
        form = Dual(from_formula(body))
        assert form.method == "closed form"
        expected = tensor_rule(form.activation.numpy, 0.7, 1.3, 0.4)
        value = form.expectation(0.7, 0.4 * np.sqrt(0.7 * 1.3), 1.3)
        assert value == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(("size", "width"), [(1, 3), (2, 1), (-1, Constant.of(1) / 3)])
def test_scaled_gelu_has_a_closed_form(size, width, order):
    body = fm.scale(fm.apply(activation("gelu"), fm.scale(fm.Z, width)), size)
    form = Dual(from_formula(body)).derivative() if order else Dual(from_formula(body))
    assert form.method == "closed form"
    expected = tensor_rule(form.activation.numpy, 0.7, 1.3, 0.4)
    value = form.expectation(0.7, 0.4 * np.sqrt(0.7 * 1.3), 1.3)
    assert value == pytest.approx(expected, rel=1e-12)


def smooth_formulas():
    z, wave = fm.Z, lambda f, b: fm.apply(activation(f), fm.scale(fm.Z, b))
    square, shifted = fm.power(z, 2), fm.add(z, fm.number(Constant.of(1) / 2))
    bell = fm.apply(activation("exp"), fm.negate(fm.power(shifted, 2)))
    return {
        "snake": fm.add(z, fm.scale(fm.power(wave("sin", 2), 2), Constant.of(1) / 2)),
        "mixture": fm.add(wave("sin", 1), fm.scale(wave("cos", 3), 2)),
        "shifted bell": bell,
        "wavelet": fm.multiply(fm.subtract(square, fm.number(1)), bell),
        "wave packet": fm.multiply(wave("sin", 4), bell),
        "shifted erf": fm.apply(activation("erf"), shifted),
    }


@pytest.mark.parametrize("name", smooth_formulas())
def test_series_of_smooth_formulas_keep_the_tolerance(name):
    form = Dual(from_formula(smooth_formulas()[name]))
    for a, b, rho in [POINTS[1], (1.2, 1.2, 1 - 1e-9)]:
        k = rho * np.sqrt(a * b)
        size = np.sqrt(form.expectation(a, a, a) * form.expectation(b, b, b))
        expected = tensor_rule(form.activation.numpy, a, b, rho)
        assert abs(form.expectation(a, k, b) - expected) < 1e-10 * size


def test_shifted_kinks_near_full_correlation():
    body = fm.apply(activation("relu"), fm.subtract(fm.Z, fm.number(1)))
    form = Dual(from_formula(body))
    value = form.expectation(1.0, 1.0, 1.0)
    expected = 2 * (1 - 0.8413447460685429) - 0.24197072451914337
    assert value == pytest.approx(expected, rel=1e-9)
    near = form.expectation(1.0, 1 - 1e-7, 1.0)
    assert near == pytest.approx(expected - 1e-7 * (1 - 0.8413447460685429), rel=1e-8)


def test_bad_arguments():
    with pytest.raises(ActivationError):
        dual("nothing")
    with pytest.raises(ActivationError):
        dual("log")
    with pytest.raises(ActivationError):
        dual("leaky_relu(x)")
    with pytest.raises(ValueError, match="larger"):
        dual("relu").expectation(1.0, 2.0, 1.0)
    with pytest.raises(ValueError, match="negative"):
        dual("relu").expectation(-1.0, 0.0, 1.0)
    with pytest.raises(DualAccuracyError):
        dual("tanh").expectation(1.0, 0.5, 1.0, tolerance=1e-18)


def test_parameters_in_names():
    assert dual("leaky_relu(0.2)").activation == activation("leaky_relu", Constant.of(1) / 5)
