"""Steps of optimizers as expressions: their own code, run on expressions in place of arrays.

An optimizer says once what its direction is, with NumPy's functions on arrays. Here the same
function meets expressions that answer to those, so that every optimizer has equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.derivation.symbols import (
    Entry,
    Expression,
    Factor,
    Power,
    Symbol,
    Term,
    number,
    of,
    times,
)
from tpc.exact import Constant

if TYPE_CHECKING:
    from tpc.optimizers.base import Optimizer


class Untraceable(Exception):  # noqa: N818 - a fact about an optimizer
    """A step uses something that expressions have no answer to."""


class Time:
    """The number of a step, counted from one, as an exponent."""

    def __init__(self, time: int | None) -> None:
        self.text = "(t+1)" if time is None else str(time + 1)


class Traced:
    """An expression that behaves like an array."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def __add__(self, other: Any) -> Traced:
        return Traced(self.expression + _lifted(other))

    __radd__ = __add__

    def __neg__(self) -> Traced:
        return Traced(self.expression.scaled(Constant.of(-1)))

    def __sub__(self, other: Any) -> Traced:
        return Traced(self.expression + _lifted(other).scaled(Constant.of(-1)))

    def __rsub__(self, other: Any) -> Traced:
        return Traced(_lifted(other) + (-self).expression)

    def __mul__(self, other: Any) -> Traced:
        return Traced(times(self.expression, _lifted(other)))

    def __rmul__(self, other: Any) -> Traced:
        return Traced(times(_lifted(other), self.expression))

    def __truediv__(self, other: Any) -> Traced:
        below = _lifted(other)
        if below == number(Constant.of(1)):
            return self
        return Traced(times(self.expression, of(Power(below, Fraction(-1)))))

    def __pow__(self, exponent: Any) -> Traced:
        if isinstance(exponent, Time):
            return Traced(of(_raised(self.expression, exponent)))
        return Traced(of(Power(self.expression, Fraction(exponent))))

    def __eq__(self, other: object) -> Traced:  # type: ignore[override]
        return self

    __hash__ = None  # type: ignore[assignment]

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **more: Any) -> Traced:
        name = function.__name__
        if method == "__call__" and name in _FUNCTIONS and not more:
            found: Traced = _FUNCTIONS[name](*operands)
            return found
        raise Untraceable(name)

    def __array_function__(self, function: Any, types: Any, operands: Any, more: Any) -> Traced:
        if function.__name__ == "where" and len(operands) == 3:
            return Traced(_lifted(operands[2]))  # of the two, the one that is not for 0/0
        raise Untraceable(function.__name__)


_FUNCTIONS: Mapping[str, Callable[..., Traced]] = {
    "add": lambda x, y: _traced(x) + y,
    "subtract": lambda x, y: _traced(x) - y,
    "multiply": lambda x, y: _traced(x) * y,
    "divide": lambda x, y: _traced(x) / y,
    "square": lambda x: x**2,
    "sqrt": lambda x: x ** Fraction(1, 2),
    "sign": lambda x: Traced(of(Entry("sign", (x.expression,)))),
    "absolute": lambda x: Traced(of(Entry("abs", (x.expression,)))),
}


def _traced(x: Any) -> Traced:
    return x if isinstance(x, Traced) else Traced(_lifted(x))


def _lifted(x: Any) -> Expression:
    if isinstance(x, Traced):
        return x.expression
    return number(Constant.of(Fraction(float(x))))


def _raised(base: Expression, exponent: Time) -> Factor:
    (term,) = base.terms
    (symbol,) = term.factors
    if not isinstance(symbol, Symbol):
        raise Untraceable("a power of the number of steps")
    return symbol if exponent.text == "1" else Symbol(f"{symbol.name}^{exponent.text}", "number")


def trace(
    optimizer: Optimizer,
    gradient: Expression,
    weight: Expression,
    state: Mapping[str, Expression],
    names: Mapping[str, Symbol],
    time: int | None,
    options: Mapping[str, Expression],
) -> tuple[Expression, dict[str, Expression]]:
    """Return the direction of a step, and the state after it.

    ``names`` are the symbols of that state: the direction is written in them.

    Raises:
        Untraceable: the step is no such function of entries.
    """
    given: Any = {key: Traced(each) for key, each in state.items()}
    numbers: Any = {key: Traced(each) if not each.is_zero else 0.0 for key, each in options.items()}
    try:
        direction, after = optimizer.direction(
            Traced(gradient),  # type: ignore[arg-type]
            Traced(weight),  # type: ignore[arg-type]
            given,
            Time(time),  # type: ignore[arg-type]
            numbers,
        )
    except (TypeError, AttributeError, ValueError, KeyError) as error:
        raise Untraceable(str(error)) from error
    found = {key: _lifted(each) for key, each in after.items()}
    known = {each: names[key] for key, each in found.items() if not each.is_zero}
    return _named(_lifted(direction), known), found


def _named(x: Expression, known: Mapping[Expression, Symbol]) -> Expression:
    """Return an expression with what has a name written by it."""
    if x in known:
        return of(known[x])
    return Expression(
        tuple(
            Term(term.constant, tuple(_renamed(f, known) for f in term.factors), term.bound)
            for term in x.terms
        )
    )


def _renamed(factor: Factor, known: Mapping[Expression, Symbol]) -> Factor:
    if isinstance(factor, Power):
        inside = _named(factor.base, known)
        if factor.exponent == 1 and inside != factor.base and len(inside.terms) == 1:
            (term,) = inside.terms
            if len(term.factors) == 1 and term.constant.is_one:
                return term.factors[0]
        return Power(inside, factor.exponent)
    if isinstance(factor, Entry):
        return Entry(factor.name, tuple(_named(a, known) for a in factor.arguments), factor.axes)
    return factor
