"""Kernels from the command line: options of ``tpc run`` for large ones, and writing them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpc.cli_data import given, progress_bar

if TYPE_CHECKING:
    from tpc.limit.bands import Plan

_UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
KERNEL = ("resume", "diagonal", "dtype", "memory")


def _bytes_of(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an amount of memory like ``500MB``."""
    if value is None:
        return None
    number = value.strip().rstrip("BbKkMmGgTt ")
    unit = value.strip()[len(number) :].strip().upper()
    try:
        count = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        count = 0
    if count <= 0:
        raise click.BadParameter(f"{value!r} is not an amount like 500MB or 2GB")
    return count


KERNEL_OPTIONS = (
    click.option(
        "--resume", is_flag=True, help="Take up a kernel (.npy) that a killed run has left."
    ),
    click.option("--diagonal", is_flag=True, help="Only of samples with themselves (.npy)."),
    click.option(
        "--dtype",
        type=click.Choice(("float64", "float32")),
        default="float64",
        show_default=True,
        help="Numbers of a kernel's file (.npy).",
    ),
    click.option(
        "--memory",
        callback=_bytes_of,
        metavar="SIZE",
        help="Bound buffers, like 500MB.  [default: a quarter of what is free]",
    ),
)


def wants_file(output: Path | None) -> bool:
    """Whether kernels go to an .npy file, band by band.

    Raises:
        UsageError: options of such files are given without one.
    """
    if output is not None and output.suffix == ".npy":
        return True
    refused = ", ".join(f"--{name}" for name in KERNEL if given(name))
    if refused:
        raise click.UsageError(f"{refused}: for kernels in a file, --output NAME.npy")
    return False


def kernel_command(
    limit: Any, data: Any, output: Path, tolerance: float, request: dict[str, Any]
) -> Any:
    """Write kernels band by band; the plan of a long run and its progress go to stderr."""
    from tpc.evaluate import write_kernels
    from tpc.limit.bands import LONG

    def plan(found: Plan) -> None:
        if found.done:
            click.echo(f"note: {found.done} of {found.bands} bands are done", err=True)
        if found.seconds >= LONG:
            click.echo(found.text(), err=True)

    try:
        with progress_bar("kernel", 1000) as show:
            return write_kernels(
                limit.module,
                limit,
                data,
                output,
                tolerance=tolerance,
                plan=plan,
                progress=lambda done, total: show(1000 * done // total),
                **{name: request[name] for name in KERNEL},
            )
    except KeyboardInterrupt:
        part = output.with_name(f"{output.name}.part")
        if part.exists():
            click.echo(f"note: {part} is kept; --resume takes it up", err=True)
        raise
