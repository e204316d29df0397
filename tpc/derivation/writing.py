"""Expressions as text and as LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.derivation.symbols import (
    Applied,
    CopyMean,
    Entry,
    Expression,
    Factor,
    Image,
    Label,
    Mean,
    Power,
    Slope,
    Symbol,
    Term,
    is_random,
)
from tpc.ops.activations.written import Written

if TYPE_CHECKING:
    from tpc.ops.activations import Activation

_AXES = "abcdefghklmnopqr"
_KNOWN = ("tanh", "sin", "cos", "exp")
_GREEK = {"chi": r"\chi", "eta": r"\eta", "phi": r"\phi", "delta": r"\delta", "sigma": r"\sigma",
          "beta": r"\beta", "lambda": r"\lambda", "eps": r"\epsilon"}  # fmt: skip


@dataclass
class Writer:
    """Writes the two sides of one equation: unnamed labels get letters in the order they come."""

    latex: bool
    letters: dict[Label, str] = field(default_factory=dict)

    # -- labels and names --------------------------------------------------------------------------

    def label(self, label: Label) -> str:
        """Return the letter of a label."""
        if label.name:
            return r"\cdot" if self.latex and label.name == "." else label.name
        if label not in self.letters:
            used = sum(each.kind == label.kind for each in self.letters)
            if label.kind == "sample":
                self.letters[label] = "j" + "'" * used
            else:
                self.letters[label] = _AXES[used] if used < len(_AXES) else f"a{used}"
        return self.letters[label]

    def name(self, name: str) -> str:
        """Return a name of the program; numbers in it become superscripts in LaTeX."""
        if not self.latex:
            return name
        if name.endswith("'"):
            return rf"{{{self.name(name[:-1])}}}^\top"
        match = re.fullmatch(r"(d*)([A-Za-z_]+)(?:#?(\d+)|\[(\d+)\])?", name)
        if match is None:
            return rf"\mathtt{{{name.replace('_', chr(92) + '_')}}}"
        head, body, *numbers = match.groups()
        if not body:
            head, body = head[:-1], head[-1]
        stem, _, below = body.partition("_")
        plain = stem if len(stem) == 1 else _GREEK.get(stem, rf"\mathrm{{{stem}}}")
        if head and len(stem) > 1 and stem not in _GREEK:
            head, plain = "", rf"\mathrm{{{head}{stem}}}"
        count = next((each for each in numbers if each), None)
        up = f"^{{({count})}}" if count else ""
        down = rf"_{{\mathrm{{{below}}}}}" if below else ""
        return f"{head}{plain}{up}{down}"

    def bare(self, symbol: Symbol) -> str:
        """Return a symbol without the Z."""
        places = [each for each in (symbol.step, symbol.sample) if each is not None]
        axes = [self.label(axis) for axis in symbol.axes]
        if self.latex:
            below = ",".join([*(self.label(each) for each in places), *axes])
            name = self.name(symbol.name)
            if symbol.kind == "number":
                name = _number(symbol.name)
            if not below:
                return name
            return f"{{{name}}}_{{{below}}}" if "_" in name else f"{name}_{{{below}}}"
        inside = ",".join(self.label(each) for each in places)
        tail = "_" + ",".join(axes) if axes else ""
        return f"{symbol.name}{tail}" + (f"({inside})" if inside else "")

    # -- factors -----------------------------------------------------------------------------------

    def symbol(self, symbol: Symbol) -> str:
        """Return a symbol."""
        bare = self.bare(symbol)
        if symbol.kind == "copy":
            return f"{{Z'}}^{{{bare}}}" if self.latex else f"Z'[{bare}]"
        if symbol.kind != "Z":
            return bare
        return f"Z^{{{bare}}}" if self.latex else f"Z[{bare}]"

    def image(self, image: Image) -> str:
        """Return a hat or a dot part."""
        argument = self.bare(image.argument)
        if self.latex:
            turned = r"^\top" if image.transposed else ""
            weight = self.name(image.weight)
            weight = f"{{{weight}}}{turned}" if turned and "^" in weight else weight + turned
            return rf"\{image.part} Z^{{{weight} {argument}}}"
        turned = "'" if image.transposed else ""
        return f"Z{image.part}[{image.weight}{turned} {argument}]"

    def factor(self, factor: Factor) -> str:
        """Return a factor of a product."""
        match factor:
            case Symbol():
                return self.symbol(factor)
            case Image():
                return self.image(factor)
            case Applied(function=function, inside=inside):
                return self.applied(function, self.expression(inside))
            case Power(base=base, exponent=exponent):
                return self._power(base, exponent)
            case Mean(inside=inside):
                body = self.expression(inside)
                return rf"\mathbb{{E}}\left[{body}\right]" if self.latex else f"E[{body}]"
            case CopyMean(inside=inside):
                body = self.expression(inside)
                return rf"\mathbb{{E}}'\left[{body}\right]" if self.latex else f"E'[{body}]"
            case Slope(of=symbol, by=by):
                above, below = self.symbol(symbol), self.image(by)
                if self.latex:
                    return (
                        rf"\mathbb{{E}}\left[\frac{{\partial {above}}}{{\partial {below}}}\right]"
                    )
                return f"E[d {above} / d {below}]"
            case Entry():
                return self._entry(factor)

    def applied(self, function: Activation, argument: str) -> str:
        """Return a nonlinearity of a printed argument."""
        if isinstance(function, Written) and function.title.endswith("'"):
            name = function.title
            if self.latex:
                stem = name.rstrip("'")
                stem = f"\\{stem}" if stem in _KNOWN else rf"\operatorname{{{stem}}}"
                return rf"{stem}{_primes(name)}\left({argument}\right)"
            return f"{name}({argument})"
        if isinstance(function, Written) and function.title == "phi":
            body = function.latex("u") if self.latex else function.text("u")
            return (
                rf"\left.{body}\right|_{{u={argument}}}"
                if self.latex
                else (f"({function.text(f'({argument})' if ' ' in argument else argument)})")
            )
        return function.call_latex(argument) if self.latex else function.call(argument)

    def _power(self, base: Expression, exponent: Fraction) -> str:
        body = self.expression(base)
        single = len(base.terms) == 1 and not base.terms[0].bound
        single = single and base.terms[0].constant.is_one and len(base.terms[0].factors) == 1
        if exponent == -1 and single and self.latex:
            return rf"\frac{{1}}{{{body}}}"
        if exponent == -1 and single:
            return f"1/{body}"
        if not single or exponent != 1:
            body = rf"\left({body}\right)" if self.latex else f"({body})"
        if exponent == 1:
            return body
        if self.latex:
            return f"{body}^{{{exponent}}}"
        return (
            f"{body}^{exponent}"
            if exponent.denominator == 1 and exponent > 0
            else (f"{body}^({exponent})")
        )

    def _entry(self, entry: Entry) -> str:
        inside = ", ".join(self.expression(each) for each in entry.arguments)
        axes = ",".join(self.label(axis) for axis in entry.axes)
        if self.latex:
            name = (
                entry.name.replace("_", r"\_").replace("<", r"\langle ").replace(">", r"\rangle ")
            )
            head = rf"\operatorname{{{name}}}" if name else ""
            return rf"{head}\left({inside}\right)" + (f"_{{{axes}}}" if axes else "")
        return f"{entry.name}({inside})" + (f"_{axes}" if axes else "")

    # -- sums --------------------------------------------------------------------------------------

    def expression(self, x: Expression) -> str:
        """Return a sum of terms."""
        if x.is_zero:
            return "0"
        text = ""
        for number, term in enumerate(x.terms):
            negative = term.constant.sign < 0
            body = self._term(term, negative)
            if number:
                text += f" - {body}" if negative else f" + {body}"
            else:
                text = f"-{body}" if negative else body
        return text

    def _term(self, term: Term, negative: bool) -> str:
        constant = -term.constant if negative else term.constant
        plain = [f for f in term.factors if _is_number(f)]
        others = sorted((f for f in term.factors if not _is_number(f)), key=_rank)
        parts = [self.factor(f) for f in plain]
        for label in term.bound:
            below = label.bound or self.label(label)
            if self.latex:
                below = below.replace("<=", r"\le")
                parts.append(rf"\sum_{{{below}}}")
            else:
                parts.append(f"sum_{{{below}}}" if label.bound else f"sum_{below}")
        parts += [self.factor(f) for f in others]
        if not constant.is_one or not parts:
            alone = constant.latex() if self.latex else str(constant)
            head = constant.latex(as_factor=True) if self.latex else constant.factor_text()
            parts.insert(0, head if parts else alone)
        return " ".join(parts)


def _number(name: str) -> str:
    """Return the LaTeX of a number's name: digits and what follows ``_`` stand below."""
    found = re.fullmatch(r"([A-Za-z]+)(\d*)(?:_(\w+))?(?:\^\(?([^)]*)\)?)?", name)
    if found is None:
        return rf"\mathtt{{{name}}}"
    stem, digits, of_what, exponent = found.groups()
    below = ",".join(each for each in (digits, of_what) if each)
    text = _GREEK.get(stem, stem if len(stem) == 1 else rf"\mathrm{{{stem}}}")
    return text + (f"_{{{below}}}" if below else "") + (f"^{{{exponent}}}" if exponent else "")


def _primes(name: str) -> str:
    return "'" * (len(name) - len(name.rstrip("'")))


def _rank(factor: Factor) -> int:
    """Scalars and data come first, random variables next, expectations last."""
    return 2 if isinstance(factor, (Mean, Slope)) else int(is_random(factor))


def _is_number(factor: Factor) -> bool:
    match factor:
        case Symbol(kind=kind):
            return kind == "number"
        case Power(base=base):
            return all(_is_number(f) for t in base.terms for f in t.factors)
    return False
