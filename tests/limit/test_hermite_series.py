"""Expectations by series and quadrature: two functions, fast oscillations, kinks off zero."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.limit.dual import dual
from tpc.limit.series import series_expectation
from tpc.ops.activations import activation
from tpc.ops.activations import formula as fm
from tpc.ops.activations.written import from_formula
from tpc.runtime.hermite import adaptive_series, averages, hermite_series


@pytest.mark.parametrize("rho", [0.3, 1 - 1e-9, 1.0, -1.0])
def test_two_functions_near_full_correlation(rho):
    """``relu = (z + |z|) / 2``, so ``E relu(u) |v|`` is half of ``E |u| |v|``."""
    q1, q2 = np.array(0.7), np.array(1.9)
    k = rho * np.sqrt(q1 * q2)
    value, error = series_expectation(activation("relu"), q1, k, q2, 1e-10, psi=activation("abs"))
    expected = dual("abs").expectation(q1, k, q2) / 2
    assert error <= 1e-10
    assert abs(value - expected) < 1e-10 * np.sqrt(q1 * q2)


def test_fast_oscillations_are_resolved():
    """Panels must be halved before their agreement says anything."""

    def wave(z):
        return np.sin(20 * z)

    q = np.array([0.7731554376343841])
    terms, moments, errors = hermite_series(wave, q, 512)
    assert abs(moments[0] - (1 - np.exp(-800 * q[0])) / 2) < 1e-13
    assert errors[0] < 1e-13
    bound = 1 - (terms**2).sum() / moments[0]
    assert bound > -1e-13


def test_kinks_off_zero_are_interpolated_between_variances():
    body = fm.apply(activation("relu"), fm.subtract(fm.Z, fm.number(1)))
    phi = from_formula(body)
    q = np.linspace(0.8, 1.2, 60)
    found = adaptive_series(phi.numpy, q, phi.kinks(), False, 1e-2)
    count = found[0].shape[1]
    picked = [0, 17, 59]
    truth = hermite_series(phi.numpy, q[picked], count, phi.kinks())
    np.testing.assert_allclose(found[0][picked], truth[0], atol=1e-12)
    np.testing.assert_allclose(averages(phi.numpy, q[picked], phi.kinks(), False), truth[0][:, 0])
