"""Formulas with closed dual expectations, recognised by their shape."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from math import factorial

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import DualForm


@lru_cache(maxsize=4096)
def dual_form(formula: fm.Formula) -> DualForm | None:
    """Return a closed form of ``E[phi(u) phi(v)]`` for the shapes that have one.

    Polynomials; ``a f(z)`` for an f with a closed form; ``a f(b z)`` and ``a sin(b z + c)``,
    ``a exp(b z)``, ``a exp(-g z^2)``; ``a step(z) + b relu(z) + c z + d |z|`` and the like.
    """
    coefficients = fm.polynomial(formula)
    if coefficients is not None:
        return polynomial_form(coefficients)
    from tpc.ops.activations.pieces import bent_form, two_sided_form

    return (
        _piecewise_linear(formula)
        or _product(formula)
        or _rectified(formula)
        or _scaled(formula)
        or _gelu(formula)
        or two_sided_form(formula)
        or bent_form(formula)
    )


def polynomial_form(coefficients: tuple[Constant, ...]) -> DualForm:
    """Return the form for a polynomial p.

    ``E[p(u) p(v)] = sum_k k! b_k(q11) b_k(q22) q12^k`` with ``b_k(q) = E p^(k)(u) / k!``, which is
    a polynomial in q: ``sum_j p_(k+2j) (k+2j)! / (k! j! 2^j) q^j``. Row k has its coefficients,
    highest first, times ``sqrt(k!)``.
    """
    degree = len(coefficients) - 1
    rows = [_hermite_row(coefficients, k) for k in range(degree + 1)]
    return DualForm("variance_side", 1, "polynomial_pair", (tuple(rows),))


def _hermite_row(coefficients: tuple[Constant, ...], k: int) -> tuple[float, ...]:
    row = [0.0] * ((len(coefficients) + 1) // 2)
    for j in range((len(coefficients) - 1 - k) // 2 + 1):
        count = Fraction(factorial(k + 2 * j), factorial(k) * factorial(j) * 2**j)
        exact = coefficients[k + 2 * j] * count * Constant.sqrt(factorial(k))
        row[j] = exact.value
    return tuple(reversed(row))


def sinusoid_form(amplitude: float, frequency: float, phase: float) -> DualForm:
    """Return the form for ``amplitude * sin(frequency * z + phase)``."""
    squared = frequency * frequency
    parameters = (amplitude * amplitude, squared, math.cos(2 * phase))
    return DualForm("variance_side", 1, "sinusoid_pair", parameters)


def leaky_form(below: float, above: float) -> DualForm:
    """Return the form for ``above * z`` where z > 0 and ``below * z`` where z < 0."""
    linear, modulus = (above + below) / 2, (above - below) / 2
    return DualForm("norm_side", 2, "leaky_pair", (linear * linear, modulus * modulus))


def threshold_form(mean: float, jump: float) -> DualForm:
    """Return the form for ``mean + jump * sign(z)``."""
    return DualForm("norm_side", 2, "threshold_pair", (mean * mean, jump * jump))


def rectified_form(factor: float, power: int) -> DualForm:
    """Return the form for ``factor * max(z, 0)^power`` (arc-cosine kernels, Cho and Saul 2009).

    ``E = (q11 q22)^(p/2) / (2 pi) J_p(t)``, ``J_p = A_p(c) (pi - t) + B_p(c) sin t``, c the
    cosine of t; ``dJ_p/dc = p^2 J_(p-1)`` gives the polynomials exactly, from J_0 = pi - t.
    """
    angle, sine = [Fraction(1)], [Fraction(0)]
    double_factorial = 1
    for p in range(1, power + 1):
        double_factorial *= 2 * p - 1
        angle = [Fraction(0), *(p * p * a / (i + 1) for i, a in enumerate(angle))]
        angle[0] = double_factorial - sum(angle, Fraction(0))
        sine = _sine_part(angle, sine, p)
    rows = tuple(tuple(float(a) for a in reversed(row)) for row in (angle, sine))
    size = factor * factor / (2 * math.pi)
    return DualForm("rectified_side", 2, "rectified_pair", (size, *rows), (float(power),))


def _sine_part(angle: list[Fraction], before: list[Fraction], p: int) -> list[Fraction]:
    """Solve ``(1 - c^2) B' - c B = p^2 (1 - c^2) before - angle`` for the polynomial B."""
    right = [Fraction(0) for _ in range(len(angle) + 2)]
    for i, b in enumerate(before):
        right[i] += p * p * b
        right[i + 2] -= p * p * b
    for i, a in enumerate(angle):
        right[i] -= a
    # coefficient of c^(i+1): (i + 2) B_(i+2) - (i + 1) B_i = right[i + 1], from the top down
    out = [Fraction(0)] * (p + 3)
    for i in range(p, -1, -1):
        above = right[i + 1] if i + 1 < len(right) else Fraction(0)
        out[i] = ((i + 2) * out[i + 2] - above) / (i + 1)
    return out[: max(p, 1)]


def _piecewise_linear(formula: fm.Formula) -> DualForm | None:
    """Match ``above * z (z > 0), below * z (z < 0)``, or a constant on either side of zero."""
    below, above = _side(formula, False), _side(formula, True)
    if below is None or above is None:
        return None
    (level_below, slope_below), (level_above, slope_above) = below, above
    if level_below.is_zero and level_above.is_zero:
        return leaky_form(slope_below.value, slope_above.value)
    if slope_below.is_zero and slope_above.is_zero:
        mean, jump = level_above + level_below, level_above - level_below
        return threshold_form(mean.value / 2, jump.value / 2)
    return None


def _side(formula: fm.Formula, positive: bool) -> tuple[Constant, Constant] | None:
    """Return level and slope where the formula is affine on the half line."""
    coefficients = fm.polynomial(half(formula, positive))
    if coefficients is None or len(coefficients) > 2:
        return None
    zero = Constant.of(0)
    return coefficients[0], coefficients[1] if len(coefficients) == 2 else zero


def half(formula: fm.Formula, positive: bool) -> fm.Formula:
    """Return the formula on the open half line: conditions on the sign of z are decided."""
    from tpc.ops.activations.formula.calculus import rebuild

    if isinstance(formula, fm.Where) and formula.test == fm.Z:
        return half(formula.then if positive else formula.otherwise, positive)
    slope = _slope(formula.argument) if isinstance(formula, fm.Apply) else None
    if isinstance(formula, fm.Apply) and slope is not None:
        name, above = formula.function.name, (slope.sign > 0) == positive
        if name == "relu":
            return formula.argument if above else fm.number(0)
        if name == "abs":
            return formula.argument if above else fm.negate(formula.argument)
        if name == "sign":
            return fm.number(1 if above else -1)
        if name == "step":
            return fm.number(1 if above else 0)
    if isinstance(formula, fm.Extremum):
        gap = half(fm.subtract(formula.left, formula.right), positive)
        coefficients = fm.polynomial(gap)
        if coefficients is not None and len(coefficients) == 2 and coefficients[0].is_zero:
            left_larger = (coefficients[1].sign > 0) == positive
            chosen = formula.left if left_larger == (formula.kind == "max") else formula.right
            return half(chosen, positive)
        return formula
    return rebuild(formula, lambda child: half(child, positive))


def _slope(argument: fm.Formula) -> Constant | None:
    """Return c where the argument is c z with c not zero."""
    coefficients = fm.polynomial(argument)
    if coefficients is None or len(coefficients) != 2 or not coefficients[0].is_zero:
        return None
    return coefficients[1]


def _rectified(formula: fm.Formula) -> DualForm | None:
    """Match ``c z^k`` on one side of zero and nothing on the other."""
    sides = [fm.polynomial(half(formula, positive)) for positive in (False, True)]
    for here, there in (sides, reversed(sides)):
        if here is None or there is None or any(not c.is_zero for c in there):
            continue
        if len(here) > 17 or any(not c.is_zero for c in here[:-1]):
            continue
        return rectified_form(here[-1].value, len(here) - 1) if len(here) > 1 else None
    return None


def _factored(formula: fm.Formula) -> tuple[Constant, fm.Formula]:
    if isinstance(formula, fm.Sum) and formula.constant.is_zero and len(formula.terms) == 1:
        term, factor = formula.terms[0]
        return factor, term
    return Constant.of(1), formula


def _product(formula: fm.Formula) -> DualForm | None:
    """Match ``a relu(z)^k`` and ``a z exp(-g z^2)``."""
    factor, body = _factored(formula)
    if not isinstance(body, fm.Product):
        return None
    powers = dict(body.factors)
    if len(powers) == 2 and powers.pop(fm.Z, 0) == 1:
        (bell,) = powers.items()
        return _bell_slope(factor, *bell)
    if len(body.factors) != 1:
        return None
    base, exponent = body.factors[0]
    whole = exponent.denominator == 1 and 0 < exponent <= 16
    if not (whole and isinstance(base, fm.Apply) and base.argument == fm.Z):
        return None
    return rectified_form(factor.value, int(exponent)) if base.function.name == "relu" else None


def _bell_slope(factor: Constant, base: fm.Formula, exponent: Fraction) -> DualForm | None:
    if not (isinstance(base, fm.Apply) and base.function.name == "exp" and exponent > 0):
        return None
    argument = fm.polynomial(fm.scale(base.argument, exponent))
    if argument is None or len(argument) != 3 or argument[2].sign > 0 or not argument[1].is_zero:
        return None
    size = (factor**2 * Constant.exp(argument[0] * 2)).value
    return DualForm("variance_side", 1, "bell_slope_pair", (size, argument[2].value))


def _scaled(formula: fm.Formula) -> DualForm | None:
    """Match ``a * f(argument)`` for one primitive f."""
    factor, formula = _factored(formula)
    if not isinstance(formula, fm.Apply):
        return None
    argument = fm.polynomial(formula.argument)
    if argument is None:
        return None
    return formula.function.affine_dual(factor, argument)


def _gelu(formula: fm.Formula) -> DualForm | None:
    """Match ``a gelu(b z)`` and its derivative."""
    from tpc.ops.activations.gelu import Gelu

    parts = list(formula.children)
    while parts and not (isinstance(parts[-1], fm.Apply) and parts[-1].function.name == "erf"):
        parts += parts.pop().children
    slope = _slope(parts[-1].argument) if parts and isinstance(parts[-1], fm.Apply) else None
    if slope is None:
        return None
    width = slope * Constant.sqrt(2)
    plain = fm.apply(Gelu(), fm.scale(fm.Z, width))
    square = (width**2).value
    for shape, pair, inner in (
        (plain, "gelu_pair", Constant.of(1)),
        (fm.derivative(plain), "gelu_slope_pair", width),
    ):
        factor = _ratio(formula, shape)
        if factor is not None:
            size = ((factor * inner) ** 2).value
            return DualForm("probit_side", 3, pair, (size, square), (square,))
    return None


def _ratio(formula: fm.Formula, shape: fm.Formula) -> Constant | None:
    """Return c where the formula is c times the shape."""
    (one, body), (other, wanted) = _factored(formula), _factored(shape)
    if body == wanted:
        return one / other
    if not (isinstance(formula, fm.Sum) and isinstance(shape, fm.Sum)):
        return None
    factor = formula.terms[0][1] / shape.terms[0][1]
    return factor if fm.scale(shape, factor) == formula else None
