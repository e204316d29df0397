"""General expectations as text: the integrand, and the covariances of what it is a function of."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tpc.exact import Constant
from tpc.limit import expressions as ex
from tpc.limit.expectation import Expectation

MOST = 400
"""Characters of an integrand that are printed."""
SHOWN = 8
"""Covariances that are written out."""


def written(
    e: Expectation, name: Callable[[ex.Expression], str], call: Callable[[Any, str], str], tex: bool
) -> str:
    """Return ``E[f(u1, v1, ..) | (u1, v1): Sigma1, ..]``: u belongs to x, v to x'.

    ``name`` writes an operand, ``call`` a nonlinearity of a printed argument.
    """
    leaves = variables(e, tex)
    body = _integrand(e, leaves, name, call, tex)
    if len(body) > MOST:
        count = len(leaves)
        body = rf"f({', '.join(leaves)})" if count < SHOWN else f"f({leaves[0]}, .., {leaves[-1]})"
    pairs = []
    for i, a in enumerate(leaves):
        for j in range(i, len(leaves)):
            entry = e.between(i, j)
            if not ex.is_zero(entry):
                pairs.append(f"({a}, {leaves[j]}): {name(entry)}")
    if len(pairs) > SHOWN:
        pairs = [*pairs[: SHOWN - 1], "..", pairs[-1]]
    if tex:
        inside = body.replace("..", r"\ldots")
        below = r",\;".join(pairs).replace("..", r"\ldots")
        return rf"\mathbb{{E}}\left[{inside} \,\middle|\, {below}\right]"
    return f"E[{body} | {', '.join(pairs)}]"


def variables(e: Expectation, tex: bool) -> list[str]:
    """Return names of the Gaussians: u1, u2 at x; v1, v2 at x'."""
    names = [("uv"[side], str(number + 1)) for side, number in e.sides]
    return [f"{a}_{{{b}}}" if tex else f"{a}{b}" for a, b in names]


def _integrand(
    e: Expectation,
    leaves: list[str],
    name: Callable[[ex.Expression], str],
    call: Callable[[Any, str], str],
    tex: bool,
) -> str:
    texts: list[tuple[str, int]] = []  # with 0 for a sum, 1 for a product, 2 for anything closed
    for kind, data, arguments in e.tape:
        inner = [texts[a] for a in arguments]
        texts.append(_step(kind, data, inner, (e, leaves, name, call, tex)))
    return texts[-1][0]


def _step(kind: str, data: Any, inner: list[tuple[str, int]], where: Any) -> tuple[str, int]:
    e, leaves, name, call, tex = where
    match kind:
        case "leaf":
            return leaves[data], 2
        case "scalar":
            return name(e.scalars[data]), 1
        case "number":
            return _number(data, tex), 1
        case "sum":
            return _sum(data, inner, tex), 0
        case "product":
            return " ".join(_wrapped(text, level, 1) for text, level in inner), 1
        case "power":
            return _power(_wrapped(*inner[0], 2), data, tex), 1
        case "apply":
            return call(data, inner[0][0]), 2
        case "share":
            scores = ", ".join(text for text, _ in inner[: data[1]])
            head = r"\operatorname{softmax}" if tex else "softmax"
            return f"{head}({scores})[{data[0] + 1}]", 2
    raise TypeError(f"not a step: {kind}")


def _wrapped(text: str, level: int, wanted: int) -> str:
    return text if level >= wanted else f"({text})"


def _number(value: Constant, tex: bool) -> str:
    return value.latex() if tex else str(value)


def _sum(data: Any, inner: list[tuple[str, int]], tex: bool) -> str:
    constant, coefficients = data
    parts = [] if constant.is_zero else [_number(constant, tex)]
    for c, (text, level) in zip(coefficients, inner, strict=True):
        factor = "" if c.is_one else (c.latex(as_factor=True) if tex else c.factor_text()) + " "
        parts.append(factor + (_wrapped(text, level, 1) if factor else text))
    return " + ".join(parts).replace("+ -", "- ")


def _power(base: str, exponent: Fraction, tex: bool) -> str:
    return f"{base}^{{{exponent}}}" if tex else f"{base}^({exponent})"
