"""Kernel recursions as equations to read: names, text, LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.exact import Constant
from tpc.limit import expressions as ex
from tpc.limit.expectation import Expectation
from tpc.limit.integrals import written
from tpc.limit.kernels import Kernels
from tpc.limit.naming import Names, multiple, named
from tpc.limit.order import rank

if TYPE_CHECKING:
    from tpc.ops.activations import Activation

NAMES = {"Sigma": r"\Sigma", "Delta": r"\Delta", "Theta": r"\Theta", "K": "K", "r": "r"}
SHOWN = 2  # equations, or addends, of a long run that are written out
MAX_ADDENDS = 64
MAX_TITLES = 20


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
        power = f"^{{({number})}}" if number and letter != "r" else ""
        below = f"_{{{number}}}" if number and letter == "r" else ""
        if rest.startswith("[") and letter == "Theta":
            below, rest = rf"_{{\mathtt{{{rest[1:-1]}}}}}", ""
        return NAMES.get(letter, letter) + below + power + rest


def equations(kernels: Kernels, kind: str) -> tuple[Equation, ...]:
    """Return the recursion, one equation per covariance, in the order of computation.

    ``Sigma`` are covariances of what nonlinearities are applied to, ``Delta`` those of backward
    vectors (and other shared terms), ``r`` numbers that belong to one sample. A tangent kernel is
    the sum of its weights' shares. The last equations are the kernel's entries.
    """
    shares = {name: e for name, e in kernels.parts if not ex.is_zero(e)}
    apart = len(kernels.entries) == 1 and len(shares) > 1
    roots = tuple(shares.values()) if apart else kernels.entries
    names = named(roots)
    order = [e for e in names.walk(roots) if e in names.of]
    found = [_equation(names.of[e], e, names) for e in order]
    root = "Theta" if kind == "ntk" else "K"
    if apart:
        titles = [f"{root}[{name}]" for name in shares]
        found += [
            _equation(title, e, names, is_root=True)
            for title, e in zip(titles, shares.values(), strict=True)
        ]
        if len(titles) > MAX_TITLES:
            titles = [*titles[:SHOWN], "...", *titles[-SHOWN:]]
        latex = " + ".join(t if t == "..." else _Style(True).name(t) for t in titles)
        return (*found, Equation(root, " + ".join(titles), latex))
    if _is_multiple_of_identity(kernels):
        found.append(_equation(f"{root}[i, i]", kernels.entries[0], names, is_root=True))
        return (*found, Equation(f"{root}[i, j]", "0 for i != j", r"0 \quad (i \neq j)"))
    for number, e in enumerate(kernels.entries):
        name = root if len(kernels.entries) == 1 else f"{root}[{_position(kernels, number)}]"
        found.append(_equation(name, e, names, is_root=True))
    return tuple(found)


def _is_multiple_of_identity(kernels: Kernels) -> bool:
    """Whether different positions of the output are unrelated, and equal ones alike."""
    count = math.isqrt(len(kernels.entries))
    return count > 1 and all(
        e is kernels.entries[0] if number % (count + 1) == 0 else ex.is_zero(e)
        for number, e in enumerate(kernels.entries)
    )


def _position(kernels: Kernels, number: int) -> str:
    count = 1
    for size in kernels.kept:
        count *= size
    return f"{number // count + 1}, {number % count + 1}"


def _equation(name: str, e: ex.Expression, names: Names, is_root: bool = False) -> Equation:
    texts = []
    for latex in (False, True):
        writer = _Writer(names, _Style(latex), None if is_root else e)
        texts.append(_join(writer.addends(e)))
    return Equation(name if e.cross or is_root else f"{name}(x)", texts[0], texts[1])


def _join(parts: Sequence[str]) -> str:
    if len(parts) > MAX_ADDENDS:
        parts = [*parts[:SHOWN], "...", *parts[-SHOWN:]]
    return " + ".join(parts).replace("+ -", "- ")


@dataclass(frozen=True)
class _Writer:
    """Writes the right-hand side of ``defined`` (None: of an entry), at x or x' where it matters.

    ``side`` is the sample that single-input expressions are taken at.
    """

    names: Names
    style: _Style
    defined: ex.Expression | None = None
    side: int = 0

    def _name(self, e: ex.Expression) -> str | None:
        if e is self.defined:
            return None
        x = "x'" if self.side else "x"
        if e in self.names.own and self.names.own[e] in self.names.of:
            return f"{self.style.name(self.names.of[self.names.own[e]])}({x}, {x})"
        name = self.names.of.get(e)
        if name is None:
            return None
        return self.style.name(name) if e.cross else f"{self.style.name(name)}({x})"

    def addends(self, e: ex.Expression) -> list[str]:
        """Return the addends, single-use inner sums opened (without recursion)."""
        numbers: list[str] = []
        weights: dict[str, Constant] = {}
        start = self.names.base.get(e, ex.ONE) if e is self.defined else ex.ONE
        todo: list[tuple[ex.Expression, Constant]] = [(e, start)]
        while todo:
            term, weight = todo.pop()
            term, weight = self._gathered(term, weight)
            if isinstance(term, ex.Sum) and self._name(term) is None:
                if not term.constant.is_zero:
                    todo.append((ex.number(term.constant), weight))
                todo.extend((t, weight * c) for t, c in reversed(term.terms))
            elif isinstance(term, ex.Number):
                numbers.append(self._constant(term.value * weight))
            else:
                body = self.term(term)
                weights[body] = weights.get(body, ex.ZERO) + weight
        found = [self._weighted(c, body) for body, c in weights.items() if not c.is_zero]
        return [*found, *numbers] or ["0"]

    def _weighted(self, weight: Constant, body: str) -> str:
        if weight.is_one:
            return body
        return f"-{body}" if (-weight).is_one else f"{self._factor(weight)} {body}"

    def _gathered(self, term: ex.Expression, weight: Constant) -> tuple[ex.Expression, Constant]:
        """Take constants out of the factors of a product, and what a name includes."""
        if self._name(term) is not None:
            return term, weight / self.names.base.get(term, ex.ONE)
        if not isinstance(term, ex.Product):
            return term, weight
        factors: list[ex.Expression] = []
        todo = list(reversed(term.factors))
        while todo:
            factor = todo.pop()
            if self._name(factor) is None:
                constant, factor = multiple(factor)
                weight = weight * constant
            if self._name(factor) is not None:
                weight = weight / self.names.base.get(factor, ex.ONE)
            elif isinstance(factor, ex.Product):
                todo.extend(reversed(factor.factors))
                continue
            factors.append(factor)
        return _Parts(True, tuple(factors)), weight

    def _constant(self, value: Constant) -> str:
        return value.latex() if self.style.latex else str(value)

    def _factor(self, value: Constant) -> str:
        return value.latex(as_factor=True) if self.style.latex else value.factor_text()

    def term(self, e: ex.Expression) -> str:
        """Return an expression as a factor or an addend."""
        name = self._name(e)
        if name is not None:
            return name
        x = "x'" if self.side else "x"
        match e:
            case ex.Gram(left=left, right=right, cross=cross):
                other = f"{right}'" if cross or self.side else f"{right}"
                first = f"{left}'" if self.side else f"{left}"
                if left.tokens:
                    return f"[{first} = {other}]"
                if self.style.latex:
                    return rf"\langle {first}, {other} \rangle"
                return f"<{first}, {other}>"
            case ex.Product(factors=factors) | _Parts(factors=factors):
                numbers = [f for f in factors if isinstance(f, ex.At)]
                ordered: list[ex.Expression] = [
                    *sorted(numbers, key=lambda f: (rank(f.inner), f.side)),
                    *(f for f in factors if not isinstance(f, ex.At)),
                ]
                return " ".join(self.factor(f) for f in ordered)
            case ex.Dual():
                return self._dual(e)
            case Expectation():
                call = _applied_latex if self.style.latex else _applied
                return written(e, self.factor, call, self.style.latex)
            case ex.Average(phi=phi, q=q):
                inside = phi.call_latex("u") if self.style.latex else phi.call("u")
                return f"E[{inside} | {self.factor(q)}]"
            case ex.At(side=side, inner=inner):
                return _Writer(self.names, self.style, self.defined, side).factor(inner)
            case ex.Value(place=place):
                return f"{place}'" if self.side else str(place)
            case ex.Applied(phi=phi, inner=inner):
                return _called(phi, _join(self.addends(inner)), self.style)
            case ex.Root(inner=inner, exponent=exponent):
                power = f"^{{{exponent}}}" if self.style.latex else f"^({exponent})"
                return f"{self.factor(inner)}{power}"
            case ex.Share(position=position, scores=scores):
                inside = ", ".join(_join(self.addends(s)) for s in scores)
                return f"softmax({inside})[{position + 1}]({x})"
        return f"({_join(self.addends(e))})"

    def factor(self, e: ex.Expression) -> str:
        """Return an expression in brackets where it has several addends."""
        if isinstance(e, (ex.Dual, Expectation)) or self._name(e) is not None:
            return self.term(e)
        parts = self.addends(e)
        return f"({_join(parts)})" if len(parts) > 1 else parts[0] if parts else "0"

    def _dual(self, e: ex.Dual) -> str:
        under = self.factor(e.k)
        if self.style.latex:
            inside = f"{_applied_latex(e.phi, 'u')} {_applied_latex(e.psi, 'v')}"
            return rf"\mathbb{{E}}_{{{under}}}\left[{inside}\right]"
        return f"E[{_applied(e.phi, 'u')} {_applied(e.psi, 'v')} | {under}]"


@dataclass(frozen=True, eq=False, slots=True)
class _Parts(ex.Expression):
    """A product whose constants have been taken out, to be written."""

    factors: tuple[ex.Expression, ...]


def _called(phi: Activation, argument: str, style: _Style) -> str:
    return _applied_latex(phi, argument) if style.latex else _applied(phi, argument)


def _applied(phi: Activation, variable: str) -> str:
    from tpc.ops.activations.written import Written

    if isinstance(phi, Written) and phi.title == "phi":
        return f"({phi.text(variable)})"
    return str(phi.call(variable))


def _applied_latex(phi: Activation, variable: str) -> str:
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
    pattern = re.compile(r"(?<=Sigma)\d+|(?<=Delta)\d+|(?<=\br)\d+|(?<=\[)\d+(?=\]\])")
    return pattern.sub("#", text), [int(n) for n in pattern.findall(text)]
