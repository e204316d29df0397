"""Functions that change fast away from zero, and conditions with multiple roots."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tpc.limit.dual import Dual
from tpc.ops.activations import activation
from tpc.ops.activations import formula as fm
from tpc.ops.activations.formula.steep import steep_points
from tpc.ops.activations.written import from_formula

Z = fm.Z


def offset(a: int) -> fm.Formula:
    return fm.subtract(Z, fm.number(a))


def bumps(a: float, c: float, s: np.ndarray) -> float:
    """Return ``E prod_i exp(-a (u_i - c)^2)`` of centred Gaussians u with covariance S."""
    m, one = np.eye(len(s)) + 2 * a * s, np.ones(len(s))
    return float(np.exp(-a * c * c * one @ np.linalg.solve(m, one)) / np.linalg.det(m) ** 0.5)


@pytest.mark.parametrize(
    ("c", "q", "rho"), [(2, 1e2, 0.5), (37, 1e4, 0.5), (2, 1e2, 0.9999), (37, 1e4, 1.0)]
)
def test_bumps_far_from_zero_are_not_stepped_over(c, q, rho):
    square = fm.scale(fm.power(offset(c), 2), -100)
    phi = from_formula(fm.add(fm.apply(activation("exp"), square), fm.number(1)))
    s = q * np.array([[1.0, rho], [rho, 1.0]])
    exact = 1 + 2 * bumps(100, c, s[:1, :1]) + bumps(100, c, s)
    assert float(Dual(phi).expectation(q, rho * q, q)) == pytest.approx(exact, rel=1e-11)


def test_only_what_is_far_from_zero_is_steep():
    tanh = activation("tanh")
    assert steep_points(fm.apply(tanh, fm.scale(Z, 50))) == ()
    assert steep_points(fm.apply(tanh, fm.scale(offset(2), 3))) == ()
    assert steep_points(fm.apply(tanh, fm.scale(offset(3), 50))) == (3.0,)
    lorentz = fm.add(fm.number(1), fm.scale(fm.power(offset(3), 2), 1000))
    assert steep_points(fm.power(lorentz, -1)) == pytest.approx((3.0,))


def test_kinks_at_multiple_roots_are_exact():
    cube = fm.multiply(fm.power(offset(1), 3), fm.power(offset(2), 2))
    phi = from_formula(fm.apply(activation("step"), cube))
    assert phi.kinks() == pytest.approx((1.0, 2.0), abs=1e-14)
    found = float(Dual(phi).expectation(1, 1, 1))
    assert found == pytest.approx(0.15865525393145707, rel=1e-13)


def test_a_plateau_of_zeros_has_two_ends():
    clipped = fm.apply(activation("relu"), Z)
    root = fm.power(clipped, Fraction(1, 2))
    assert len(from_formula(root).kinks()) <= 2


def test_a_kink_that_is_out_of_reach_leaves_nothing():
    far = fm.apply(activation("relu"), offset(1))
    phi = from_formula(fm.multiply(far, fm.apply(activation("exp"), fm.scale(Z, Fraction(1, 50)))))
    assert float(Dual(phi).expectation(1e-8, 1e-8, 1e-8)) == 0.0
