"""Formulas that users write: canonical form, calculus, parity, growth, domain."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.exact import Constant
from tpc.ops.activations import activation
from tpc.ops.activations import formula as fm
from tpc.ops.activations.formula.evaluation import evaluate, numba_source
from tpc.ops.activations.written import Written, from_formula
from tpc.runtime import scalars

Z = fm.Z
SMOOTH = ("sin", "cos", "tanh", "erf", "sigmoid", "softplus", "gelu", "silu", "gaussian")


def of(name: str, argument: fm.Formula = Z) -> fm.Formula:
    return fm.apply(activation(name), argument)


rationals = st.fractions(min_value=-3, max_value=3, max_denominator=4)
leaves = st.one_of(st.just(Z), rationals.map(fm.number))


def grow(children: st.SearchStrategy[fm.Formula]) -> st.SearchStrategy[fm.Formula]:
    return st.one_of(
        st.tuples(children, children).map(lambda p: fm.add(*p)),
        st.tuples(children, children).map(lambda p: fm.multiply(*p)),
        st.tuples(children, st.integers(1, 3)).map(lambda p: fm.power(*p)),
        st.tuples(st.sampled_from(SMOOTH), children).map(lambda p: of(*p)),
        st.tuples(children, children, children).map(lambda p: fm.where(*p)),
        st.tuples(children, children).map(lambda p: fm.minimum(*p)),
        st.tuples(children, children).map(lambda p: fm.maximum(*p)),
    )


formulas = st.recursive(leaves, grow, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(formulas, st.floats(-1.5, 1.5))
def test_source_and_arrays_agree(formula, z):
    names = {name: getattr(scalars, name) for name in ("step", "sign", "sigmoid", "softplus")}
    value = eval(numba_source(formula, "z"), {"math": math, **names}, {"z": z})
    np.testing.assert_allclose(evaluate(formula, np.asarray(z)), value, rtol=1e-12, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(formulas, st.floats(-1.2, 1.2))
def test_derivative_matches_differences(formula, z):
    h = 1e-5
    points = z + h * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    values = evaluate(formula, points)
    left, right = (values[2] - values[0]) / (2 * h), (values[4] - values[2]) / (2 * h)
    curvature = abs(right - left)
    size = 1 + np.abs(values).max()
    if curvature > 1e-2 * size:  # a kink is near
        return
    slope = (values[3] - values[1]) / (2 * h)
    found = evaluate(fm.derivative(formula), np.asarray(z))
    assert abs(found - slope) <= curvature + 1e-4 * size


@settings(max_examples=150, deadline=None)
@given(formulas)
def test_parity_is_never_wrong(formula):
    x = np.linspace(0.013, 2.9, 37)
    left, right = evaluate(formula, -x), evaluate(formula, x)
    parity = fm.parity(formula)
    if parity is not None:
        np.testing.assert_allclose(left, parity * right, rtol=1e-9, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(formulas)
def test_admitted_formulas_have_moments(formula):
    phi = Written(formula)
    if phi.obstacle() is None and phi.growth.kind == "polynomial":
        far = evaluate(formula, np.array([-1e4, 1e4]))
        assert np.all(np.isfinite(far))


def test_canonical_forms():
    assert fm.add(Z, Z) == fm.scale(Z, 2)
    assert fm.subtract(Z, Z) == fm.number(0)
    assert fm.multiply(Z, Z) == fm.power(Z, 2)
    assert fm.divide(fm.power(Z, 3), Z) == fm.power(Z, 2)
    assert fm.power(fm.power(Z, 2), Fraction(1, 2)) != Z
    assert of("sin", fm.negate(Z)) == fm.negate(of("sin"))
    assert of("cos", fm.negate(Z)) == of("cos")
    assert fm.maximum(fm.number(1), fm.number(2)) == fm.number(2)
    assert fm.number(2).value == Constant.of(2)


def test_text_of_a_formula():
    body = fm.add(fm.divide(fm.power(Z, 2), fm.number(2)), of("sin"))
    assert fm.text(body) == "sin(z) + z^2 / 2"
    bent = fm.where(Z, Z, fm.subtract(of("exp"), fm.number(1)))
    assert fm.text(bent) == "where(z > 0, z, exp(z) - 1)"
    assert fm.text(fm.derivative(bent)) == "where(z > 0, 1, exp(z))"
    assert r"\frac{1}{2}" in fm.latex(body)


@pytest.mark.parametrize(
    ("formula", "parity"),
    [
        (fm.maximum(fm.number(-1), fm.minimum(fm.number(1), Z)), "odd"),
        (fm.multiply(Z, of("sin")), "even"),
        (fm.subtract(of("silu"), fm.scale(Z, Fraction(1, 2))), "even"),
        (fm.subtract(of("sigmoid"), fm.number(Fraction(1, 2))), "odd"),
        (fm.where(Z, Z, fm.negate(Z)), "even"),
        (fm.sqrt(fm.add(fm.number(1), fm.power(Z, 2))), "even"),
        (fm.multiply(fm.add(Z, fm.number(1)), fm.subtract(Z, fm.number(1))), "even"),
        (fm.add(of("sin"), of("cos")), "none"),
        (of("relu"), "none"),
    ],
    ids=str,
)
def test_parity(formula, parity):
    assert from_formula(formula).parity == parity


SQUARE = fm.power(Z, 2)
ONE_PLUS = fm.add(fm.number(1), SQUARE)


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        (of("exp", SQUARE), "explosive"),
        (of("exp", fm.scale(SQUARE, Fraction(1, 100))), "explosive"),
        (of("exp", of("exp")), "explosive"),
        (of("exp", fm.power(Z, 3)), "explosive"),
        (fm.multiply(of("exp", SQUARE), of("exp", fm.negate(SQUARE))), "polynomial"),
        (of("exp", fm.negate(SQUARE)), "polynomial"),
        (of("exp", fm.negate(fm.power(Z, 4))), "polynomial"),
        (of("exp", fm.scale(Z, 3)), "exponential"),
        (of("exp", of("abs")), "exponential"),
        (of("exp", fm.subtract(Z, SQUARE)), "polynomial"),
        (fm.where(Z, Z, fm.subtract(of("exp"), fm.number(1))), "polynomial"),
        (fm.where(fm.negate(Z), of("exp", SQUARE), Z), "explosive"),
        (of("tanh", of("exp", SQUARE)), "polynomial"),
        (fm.divide(fm.number(1), fm.add(fm.number(1), of("exp"))), "polynomial"),
        (fm.divide(of("exp", SQUARE), fm.add(fm.number(1), of("exp", SQUARE))), "polynomial"),
        (of("log", ONE_PLUS), "polynomial"),
        (fm.sqrt(ONE_PLUS), "polynomial"),
        (of("relu", fm.power(Z, 3)), "polynomial"),
    ],
    ids=str,
)
def test_growth(formula, kind):
    assert from_formula(formula).growth.kind == kind


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (fm.divide(fm.number(1), Z), "divides by `z`"),
        (of("log"), "logarithm of `z`"),
        (fm.sqrt(Z), "root of `z`"),
        (of("exp", SQUARE), "infinite"),
        (fm.where(Z, fm.sqrt(Z), fm.number(0)), None),
        (of("log", ONE_PLUS), None),
        (fm.divide(Z, fm.sqrt(ONE_PLUS)), None),
        (fm.divide(fm.number(1), of("sigmoid")), None),
        (fm.where(Z, of("log", fm.add(Z, fm.number(1))), Z), None),
    ],
    ids=str,
)
def test_obstacles(formula, words):
    reason = from_formula(formula).obstacle()
    assert (reason is None) if words is None else (words in (reason or ""))


@pytest.mark.parametrize(
    ("formula", "points"),
    [
        (of("relu", fm.subtract(fm.scale(Z, 2), fm.number(1))), [0.5]),
        (fm.maximum(fm.number(-1), fm.minimum(fm.number(1), Z)), [-1.0, 1.0]),
        (of("abs", fm.subtract(SQUARE, fm.number(4))), [-2.0, 2.0]),
        (of("relu", of("sigmoid")), []),
        (of("sin"), []),
    ],
    ids=str,
)
def test_kinks(formula, points):
    np.testing.assert_allclose(from_formula(formula).kinks(), points, atol=1e-9)


def nested(levels: int) -> fm.Formula:
    formula: fm.Formula = Z
    for _ in range(levels):
        formula = of("sin", formula)
    return formula


def test_deep_nesting_is_refused_politely():
    assert nested(fm.MAX_DEPTH - 1).depth == fm.MAX_DEPTH
    with pytest.raises(fm.FormulaError, match="nested"):
        nested(fm.MAX_DEPTH + 5)


def test_constants_outside_of_a_domain():
    with pytest.raises(fm.FormulaError):
        of("log", fm.number(-1))
    with pytest.raises(fm.FormulaError):
        fm.divide(Z, fm.number(0))
    with pytest.raises(fm.FormulaError):
        fm.sqrt(fm.number(-2))
