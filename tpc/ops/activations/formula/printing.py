"""Formulas as text of the language and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tpc.exact import Constant
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

_SUM, _PRODUCT, _POWER, _ATOM = range(4)


def text(formula: Formula, variable: str = "z") -> str:
    """Return the formula in the syntax of the language."""
    return _text(formula, variable)[0]


def _wrap(pair: tuple[str, int], level: int) -> str:
    body, own = pair
    return body if own >= level else f"({body})"


def _text(formula: Formula, variable: str) -> tuple[str, int]:
    match formula:
        case Variable():
            return variable, _ATOM
        case Number(value):
            return _number(value)
        case Sum(constant, terms):
            parts = [_scaled(term, weight, variable) for term, weight in terms]
            if not constant.is_zero:
                parts.append(_number(constant)[0])
            level = _SUM if len(parts) > 1 or parts[0].startswith("-") else _PRODUCT
            return _join(parts), level
        case Product(factors):
            return _product(factors, variable)
        case Apply(function, argument):
            return function.call(text(argument, variable)), _ATOM
        case Where(test, strict, then, otherwise):
            relation = ">" if strict else ">="
            parts = [text(part, variable) for part in (test, then, otherwise)]
            return f"where({parts[0]} {relation} 0, {parts[1]}, {parts[2]})", _ATOM
        case Extremum(kind, left, right):
            return f"{kind}({text(left, variable)}, {text(right, variable)})", _ATOM
    raise TypeError(f"not a formula: {formula!r}")


def _number(value: Constant) -> tuple[str, int]:
    body = str(value)
    simple = body.replace(".", "").isalnum()
    return body, _ATOM if simple else (_PRODUCT if "+" not in body and "-" not in body else _SUM)


def _join(parts: Sequence[str]) -> str:
    out = parts[0]
    for part in parts[1:]:
        out += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return out


def _scaled(term: Formula, weight: Constant, variable: str) -> str:
    body = _wrap(_text(term, variable), _PRODUCT)
    if weight.is_one:
        return body
    if (-weight).is_one:
        return f"-{body}"
    fraction = weight.as_fraction()
    if fraction is not None and abs(fraction.numerator) == 1:
        sign = "-" if fraction < 0 else ""
        return f"{sign}{body} / {fraction.denominator}"
    return f"{weight.factor_text()} * {body}"


def _product(factors: tuple[tuple[Formula, Fraction], ...], variable: str) -> tuple[str, int]:
    above = [_factor(base, e, variable) for base, e in factors if e > 0]
    below = [_factor(base, -e, variable) for base, e in factors if e < 0]
    if not below and len(above) == 1:
        only = factors[0][1]
        return above[0], _ATOM if only == Fraction(1, 2) else _POWER
    out = " * ".join(above) if above else "1"
    return "".join([out, *(f" / {part}" for part in below)]), _PRODUCT


def _factor(base: Formula, exponent: Fraction, variable: str) -> str:
    if exponent == 1:
        return _wrap(_text(base, variable), _POWER)
    if exponent == Fraction(1, 2):
        return f"sqrt({text(base, variable)})"
    shown = str(exponent) if exponent.denominator == 1 else f"({exponent})"
    return f"{_wrap(_text(base, variable), _ATOM)}^{shown}"


def latex(formula: Formula, variable: str = "z") -> str:
    """Return LaTeX without delimiters."""
    return _latex(formula, variable)[0]


def _wrap_latex(pair: tuple[str, int], level: int) -> str:
    body, own = pair
    return body if own >= level else rf"\left({body}\right)"


def _latex(formula: Formula, variable: str) -> tuple[str, int]:
    match formula:
        case Variable():
            return variable, _ATOM
        case Number(value):
            return value.latex(), _number(value)[1]
        case Sum(constant, terms):
            parts = [_scaled_latex(term, weight, variable) for term, weight in terms]
            if not constant.is_zero:
                parts.append(constant.latex())
            level = _SUM if len(parts) > 1 or parts[0].startswith("-") else _PRODUCT
            return _join(parts), level
        case Product(factors):
            return _product_latex(factors, variable)
        case Apply(function, argument):
            return function.call_latex(latex(argument, variable)), _ATOM
        case Where(test, strict, then, otherwise):
            relation = ">" if strict else r"\ge"
            t, a, b = (latex(part, variable) for part in (test, then, otherwise))
            cases = rf"{a} & \text{{if }} {t} {relation} 0 \\ {b} & \text{{otherwise}}"
            return rf"\begin{{cases}} {cases} \end{{cases}}", _ATOM
        case Extremum(kind, left, right):
            inside = f"{latex(left, variable)}, {latex(right, variable)}"
            return rf"\{kind}\left({inside}\right)", _ATOM
    raise TypeError(f"not a formula: {formula!r}")


def _scaled_latex(term: Formula, weight: Constant, variable: str) -> str:
    body = _wrap_latex(_latex(term, variable), _PRODUCT)
    if weight.is_one:
        return body
    return f"-{body}" if (-weight).is_one else rf"{weight.latex(as_factor=True)} {body}"


def _product_latex(factors: tuple[tuple[Formula, Fraction], ...], variable: str) -> tuple[str, int]:
    above = [_factor_latex(base, e, variable) for base, e in factors if e > 0]
    below = [_factor_latex(base, -e, variable) for base, e in factors if e < 0]
    if below:
        return rf"\frac{{{r' '.join(above) or '1'}}}{{{' '.join(below)}}}", _POWER
    return " ".join(above), _PRODUCT if len(above) > 1 else _POWER


def _factor_latex(base: Formula, exponent: Fraction, variable: str) -> str:
    if exponent == 1:
        return _wrap_latex(_latex(base, variable), _POWER)
    if exponent == Fraction(1, 2):
        return rf"\sqrt{{{latex(base, variable)}}}"
    return f"{_wrap_latex(_latex(base, variable), _ATOM)}^{{{exponent}}}"
