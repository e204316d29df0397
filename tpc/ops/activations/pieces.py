"""Functions that are polynomials between kinks, and their closed dual expectations."""

from __future__ import annotations

import itertools
import math

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.base import DualForm
from tpc.ops.activations.formula import evaluation, intervals
from tpc.ops.activations.formula.calculus import rebuild

MAX_KINKS = 6
MAX_DEGREE = 2
ROUNDING = 1e-13

Piece = tuple[Constant, ...]
"""Coefficients of a polynomial, lowest first."""


def bent_form(formula: fm.Formula) -> DualForm | None:
    """Return the form for a function that is a polynomial of degree two at most between kinks.

    It is NaN where terms cancel too much, as those of a clipped value of huge variance.
    """
    kinks = intervals.kinks(formula)
    if not 1 <= len(kinks) <= MAX_KINKS:
        return None
    found = [piece(formula, point) for point in _between(kinks)]
    pieces = [p for p in found if p is not None and len(p) <= MAX_DEGREE + 1]
    if len(pieces) < len(found):
        return None
    base = sum(kink < 0 for kink in kinks)  # the piece around zero, or just below it
    terms = [_term(pieces[i], pieces[i + 1], kinks[i], 1) for i in range(base, len(kinks))]
    terms += [_term(pieces[i + 1], pieces[i], kinks[i], -1) for i in reversed(range(base))]
    kept = tuple(term for term in terms if any(term[2:]))
    start = tuple(c.value for c in pieces[base]) + (0.0,) * (MAX_DEGREE + 1 - len(pieces[base]))
    return DualForm("bent_side", 8, "bent_pair", (kept,), (start, kept), partial=True)


def _between(kinks: tuple[float, ...]) -> list[float]:
    """Return a point of every piece."""
    inner = [(a + b) / 2 for a, b in itertools.pairwise(kinks)]
    return [kinks[0] - 1 - abs(kinks[0]), *inner, kinks[-1] + 1 + abs(kinks[-1])]


def _term(near: Piece, far: Piece, kink: float, direction: int) -> tuple[float, ...]:
    """Return ``(d, t, c0, c1, c2)``: what ``far`` adds to ``near`` beyond the kink at d t."""
    zero = Constant.of(0)
    size = MAX_DEGREE + 1
    change = [
        b - a for a, b in zip(_padded(near, zero, size), _padded(far, zero, size), strict=True)
    ]
    found = []
    for order in range(size):
        parts = [
            math.comb(k, order) * change[k].value * kink ** (k - order) for k in range(order, size)
        ]
        level = math.fsum(parts)
        whole = max(map(abs, parts))  # a continuous function has no jump: rounding is none
        found.append(0.0 if abs(level) <= ROUNDING * whole else level * direction**order)
    return (float(direction), abs(kink), *found)


def _padded(piece: Piece, zero: Constant, size: int) -> Piece:
    return (*piece, *(zero,) * (size - len(piece)))


def piece(formula: fm.Formula, point: float) -> Piece | None:
    """Return the polynomial that the formula is around a point without a kink, None for others."""
    return fm.polynomial(_around(formula, point))


def _around(formula: fm.Formula, point: float) -> fm.Formula:
    """Return the formula with all conditions decided as at a point."""
    if isinstance(formula, fm.Where):
        holds = _sign(formula.test, point) > 0
        return _around(formula.then if holds else formula.otherwise, point)
    if isinstance(formula, fm.Extremum):
        left_larger = _sign(fm.subtract(formula.left, formula.right), point) > 0
        chosen = formula.left if left_larger == (formula.kind == "max") else formula.right
        return _around(chosen, point)
    if isinstance(formula, fm.Apply) and formula.function.name in ("relu", "abs", "sign", "step"):
        positive = _sign(formula.argument, point) > 0
        argument = _around(formula.argument, point)
        match formula.function.name:
            case "relu":
                return argument if positive else fm.number(0)
            case "abs":
                return argument if positive else fm.negate(argument)
            case "sign":
                return fm.number(1 if positive else -1)
        return fm.number(1 if positive else 0)
    return rebuild(formula, lambda child: _around(child, point))


def _sign(formula: fm.Formula, point: float) -> float:
    import numpy as np

    return float(evaluation.evaluate(formula, np.asarray(point)))


def two_sided_form(formula: fm.Formula) -> DualForm | None:
    """Match ``a z^k`` above zero and ``b (-z)^k`` below it, as ``|z|^3``."""
    from tpc.ops.activations.patterns import rectified_form

    if intervals.kinks(formula) != (0.0,):
        return None
    sides = [piece(formula, point) for point in (-1.0, 1.0)]
    if any(s is None or not 3 <= len(s) <= 17 for s in sides):
        return None
    below, above = (s for s in sides if s is not None)
    if len(below) != len(above) or any(not c.is_zero for c in (*below[:-1], *above[:-1])):
        return None
    power = len(above) - 1
    b, a = below[-1].value * (-1.0) ** power, above[-1].value
    form = rectified_form(1.0, power)
    size, *rows = form.parameters
    parameters = ((a * a + b * b) * size, 2.0 * a * b * size, *rows)
    return DualForm("rectified_side", 2, "two_sided_pair", parameters, form.side_parameters)
