"""Exact constants as text: the syntax of programs, and LaTeX."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.exact.constant import Atom, Constant, Opaque


def text(number: Constant) -> str:
    """Return the number in the syntax of programs, e.g. `sqrt(2)/28`, `exp(1/2)/(2*sqrt(pi))`."""
    terms = number._terms()
    if len(terms) > 1:
        return _signed_sum([text(term) for term in terms])
    above, below = _fraction_parts(number, _text_power)
    sign = "-" if number.rational < 0 else ""
    top = "*".join(above) or "1"
    if not below:
        return sign + top
    bottom = below[0] if len(below) == 1 else f"({'*'.join(below)})"
    return f"{sign}{top}/{bottom}"


def latex(number: Constant) -> str:
    """Return the number as LaTeX, without delimiters."""
    terms = number._terms()
    if len(terms) > 1:
        return _signed_sum([latex(term) for term in terms])
    above, below = _fraction_parts(number, _latex_power)
    sign = "-" if number.rational < 0 else ""
    top = r" \, ".join(above) or "1"
    if not below:
        return sign + top
    bottom = r" \, ".join(below)
    return rf"{sign}\frac{{{top}}}{{{bottom}}}"


def _signed_sum(terms: list[str]) -> str:
    result = terms[0]
    for term in terms[1:]:
        result += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return result


def _fraction_parts(
    number: Constant, render: Callable[[list[Atom], Fraction], str]
) -> tuple[list[str], list[str]]:
    """Return the factors above and below the line; atoms of equal exponent share a root."""
    above = [str(abs(number.rational.numerator))] if abs(number.rational.numerator) != 1 else []
    below = [str(number.rational.denominator)] if number.rational.denominator != 1 else []
    groups: dict[Fraction, list[Atom]] = {}
    for atom, exponent in number.factors:
        if not isinstance(atom, int) and atom.kind == "exp":
            above.append(render([atom], exponent))
        else:
            groups.setdefault(exponent, []).append(atom)
    for exponent in sorted(groups, key=lambda q: (abs(q) != 1, abs(q), q)):
        side = above if exponent > 0 else below
        side.append(render(groups[exponent], abs(exponent)))
    return above, below


def _merge_integers(atoms: list[Atom]) -> list[int | Opaque]:
    product = 1
    others: list[int | Opaque] = []
    for atom in atoms:
        if isinstance(atom, int):
            product *= atom
        else:
            others.append(atom)
    return [product, *others] if product > 1 else others


def _text_power(atoms: list[Atom], exponent: Fraction) -> str:
    first = atoms[0]
    if not isinstance(first, int) and first.kind == "exp":
        return f"exp({first.args[0] * exponent})"
    merged = _merge_integers(atoms)
    names = [_text_atom(atom) for atom in merged]
    if exponent == Fraction(1, 2):
        inner = names[0] if len(names) == 1 else "*".join(names)
        return f"sqrt({_strip(inner)})"
    if exponent == 1:
        return "*".join(names)
    power = str(exponent) if exponent.denominator == 1 else f"({exponent})"
    base = names[0] if len(names) == 1 else f"({'*'.join(names)})"
    return f"{base}^{power}"


def _strip(name: str) -> str:
    """Drop the parentheses of a sum that stands alone inside a function call."""
    if not (name.startswith("(") and name.endswith(")")):
        return name
    depth = 0
    for place, character in enumerate(name):
        depth += (character == "(") - (character == ")")
        if not depth and place < len(name) - 1:
            return name
    return name[1:-1]


def _text_atom(atom: int | Opaque) -> str:
    if isinstance(atom, int):
        return str(atom)
    match atom.kind:
        case "pi":
            return "pi"
        case "sum":
            return f"({_signed_sum([text(term) for term in atom.args])})"
    return f"{atom.kind}({atom.args[0]})"


def _latex_power(atoms: list[Atom], exponent: Fraction) -> str:
    first = atoms[0]
    if not isinstance(first, int) and first.kind == "exp":
        return f"e^{{{latex(first.args[0] * exponent)}}}"
    names = [_latex_atom(atom) for atom in _merge_integers(atoms)]
    inner = r" \, ".join(names)
    if exponent == Fraction(1, 2):
        return rf"\sqrt{{{inner}}}"
    if exponent == 1:
        return inner
    base = inner if len(names) == 1 else rf"\left({inner}\right)"
    return f"{base}^{{{exponent}}}"


def _latex_atom(atom: int | Opaque) -> str:
    if isinstance(atom, int):
        return str(atom)
    match atom.kind:
        case "pi":
            return r"\pi"
        case "sum":
            return rf"\left({_signed_sum([latex(term) for term in atom.args])}\right)"
    return rf"\log\left({latex(atom.args[0])}\right)"
