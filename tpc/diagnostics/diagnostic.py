"""Diagnostics are values: what is wrong, where, why, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tpc.diagnostics.source import Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Label:
    """A place that takes part in a diagnostic, and the part it takes."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a program.

    ``headline`` says what is wrong, ``labels`` say where and why, and only ``help`` says how to
    mend it (several lines are allowed). A label whose span is ``span`` itself annotates the caret.
    ``span`` is None where no place in a program is to blame, as for a faulty option or data file.
    """

    code: str
    headline: str
    span: Span | None = None
    labels: tuple[Label, ...] = ()
    help: str | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        return f"{where}{self.severity}[{self.code}]: {self.headline}"


class TpcError(Exception):
    """The user's program, options or data are at fault: ``diagnostics`` say how."""

    def __init__(self, diagnostics: Iterable[Diagnostic] | Diagnostic) -> None:
        one = isinstance(diagnostics, Diagnostic)
        self.diagnostics: tuple[Diagnostic, ...] = (
            (diagnostics,) if one else tuple(diagnostics)  # type: ignore[assignment, arg-type]
        )
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from tpc.diagnostics.full import render_full

        return "\n" + "\n\n".join(render_full(each) for each in self.diagnostics)
