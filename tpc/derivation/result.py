"""The recursion as a value that prints itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.derivation.deriving import FIRST, GENERAL, SECOND, START, Equation, Recursion
from tpc.derivation.symbols import Image, Symbol
from tpc.derivation.writing import Writer
from tpc.diagnostics import Diagnostic, TpcError
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.ir.module import Module

_TITLES = {
    START: "At initialisation, independent for all indices",
    FIRST: "Step 0",
    SECOND: "Step 1",
    GENERAL: "Step t",
    "coefficients": "Coefficients: every Z is a combination of initial ones",
}
RULES = {
    "Nonlin": "Z^{psi(x, ...)} = psi(Z^x, ...), entry by entry",
    "MatMul": "Z^{Wx} = Zhat^{Wx} + Zdot^{Wx} of an initial matrix W",
    "Zhat": "Gaussian, mean zero; hats of different matrices, and of W and W', are independent",
    "Zdot": "what x owes to earlier products y with the transpose: "
    "sigma^2 Z^y E[d Z^x / d Zhat^{W'y}], scalars held constant",
    "Moment": "(1/n) sum over coordinates tends to an expectation; "
    "an update u v' on x gives Z^u E[Z^v Z^x]",
    "SGD update": "gradient descent on a weight",
    "gradient": "the derivative of the loss, as the optimizer gets it, at its own power of n",
    "entries": "nonlinear outer products (Yang and Littwin 2023): entries of an update are "
    "functions of two coordinates; on x they act by E', over an independent copy Z' of one",
    "optimizer": "the optimizer's own variables; what is before the first step is zero, and so are "
    "coefficients of a gradient before its step",
    "clip": "what gradients are multiplied by, so that their common norm stays within a bound",
    "optimizer step": "a step of a weight; a matrix W is a(t) W(0) + sum_s c_s(t) g_s + D(t)",
}


@dataclass(frozen=True)
class Line:
    """An equation in text and in LaTeX; ``rule`` names the theorem behind it."""

    section: str
    name: str
    text: str
    left_latex: str
    latex: str
    rule: str


@dataclass(frozen=True)
class Derivation:
    """The recursion of a program's feature-learning limit."""

    recursion: Recursion

    @property
    def module(self) -> Module:
        """The program."""
        return self.recursion.module

    @cached_property
    def equations(self) -> tuple[Line, ...]:
        """The equations: initial values, steps 0 and 1, and any step t."""
        from tpc.derivation.linear import coefficients

        found = [*self.recursion.equations, *coefficients(self.recursion)]
        return tuple(_line(each) for each in found)

    @property
    def title(self) -> str:
        """What is derived, and of which program."""
        return f"Feature-learning limit of {self.module.source.name}"

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the symbols mean."""
        notes = list(self.recursion.meanings())
        rates = {self.recursion.eta(n).name: rate for n, rate in self.recursion.rates.items()}
        for each in self.recursion.stepping.values():
            rates |= each.numbers()
        notes += [f"{name} = {rate}" for name, rate in rates.items()]
        notes.append("i is any sample, j runs over the B samples of a batch, s over steps")
        return tuple(notes)

    @property
    def rules(self) -> dict[str, str]:
        """The theorems that are used (TP3, TP4), in words."""
        used = {part for line in self.equations for part in line.rule.split(", ")}
        return {name: what for name, what in RULES.items() if name in used}

    def sections(self) -> Iterator[tuple[str, list[Line]]]:
        """Yield titles and equations."""
        for key, title in _TITLES.items():
            lines = [line for line in self.equations if line.section == key]
            if lines:
                yield title, lines

    def text(self) -> str:
        """Return title, equations with their rules, and notes."""
        lines = [self.title, ""]
        lines += [f"  {note}" for note in self.notes]
        for title, found in self.sections():
            lines += ["", title]
            for line in found:
                relation = "~" if line.rule == "independent" else "="
                body = f"  {line.name} {relation} {line.text}"
                lines.append(f"{body:<72}  [{line.rule}]")
        lines += ["", "Rules"]
        lines += [f"  {name}: {what}" for name, what in self.rules.items()]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Return the equations as a LaTeX ``aligned`` block, without delimiters."""
        rows = []
        for title, found in self.sections():
            rows.append(rf"& \textbf{{{title}}}")
            rows += [_row(line) for line in found]
        body = " \\\\\n".join(rows)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    def markdown(self) -> str:
        """Return title, notes and equations (LaTeX) as Markdown."""
        parts = [f"### {self.title}", "\n".join(f"* `{note}`" for note in self.notes)]
        for title, found in self.sections():
            body = " \\\\\n".join(_row(line) for line in found)
            parts.append(f"**{title}**")
            parts.append(f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$")
        parts.append("\n".join(f"* {name}: `{what}`" for name, what in self.rules.items()))
        return "\n\n".join(parts) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc derive --json`` prints."""
        return {
            "schema": 1,
            "kind": "feature",
            "equations": [
                {
                    "section": line.section,
                    "name": line.name,
                    "text": line.text,
                    "latex": f"{line.left_latex} = {line.latex}",
                    "rule": line.rule,
                }
                for line in self.equations
            ],
            "rules": self.rules,
            "notes": list(self.notes),
        }

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def __repr__(self) -> str:
        return f"<Derivation: {len(self.equations)} equations>"


def _row(line: Line) -> str:
    relation = r"\sim" if line.rule == "independent" else "="
    return rf"{line.left_latex} &{relation} {line.latex} && \text{{({line.rule})}}"


def _line(equation: Equation) -> Line:
    found = []
    for latex in (False, True):
        writer = Writer(latex)
        found.append((_left(equation, writer), writer.expression(equation.right)))
    (name, text), (left, right) = found
    return Line(equation.section, name, text, left, right, equation.rule)


def _left(equation: Equation, writer: Writer) -> str:
    match equation.left:
        case Symbol():
            return writer.symbol(equation.left)
        case Image():
            return writer.image(equation.left)
        case (one, other):
            inside = f"{writer.image(one)}, {writer.image(other)}"
            if writer.latex:
                return rf"\operatorname{{Cov}}\left({inside}\right)"
            return f"Cov({inside})"


def derivation(module: Module) -> Derivation:
    """Return the equations of a program's feature-learning limit.

    Raises:
        TpcError: the program has no such limit, or an op or an optimizer has no rule.
    """
    if module.loss is None:
        raise TpcError(Diagnostic("E0927", "this program has no train: block, so no steps"))
    try:
        return Derivation(Recursion(module))
    except MissingRule as missing:
        raise TpcError(
            Diagnostic(
                "E0952",
                f"`{missing.node.op.name}` has no rule for the equations of feature learning here"
                + (f": {missing.detail}" if missing.detail else ""),
                module.spans.get(missing.node),
                help="class and finite widths do not need it: tpc classify, tpc simulate",
            )
        ) from missing
