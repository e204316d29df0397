"""The commands that need no data: phase diagrams and what classify is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click


def rationals(pairs: Iterable[str], option: str) -> dict[str, Fraction]:
    """Read ``NAME=RATIONAL`` pairs."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{pair!r} is not NAME=RATIONAL", param_hint=option)
        try:
            found[name.strip()] = Fraction(value.strip())
        except (ValueError, ZeroDivisionError) as error:
            raise click.BadParameter(f"{value!r} is no rational", param_hint=option) from error
    return found


alignment_option = click.option(
    "--alignment",
    "alignment",
    multiple=True,
    metavar="WHO=RATIONAL",
    help="Assume less than full alignment of a weight, family or role with what it reads: "
    "readout=1/2. May be repeated.",
)


def assuming(program: Any, alignment: Sequence[str]) -> Any:
    """Return a program under the assumptions of ``--alignment``."""
    stated = rationals(alignment, "--alignment")
    return program.assuming(stated) if stated else program


def phase_command(
    program: Any,
    x: str | None,
    y: str | None,
    point: Sequence[str],
    through: str | None,
    alignment: Sequence[str],
    plot: Path | None,
    as_latex: bool,
) -> tuple[dict[str, Any], str]:
    """Do what ``tpc phase`` does; return its JSON object and its text."""
    values = rationals(point, "--at")
    if (x is None) != (y is None):
        raise click.UsageError("--x and --y go together")
    if x is None and (point or through or plot):
        raise click.UsageError("--at, --through and --plot need the axes of a slice: --x and --y")
    found = assuming(program, alignment).phase(x, y, at=values, through=through)
    if plot is not None:
        found.plot(plot)
    return found.to_json(), found.latex() if as_latex else found.text()
