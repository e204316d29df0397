"""Numbers from formulas: NumPy arrays, and source text for Numba."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.ops.activations.formula.nodes import (
    Apply,
    Extremum,
    Formula,
    Number,
    Product,
    Sum,
    Variable,
    Where,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def evaluate(formula: Formula, z: Array) -> Array:
    """Return the formula's values, elementwise, in float64.

    Branches of ``where`` that are not taken may overflow or leave their domain: they are computed
    and discarded without a warning.
    """
    import numpy as np

    z = np.asarray(z, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.broadcast_to(_evaluate(formula, z), z.shape).astype(np.float64)


def _evaluate(formula: Formula, z: Array) -> Array:
    import numpy as np

    match formula:
        case Variable():
            return z
        case Number(value):
            return np.asarray(value.value)
        case Sum(constant, terms):
            total: Array = np.asarray(constant.value)
            for term, weight in terms:
                total = total + weight.value * _evaluate(term, z)
            return total
        case Product(factors):
            result: Array = np.asarray(1.0)
            for factor, exponent in factors:
                result = result * _power(_evaluate(factor, z), exponent)
            return result
        case Apply(function, argument):
            return function.numpy(_evaluate(argument, z))
        case Where(test, strict, then, otherwise):
            tested = _evaluate(test, z)
            holds = tested > 0 if strict else tested >= 0
            return np.where(holds, _evaluate(then, z), _evaluate(otherwise, z))
        case Extremum(kind, left, right):
            join = np.maximum if kind == "max" else np.minimum
            return np.asarray(join(_evaluate(left, z), _evaluate(right, z)))
    raise TypeError(f"not a formula: {formula!r}")


def _power(base: Array, exponent: Fraction) -> Array:
    import numpy as np

    if exponent == Fraction(1, 2):
        return np.sqrt(base)
    if exponent.denominator == 1:
        return np.asarray(base, dtype=np.float64) ** int(exponent)
    return np.asarray(np.power(base, float(exponent)))


def numba_source(formula: Formula, variable: str) -> str:
    """Return a Python expression for Numba: scalar arithmetic, ``math`` and runtime helpers."""
    match formula:
        case Variable():
            return variable
        case Number(value):
            return repr(value.value)
        case Sum(constant, terms):
            parts = [f"{w.value!r} * {numba_source(t, variable)}" for t, w in terms]
            if not constant.is_zero:
                parts.append(repr(constant.value))
            return f"({' + '.join(parts)})"
        case Product(factors):
            powers = [_power_source(numba_source(b, variable), e) for b, e in factors]
            return f"({' * '.join(powers)})"
        case Apply(function, argument):
            return function.numba_call(numba_source(argument, variable))
        case Where(test, strict, then, otherwise):
            relation = ">" if strict else ">="
            parts = [numba_source(part, variable) for part in (then, test, otherwise)]
            return f"({parts[0]} if {parts[1]} {relation} 0.0 else {parts[2]})"
        case Extremum(kind, left, right):
            return f"{kind}({numba_source(left, variable)}, {numba_source(right, variable)})"
    raise TypeError(f"not a formula: {formula!r}")


def _power_source(base: str, exponent: Fraction) -> str:
    if exponent == 1:
        return base
    if exponent == Fraction(1, 2):
        return f"math.sqrt({base})"
    shown = repr(int(exponent)) if exponent.denominator == 1 else repr(float(exponent))
    return f"({base}) ** ({shown})"


def helpers(formula: Formula) -> tuple[str, ...]:
    """Return the names of the runtime functions that the Numba source calls, sorted."""
    found: set[str] = set()
    stack = [formula]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply):
            found.update(node.function.numba_helpers)
        stack.extend(node.children)
    return tuple(sorted(found))
