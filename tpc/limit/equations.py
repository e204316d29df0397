"""Kernel recursions as equations to read: names, text, LaTeX."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tpc.exact import Constant
from tpc.limit import expressions as ex
from tpc.limit.kernels import Kernels

NAMES = {"Sigma": r"\Sigma", "Delta": r"\Delta", "Theta": r"\Theta", "K": "K"}
SHOWN = 2  # equations, or addends, of a long run that are written out
MAX_ADDENDS = 16


@dataclass(frozen=True)
class Equation:
    """``name = right``, in text and in LaTeX."""

    name: str
    text: str
    latex: str


@dataclass(frozen=True)
class _Style:
    latex: bool

    def name(self, name: str) -> str:
        if not self.latex:
            return name
        match = re.fullmatch(r"([A-Za-z]+)(\d*)(.*)", name)
        assert match is not None
        letter, number, rest = match.groups()
        return NAMES.get(letter, letter) + (f"^{{({number})}}" if number else "") + rest


def equations(kernels: Kernels, kind: str) -> tuple[Equation, ...]:
    """Return the recursion, one equation per covariance, in the order of computation.

    ``Sigma`` are covariances of what nonlinearities are applied to, ``Delta`` those of backward
    vectors (and other shared terms). The last equations are the kernel's entries.
    """
    names = _names(kernels)
    order = [e for e in ex.walk(kernels.entries) if e in names]
    found = [_equation(names[e], e, names) for e in order]
    root = "Theta" if kind == "ntk" else "K"
    for number, e in enumerate(kernels.entries):
        name = root if len(kernels.entries) == 1 else f"{root}[{_position(kernels, number)}]"
        found.append(_equation(name, e, names, is_root=True))
    return tuple(found)


def _position(kernels: Kernels, number: int) -> str:
    count = 1
    for size in kernels.kept:
        count *= size
    return f"{number // count + 1}, {number % count + 1}"


def _names(kernels: Kernels) -> dict[ex.Expression, str]:
    """Name arguments of nonlinearities and whatever is used more than once."""
    order = [e for e in ex.walk(kernels.entries) if e.cross and not isinstance(e, ex.At)]
    arguments = {e.k for e in order if isinstance(e, ex.Dual)}
    uses = Counter(operand for e in order for operand in e.operands)
    names: dict[ex.Expression, str] = {}
    counts: Counter[str] = Counter()
    for e in order:
        shared = uses[e] > 1 and isinstance(e, (ex.Sum, ex.Product))
        if e in arguments or shared:
            letter = "Sigma" if e in arguments else "Delta"
            counts[letter] += 1
            names[e] = f"{letter}{counts[letter]}"
    return names


def _equation(
    name: str, e: ex.Expression, names: dict[ex.Expression, str], is_root: bool = False
) -> Equation:
    own = {k: v for k, v in names.items() if k is not e or is_root}
    texts = []
    for style in (_Style(False), _Style(True)):
        if is_root and e in names:
            texts.append(style.name(names[e]))
        else:
            texts.append(_join(_addends(e, own, style)))
    return Equation(name, texts[0], texts[1])


def _addends(e: ex.Expression, names: dict[ex.Expression, str], style: _Style) -> list[str]:
    """Return the addends of an expression, single-use inner sums opened (without recursion)."""
    found: list[str] = []
    todo: list[tuple[ex.Expression, Constant]] = [(e, ex.ONE)]
    while todo:
        term, weight = todo.pop()
        if isinstance(term, ex.Sum) and term not in names:
            if not term.constant.is_zero:
                todo.append((ex.number(term.constant), weight))
            todo.extend((t, weight * c) for t, c in reversed(term.terms))
        elif isinstance(term, ex.Number):
            found.append(_constant(term.value * weight, style))
        else:
            body = _term(term, names, style)
            found.append(body if weight.is_one else f"{_factor(weight, style)} {body}")
    numbers = [part for part in found if not re.search(r"[A-Za-z<\\]", part)]
    return [part for part in found if part not in numbers] + numbers


def _join(parts: Sequence[str]) -> str:
    if len(parts) > MAX_ADDENDS:
        parts = [*parts[:SHOWN], "...", *parts[-SHOWN:]]
    return " + ".join(parts).replace("+ -", "- ")


def _constant(value: Constant, style: _Style) -> str:
    return value.latex() if style.latex else str(value)


def _factor(value: Constant, style: _Style) -> str:
    return value.latex(as_factor=True) if style.latex else value.factor_text()


def _term(e: ex.Expression, names: dict[ex.Expression, str], style: _Style) -> str:
    if e in names:
        return style.name(names[e])
    match e:
        case ex.Gram(left=left, right=right):
            if style.latex:
                return rf"\langle {_slice(left)}, {_slice(right)}' \rangle"
            return f"<{_slice(left)}, {_slice(right)}'>"
        case ex.Product(factors=factors):
            return " ".join(_factor_text(f, names, style) for f in factors)
        case ex.Dual():
            return _dual(e, names, style)
        case ex.Average(phi=phi, q=q):
            inside = phi.call_latex("u") if style.latex else phi.call("u")
            return f"E[{inside} | {_factor_text(q, names, style)}]"
        case ex.At(side=side, inner=inner):
            return f"({_join(_addends(inner, names, style))})({_at(side)})"
    return f"({_join(_addends(e, names, style))})"


def _at(side: int) -> str:
    return "x', x'" if side else "x, x"


def _slice(part: ex.Slice) -> str:
    return str(part)


def _factor_text(e: ex.Expression, names: dict[ex.Expression, str], style: _Style) -> str:
    parts = _addends(e, names, style) if not isinstance(e, (ex.Product, ex.Dual)) else []
    return f"({_join(parts)})" if len(parts) > 1 else _term(e, names, style)


def _dual(e: ex.Dual, names: dict[ex.Expression, str], style: _Style) -> str:
    under = _factor_text(e.k, names, style)
    if style.latex:
        inside = f"{_applied_latex(e.phi, 'u')} {_applied_latex(e.psi, 'v')}"
        return rf"\mathbb{{E}}_{{{under}}}\left[{inside}\right]"
    return f"E[{_applied(e.phi, 'u')} {_applied(e.psi, 'v')} | {under}]"


def _applied(phi: object, variable: str) -> str:
    from tpc.ops.activations.written import Written

    assert hasattr(phi, "call")
    if isinstance(phi, Written) and phi.title == "phi":
        return f"({phi.text(variable)})"
    return str(phi.call(variable))


def _applied_latex(phi: object, variable: str) -> str:
    assert hasattr(phi, "call_latex")
    return str(phi.call_latex(variable))


# -- long recursions -------------------------------------------------------------------------------


def shorten(found: Sequence[Equation]) -> list[Equation | str]:
    """Replace runs of equations that differ by shifted numbers only by the first, and a remark."""
    out: list[Equation | str] = []
    start = 0
    while start < len(found):
        stop = _run(found, start)
        if stop - start > SHOWN + 2:
            out.extend(found[start : start + SHOWN])
            first, last = found[start + SHOWN].name, found[stop - 1].name
            out.append(f"likewise {first} to {last}")
        else:
            out.extend(found[start:stop])
        start = stop
    return out


def _run(found: Sequence[Equation], start: int) -> int:
    """Return where the run of alike equations that begins at ``start`` ends."""
    stop = start + 1
    shift: list[int] | None = None
    while stop < len(found):
        before, here = _numbers(found[stop - 1]), _numbers(found[stop])
        if before[0] != here[0]:
            break
        step = [b - a for a, b in zip(before[1], here[1], strict=True)]
        if (shift is not None and step != shift) or any(abs(s) > 1 for s in step):
            break
        shift = step
        stop += 1
    return stop


def _numbers(equation: Equation) -> tuple[str, list[int]]:
    text = f"{equation.name} = {equation.text}"
    pattern = re.compile(r"(?<=Sigma)\d+|(?<=Delta)\d+")
    return pattern.sub("#", text), [int(n) for n in pattern.findall(text)]
