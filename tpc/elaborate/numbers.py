"""Arithmetic of constants: exact numbers times powers of the width, and exponents."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tpc.diagnostics import Span
from tpc.elaborate.report import Failed, Reporter
from tpc.elaborate.values import Value, describe
from tpc.exact import Affine, Coefficient, Constant

Number = Coefficient | Affine


def combine(operator: str, left: Number, right: Number, span: Span, reporter: Reporter) -> Number:
    """``left operator right`` for ``+ - * / ^``.

    Raises:
        Failed: the result is no constant; the reporter knows why.
    """
    try:
        result = _OPERATORS[operator](left, right)
    except ZeroDivisionError:
        raise reporter.failure(
            "E0702", "division by zero", span, help="a constant must be a real number"
        ) from None
    except (ValueError, OverflowError) as error:
        raise reporter.failure("E0702", f"this constant has no value: {error}", span) from error
    if result is None:
        raise _refused(operator, left, right, span, reporter)
    return result


def _refused(operator: str, left: Number, right: Number, span: Span, reporter: Reporter) -> Failed:
    if isinstance(left, Affine) or isinstance(right, Affine):
        return reporter.failure(
            "E0704",
            "an exponent may only occur in `abc(...)` and in powers `n^q` of the width",
            span,
            help="exponents are added, and multiplied by rational numbers: `n^(2*a - 1)`",
        )
    return reporter.failure(
        "E0701",
        f"`{left} {operator} {right}` is not a number times a power of the width",
        span,
        help="in constants and axes the width occurs as `n^q` only: `[4*n, n]`, `n^(-1/2)`",
    )


def _add(left: Number, right: Number) -> Number | None:
    if isinstance(left, Coefficient) and isinstance(right, Coefficient):
        if left.is_zero or right.is_zero:
            return right if left.is_zero else left
        if left.power != right.power:
            return None
        return Coefficient(left.constant + right.constant, left.power)
    one, other = as_affine(left), as_affine(right)
    return None if one is None or other is None else one + other


def _subtract(left: Number, right: Number) -> Number | None:
    return _add(left, -right)


def _multiply(left: Number, right: Number) -> Number | None:
    if isinstance(left, Coefficient) and isinstance(right, Coefficient):
        return left * right
    one, other = as_affine(left), as_affine(right)
    if one is None or other is None:
        return None
    if other.is_constant:
        return one * other.const
    return other * one.const if one.is_constant else None


def _divide(left: Number, right: Number) -> Number | None:
    if isinstance(right, Coefficient) and right.is_zero:
        raise ZeroDivisionError
    if isinstance(left, Coefficient) and isinstance(right, Coefficient):
        return left / right
    one, other = as_affine(left), as_affine(right)
    if one is None or other is None or not other.is_constant:
        return None
    return one / other.const


def _power(left: Number, right: Number) -> Number | None:
    if isinstance(left, Affine):
        return None
    exponent = as_affine(right)
    if exponent is None:
        return None
    if exponent.is_constant:
        return left**exponent.const
    if left.constant.is_one and left.power.is_constant:
        return Coefficient.width(exponent * left.power.const)
    return None


_OPERATORS: dict[str, Callable[[Number, Number], Number | None]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "^": _power,
}


def as_affine(value: Value) -> Affine | None:
    """The value as an exponent: a rational or an affine form, None for anything else."""
    if isinstance(value, Affine):
        return value
    fraction = as_fraction(value)
    return None if fraction is None else Affine.of(fraction)


def as_fraction(value: Value) -> Fraction | None:
    """The value as a rational, None for anything else."""
    if isinstance(value, Affine):
        return value.as_fraction()
    if isinstance(value, Coefficient) and value.power == 0:
        return value.constant.as_fraction()
    return None


def as_integer(value: Value) -> int | None:
    """The value as an integer, None for anything else."""
    fraction = as_fraction(value)
    return int(fraction) if fraction is not None and fraction.denominator == 1 else None


def integer(value: Value, span: Span, what: str, reporter: Reporter) -> int:
    """The value as an integer.

    Raises:
        Failed: it is none; the reporter knows.
    """
    found = as_integer(value)
    if found is None:
        raise reporter.failure(
            "E0705",
            f"{what} must be an integer, this is {describe(value)}",
            span,
            help="integers are made of numbers, sizes and loop variables",
        )
    return found


def constant(value: Value, span: Span, what: str, reporter: Reporter) -> Constant:
    """The value as a number without a power of the width.

    Raises:
        Failed: it is none; the reporter knows.
    """
    if isinstance(value, Coefficient) and value.power == 0:
        return value.constant
    raise reporter.failure("E0705", f"{what} must be a number, this is {describe(value)}", span)


def coefficient(value: Value, span: Span, what: str, reporter: Reporter) -> Coefficient:
    """The value as a number times a power of the width.

    Raises:
        Failed: it is none; the reporter knows.
    """
    if isinstance(value, Coefficient):
        return value
    raise reporter.failure(
        "E0705", f"{what} must be a number times a power of n, this is {describe(value)}", span
    )
