"""Programs with solved exponents, and what is written from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tpc.api import Program
from tpc.diagnostics import Diagnostic
from tpc.scaling.solved import Solved, solve

if TYPE_CHECKING:
    from tpc.elaborate import Override

#: What :meth:`SolvedProgram.export` writes.
EXPORTS = ("json", "torch", "optax")


@dataclass(frozen=True, repr=False)
class SolvedProgram(Program):
    """A program at its point of maximal update; ``solved`` tells the exponents of every weight."""

    solved: Solved
    everything: bool | None = None

    @property
    def gauge(self) -> str:
        """The gauge that the exponents are in."""
        return self.solved.gauge

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """Warnings and notes of the compiler and of the solver."""
        return (*self.module.notes, *self.solved.warnings)

    def with_(self, **changes: Override) -> SolvedProgram:
        """Return the program with changes, solved anew in the same gauge.

        Raises:
            TpcError: a name is unknown, or the changed program has errors.
        """
        return solve_program(super().with_(**changes), self.gauge, self.everything)

    def table(self, base_width: int | None = None) -> str:
        """Return multiplier, initial deviation, learning rate, decay and epsilon of every weight.

        They are functions of the width n or, with ``base_width``, of its ratio to that.
        """
        from tpc.report.solved import solved_text

        return solved_text(self.solved, base_width)

    def to_json(self, base_width: int | None = None) -> dict[str, Any]:
        """Return the parametrization as JSON-ready data; rationals are strings (docs/json.md)."""
        from tpc.report.solved import solved_json

        return solved_json(self.solved, base_width)

    def export(self, target: str, base_width: int = 256) -> str:
        """Return the parametrization as text to paste: ``json``, ``torch`` or ``optax``.

        Raises:
            KeyError: there is no such target.
        """
        import json

        from tpc.export import write

        if target == "json":
            return json.dumps(self.to_json(base_width), indent=2, ensure_ascii=False) + "\n"
        return write(target, self.solved, base_width)


def solve_program(program: Program, gauge: str, everything: bool | None) -> SolvedProgram:
    """Return a program with the exponents of maximal update: see :meth:`Program.solve`."""
    asked = replace(program.compilation.elaborated, alignment=program.module.alignment)
    hint = program.module if asked.parametrization == "mup" and not asked.exponents else None
    solved = solve(asked, gauge, everything=everything, hint=hint)
    compilation = replace(program.compilation)
    compilation.__dict__.update(program.compilation.__dict__)
    compilation.__dict__.pop("classification", None)
    compilation.__dict__["module"] = solved.module
    if solved.classification is not None:
        compilation.__dict__["classification"] = solved.classification
    return SolvedProgram(compilation, solved, everything)
