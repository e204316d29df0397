"""Where smooth formulas change fast away from zero: quadrature is graded towards these points.

Rules that are uniform, or graded towards zero, would step over a bump as ``exp(-100 (z - 2)^2)`` at
a large variance, and two of them in a row would agree that nothing is there.
"""

from __future__ import annotations

from functools import lru_cache

from tpc.ops.activations.formula.calculus import polynomial
from tpc.ops.activations.formula.evaluation import evaluate
from tpc.ops.activations.formula.intervals import _scan
from tpc.ops.activations.formula.nodes import Apply, Formula, Product
from tpc.ops.activations.formula.roots import real_roots

STEEP = 8.0
"""Distance from zero, in units of the length on which a formula changes, that counts as far."""
_WITHOUT_PLACE = ("sin", "cos", "relu", "abs", "sign", "step", "log", "identity")


@lru_cache(maxsize=4096)
def steep_points(formula: Formula) -> tuple[float, ...]:
    """Return points that are far from zero beside the length on which the formula changes there.

    Roots of arguments and their extrema, and real parts of complex roots of what is divided by or
    what a root is taken of.
    """
    found: set[float] = set()
    stack = [formula]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and node.function.name not in _WITHOUT_PLACE:
            found.update(_of_argument(node.argument, node.function.name != "exp"))
        elif isinstance(node, Product):
            for base, exponent in node.factors:
                if exponent < 0 or exponent.denominator != 1:
                    found.update(_of_base(base))
        stack.extend(node.children)
    return tuple(sorted(found))


def _of_argument(argument: Formula, roots: bool) -> set[float]:
    """Return where a function of a formula changes fast: an exponential does so at extrema only."""
    import numpy as np

    coefficients = polynomial(argument)
    if coefficients is None:
        places = _scan(argument) if roots else ()
        return {r for r in places if abs(r) * _slope(argument, r) > STEEP}
    p = np.polynomial.Polynomial([c.value for c in coefficients])
    if p.degree() < 1:
        return set()
    first, second = p.deriv(1), p.deriv(2)
    found = set()
    if roots:
        found = {r for r in real_roots(coefficients) if abs(r * first(r)) > STEEP}
    extrema = _real(first.roots()) if p.degree() > 1 else []
    return found | {r for r in extrema if abs(r) * np.sqrt(abs(second(r)) / 2) > STEEP}


def _of_base(base: Formula) -> set[float]:
    import numpy as np

    coefficients = polynomial(base)
    if coefficients is None or len(coefficients) < 2:
        return set()
    roots = np.roots([c.value for c in reversed(coefficients)])
    return {float(r.real) for r in roots if abs(r.real) > STEEP * abs(r.imag) > 0}


def _real(roots) -> list[float]:  # type: ignore[no-untyped-def]
    """Return real parts of roots that are real up to rounding, double ones too."""
    return [float(r.real) for r in roots if abs(r.imag) <= 1e-6 * (1 + abs(r))]


def _slope(argument: Formula, point: float) -> float:
    import numpy as np

    step = 1e-6 * (1 + abs(point))
    ends = evaluate(argument, np.array([point - step, point + step]))
    return float(abs(ends[1] - ends[0]) / (2 * step))
