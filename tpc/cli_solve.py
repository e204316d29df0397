"""The command that solves for the maximal update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpc.cli_scaling import assuming
from tpc.diagnostics import TpcError

if TYPE_CHECKING:
    from tpc.api import Program
    from tpc.diagnostics import Diagnostic

GAUGES = ("table8", "table3", "table9", "unit", "equal")
EXPORTS = ("json", "torch", "optax")


def compiled_for_solving(
    compile_: Callable[[Sequence[str]], Program], settings: Sequence[str]
) -> Program:
    """Compile a program; one that says nothing of how weights scale is what is solved best.

    Raises:
        TpcError: the program has other errors.
    """
    try:
        return compile_(settings)
    except TpcError as error:
        if {found.code for found in error.diagnostics} != {"E0409"}:
            raise
    return compile_([*settings, "parametrization=mup"])


def solve_command(
    program: Program,
    report: Callable[[Sequence[Diagnostic]], None],
    *,
    gauge: str,
    everything: bool | None,
    rates_only: bool,
    export: str | None,
    base_width: int | None,
    output: Path | None,
    alignment: Sequence[str] = (),
) -> tuple[Any, str]:
    """Return what ``tpc solve`` prints, as JSON-ready data and as text; ``report`` gets warnings.

    Raises:
        TpcError: the program has no such parametrization.
        click.UsageError: options exclude each other.
    """
    from tpc.storage import write_text

    if rates_only and export is not None:
        raise click.UsageError("--export writes whole parametrizations: leave out --rates-only")
    # that mup has an obstacle is said by the solver itself, and does not matter to rates
    report([note for note in program.notes if note.code != "E0940"])
    program = assuming(program, alignment)
    if rates_only:
        return _assumed(program, *_rates(program))
    solved = program.solve(gauge, everything=everything)
    report(solved.solved.warnings)
    if export is None:
        return _assumed(program, solved.to_json(base_width), solved.table(base_width))
    text = solved.export(export, base_width or 256)
    if output is None:
        return {"schema": 1, "text": text}, text
    write_text(output, text)
    return {"schema": 1, "files": [str(output)]}, f"wrote {output}"


def _assumed(program: Program, data: dict[str, Any], text: str) -> tuple[dict[str, Any], str]:
    """Return an answer with the alignment that was assumed for it, where it is less than full."""
    from tpc.ir.alignment import alignment_json, alignment_text

    given = program.module.alignment
    if not given:
        return data, text
    return data | {"alignment": alignment_json(given)}, f"{text}\n\n{alignment_text(given)}"


def _rates(program: Program) -> tuple[dict[str, Any], str]:
    from tpc.report.solved import rates_text

    found = program.largest_rates()
    return {"schema": 1, "c": {k: str(v) for k, v in found.items()}}, rates_text(found)
