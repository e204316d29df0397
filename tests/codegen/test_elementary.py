"""Elementary functions of compiled loops: their errors, and that the loops are vectorised."""

from __future__ import annotations

import platform

import mpmath
import numpy as np
import pytest

from tpc.codegen import runtime_source
from tpc.runtime import elementary

EDGES = np.array([0.0, 5e-324, 1e-300, 1e-17, 1e-9, 1e-3])
HEADER = """
import math
import numpy as np
from numba import njit
from numba.extending import overload, register_jitable
"""
OPTIONS = '{"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}'


def compiled(expression: str, names: list[str], arguments: str = "x"):
    """Return a compiled loop ``o[j] = expression`` over the arrays named."""
    arrays = arguments.split(", ")
    source = [HEADER, *runtime_source(names), f"@njit(**{OPTIONS})", f"def loop({arguments}, o):"]
    source += ["    for j in range(o.size):"]
    source += [f"        {name}_ = {name}[j]" for name in arrays]
    source += [f"        o[j] = {expression}"]
    space: dict = {}
    exec("\n".join(source), space)
    return space["loop"]


def worst(found, points, truth) -> float:
    with mpmath.workdps(40):
        return max(
            float(abs(mpmath.mpf(float(f)) / t - 1)) if (t := truth(mpmath.mpf(float(x)))) else f
            for f, x in zip(found, points, strict=True)
        )


CASES = {
    "exponential": (
        "exponential(x_)",
        np.concatenate([np.linspace(-708, 709.3, 101), np.linspace(-1, 1, 61), EDGES, -EDGES]),
        mpmath.exp,
        3e-16,
    ),
    "decay to zero": (
        "decay(x_)[0]",
        np.concatenate([np.linspace(0, 3, 101), np.linspace(3, 708, 101), EDGES]),
        lambda x: mpmath.exp(-x),
        3e-16,
    ),
    "decay to one": (
        "decay(x_)[1]",
        np.concatenate([np.linspace(0, 3, 101), np.linspace(3, 708, 101), EDGES]),
        lambda x: -mpmath.expm1(-x),
        5e-16,
    ),
    "arcsine": (
        "arcsine(x_)",
        np.concatenate([np.linspace(-1, 1, 61), EDGES, 1 - EDGES]),
        mpmath.asin,
        5e-16,
    ),
    "arccosine": (
        "arccosine_ratio(x_)",
        np.concatenate([np.linspace(0, 1, 101), EDGES, 1 - EDGES]),
        lambda x: mpmath.acos(x) / mpmath.sqrt((1 - x) * (1 + x)) if x < 1 else mpmath.mpf(1),
        8e-16,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors(case):
    expression, points, truth, bound = CASES[case]
    name = expression.partition("(")[0]
    values = eval(expression, {name: getattr(elementary, name), "x_": points})
    assert worst(values, points, truth) < bound
    out = np.empty(points.size)
    compiled(expression, [name])(points, out)
    assert worst(out, points, truth) < bound


def test_ends_of_the_exponential():
    x = np.array([-np.inf, -1e300, -709.0, 710.0, 1e300, np.inf, np.nan])
    np.testing.assert_array_equal(
        elementary.exponential(x), [0.0, 0.0, 0.0, np.inf, np.inf, np.inf, np.nan]
    )
    near, far = elementary.decay(np.array([0.0, 1e300, np.inf]))
    np.testing.assert_array_equal(far, [0.0, 1.0, 1.0])
    np.testing.assert_allclose(near, [1.0, 0.0, 0.0], atol=1e-300)


LOOPS = {
    "leaky": ("leaky_pair", "k_, a_, b_, a_, b_, 0.25, 0.25"),
    "threshold": ("threshold_pair", "k_, a_, b_, a_, b_, 0.25, 0.25"),
    "rectified": ("rectified_pair", "k_, a_, b_, a_, b_, 1.0, (2.0, 0.0, 1.0), (3.0, 0.0)"),
    "erf": ("erf_pair", "k_, a_, b_, b_, a_, b_, b_, 1.0, 2.0"),
    "gelu": ("gelu_pair", "k_, a_, b_, b_, a_, b_, b_"),
    "gelu slope": ("gelu_slope_pair", "k_, a_, b_, b_, a_, b_, b_"),
    "sin": ("sinusoid_pair", "k_, a_, b_, 1.0, 1.0, 1.0"),
    "exp": ("bell_pair", "k_, a_, b_, 1.0, 0.5, -1.0"),
    "gaussian": ("bell_pair", "k_, a_, b_, 1.0, 0.0, -1.0"),
    "gaussian slope": ("bell_slope_pair", "k_, a_, b_, 1.0, -1.0"),
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86")
@pytest.mark.parametrize("case", LOOPS)
def test_loops_over_pairs_are_vectorised(case):
    name, arguments = LOOPS[case]
    loop = compiled(f"{name}({arguments})", [name], "k, a, b")
    one = np.ones(8)
    loop(0.5 * one, one, one, np.empty(8))
    (code,) = loop.inspect_asm().values()
    assert any(f"{op}pd" in code for op in ("mul", "fmadd213", "fmadd231"))
    assert "sqrtpd" in code or name == "sinusoid_pair"
