"""The command line: arguments to the API, results to stdout, diagnostics to stderr, an exit code.

Exit codes: 0 ok, 1 the program or its data have errors, 2 usage, 3 an expectation failed,
70 internal error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from tpc.cli_data import data_options, positive_integers, seeds_of, simulate_command
from tpc.cli_run import run_command, run_options
from tpc.cli_scaling import alignment_option, assuming, phase_command
from tpc.cli_solve import EXPORTS, GAUGES, compiled_for_solving, solve_command
from tpc.diagnostics import FORMATS, Diagnostic, TpcError, render
from tpc.version import __version__

EXIT_ERRORS, EXIT_EXPECTATION, EXIT_INTERNAL = 1, 3, 70
Command = TypeVar("Command", bound=Callable[..., Any])

KINDS = ("unstable", "degenerate", "trivial", "kernel", "feature")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tpc")
def cli() -> None:
    """Say what a wide network becomes as its width goes to infinity."""


def program_command(name: str) -> Callable[[Command], Command]:
    """Declare a command on a program file, with the options that all of them share."""

    def wrap(function: Command) -> Command:
        decorated: Any = function
        for decorator in (
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
            click.option(
                "--format",
                "form",
                type=click.Choice(FORMATS),
                default="full",
                show_default=True,
                help="How diagnostics are printed.",
            ),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="NAME=VALUE",
                help="Change a size, real, activation, exponent or the parametrization.",
            ),
            click.argument("file", type=click.Path(path_type=Path)),
        ):
            decorated = decorator(decorated)
        command: Any = cli.command(name)(decorated)
        return command  # type: ignore[no-any-return]

    return wrap


def _compile(file: Path, settings: Sequence[str]) -> Any:
    from tpc.api import compile

    changes = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        changes[name.strip()] = value.strip()
    return compile(file, changes=changes)


def _print(result: Any, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        click.echo(text, nl=not text.endswith("\n"))


@program_command("check")
@click.option("--emit", "stage", help="Print a stage of the compiler instead (see `tpc stages`).")
def check(file: Path, settings: Sequence[str], form: str, as_json: bool, stage: str | None) -> None:
    """Parse and type a program."""
    program = _compile(file, settings)
    _report_notes(program.elaborated.notes, form)
    if stage is not None:
        click.echo(_emit(program, stage), nl=False)
        return
    _print(program.summary(), program.summary_text(), as_json)


def _emit(program: Any, stage: str) -> str:
    from tpc.pipeline import STAGES

    names = [each.name for each in STAGES]
    if stage not in names:
        raise click.BadParameter(f"{stage!r} is none of {', '.join(names)}", param_hint="--emit")
    text: str = program.emit(stage)
    return text


@cli.command("stages")
def stages() -> None:
    """List the stages that --emit prints."""
    from tpc.pipeline import STAGES

    for stage in STAGES:
        click.echo(f"{stage.name:10} {stage.summary}")


@program_command("classify")
@click.option("--at", "point", multiple=True, metavar="NAME=RATIONAL", help="Value of an exponent.")
@click.option("--expect", type=click.Choice(KINDS), help="Exit with 3 unless this is the class.")
@alignment_option
@click.option("--why", is_flag=True, help="Print the chain of reasons behind every size.")
def classify(
    file: Path,
    settings: Sequence[str],
    form: str,
    as_json: bool,
    point: Sequence[str],
    expect: str | None,
    alignment: Sequence[str],
    why: bool,
) -> None:
    """Say what training does in the limit: unstable, degenerate, trivial, kernel or feature."""
    program = assuming(_compile(file, [*settings, *point]), alignment)
    _report_notes(program.notes, form)
    if program.exponents:
        if expect is not None:
            raise click.UsageError(
                f"--expect needs values for the exponents {', '.join(program.exponents)}: --at"
            )
        region = program.region()
        _print(region.to_json(), region.text(), as_json)
        return
    found = program.classify()
    _print(found.to_json(), found.text(why=why), as_json)
    if expect is not None and found.kind != expect:
        click.echo(f"tpc: expected {expect}, the program is {found.kind.value}", err=True)
        sys.exit(EXIT_EXPECTATION)


@program_command("phase")
@click.option("--x", "x", metavar="NAME", help="The exponent (or `a + b`) drawn to the right.")
@click.option("--y", "y", metavar="NAME", help="The exponent (or `a + b`) drawn upwards.")
@click.option("--at", "point", multiple=True, metavar="NAME=RATIONAL", help="Value of an exponent.")
@click.option(
    "--through",
    type=click.Choice(("standard", "ntk", "mean_field", "mup")),
    help="Where the other exponents come from.  [default: mup]",
)
@alignment_option
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the slice to a file.")
@click.option("--latex", "as_latex", is_flag=True, help="Print the region as LaTeX.")
def phase(file: Path, settings: Sequence[str], form: str, as_json: bool, **request: Any) -> None:
    """Say where among its exponents a program is stable, and what it does there."""
    program = _compile(file, settings)
    _report_notes(program.notes, form)
    _print(*phase_command(program, **request), as_json)


@program_command("solve")
@click.option("--gauge", type=click.Choice(GAUGES), default="table8", show_default=True)
@click.option(
    "--everything/--keep",
    default=None,
    help="Solve for what the program states, too. Default: where it leaves nothing out.",
)
@click.option("--rates-only", is_flag=True, help="Keep a and b; the largest stable rates.")
@click.option("--export", type=click.Choice(EXPORTS), help="Text to paste.")
@click.option("--base-width", type=click.IntRange(1), help="Write functions of n over this width.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File of the export.")
@alignment_option
def solve(file: Path, settings: Sequence[str], form: str, as_json: bool, **request: Any) -> None:
    """Solve for the maximal-update parametrization under the program's optimizer."""
    program = compiled_for_solving(partial(_compile, file), settings)
    report = partial(_report_notes, form=form)
    _print(*solve_command(program, report, **request), as_json)


@program_command("derive")
@click.option(
    "--kind", type=click.Choice(("nngp", "ntk", "feature")), help="Default: what classify says."
)
@click.option("--to", "target", type=click.Choice(("text", "latex", "markdown")), default="text")
def derive(
    file: Path, settings: Sequence[str], form: str, as_json: bool, kind: str | None, target: str
) -> None:
    """Print the limit as equations."""
    program = _compile(file, settings)
    _report_notes(program.notes, form)
    limit = program.limit(kind)
    text = {"text": limit.text, "latex": limit.latex, "markdown": limit.markdown}[target]()
    _print(limit.to_json(), text, as_json)


@program_command("compile")
@click.option("--kind", type=click.Choice(("nngp", "ntk")), help="Default: what classify says.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--tolerance", type=float, default=1e-10, show_default=True)
def compile_command(
    file: Path,
    settings: Sequence[str],
    form: str,
    as_json: bool,
    kind: str | None,
    output: Path,
    tolerance: float,
) -> None:
    """Write a stand-alone Python module of Numba kernels that evaluates the limit."""
    program = _compile(file, settings)
    _report_notes(program.notes, form)
    written = program.kernel_limit(kind).write(output, tolerance=tolerance)
    _print({"schema": 1, "files": [str(path) for path in written]}, f"wrote {written[0]}", as_json)


@program_command("simulate")
@data_options
@click.option("--widths", callback=positive_integers, default="64,256,1024", show_default=True)
@click.option("--seeds", callback=seeds_of, default="4", show_default=True, help="4, or 0..3.")
@click.option("--steps", type=click.IntRange(0), default=0, show_default=True)
@click.option("--batch", type=click.IntRange(1), help="Minibatches of this size.")
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="How many random samples to make where no data are given.",
)
@click.option(
    "--against",
    type=click.Choice(("nngp", "ntk", "limit")),
    help="Measure distances to a kernel at initialisation, or of training to its limit.",
)
@click.option(
    "--slopes",
    is_flag=True,
    help="Measure the exponents that classify predicts, of every named value (coordinate check); "
    "by default at widths 64,128,256,512,1024 with 6 seeds.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw sizes and losses to a file.")
@click.option("--output", type=click.Path(path_type=Path), help="Save f and losses as .npz.")
def simulate(file: Path, settings: Sequence[str], form: str, as_json: bool, **request: Any) -> None:
    """Run the same program at finite widths."""
    program = _compile(file, settings)
    _report_notes(program.notes, form)
    _print(*simulate_command(program, **request), as_json)


@program_command("run")
@run_options
def run(file: Path, settings: Sequence[str], form: str, as_json: bool, **request: Any) -> None:
    """Evaluate the limit on data: Gram matrices and, with targets, predictions."""
    program = _compile(file, settings)
    _report_notes(program.notes, form)
    _print(*run_command(program, **request), as_json)


@cli.command("fmt")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit 1 if a file changes."
)
def fmt(files: Sequence[Path], only_check: bool) -> None:
    """Put programs into their canonical layout."""
    from tpc.api import read_source
    from tpc.storage import write_text
    from tpc.syntax import format_program

    changed = 0
    for file in files:
        source = read_source(file)
        text = format_program(source)
        if text == source.text:
            continue
        changed += 1
        click.echo(f"{'would reformat' if only_check else 'reformatted'} {file}")
        if not only_check:
            write_text(file, text)
    if only_check and changed:
        sys.exit(EXIT_ERRORS)


@cli.command("explain")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain a diagnostic's code at length, or list all codes."""
    from tpc.diagnostics import all_codes
    from tpc.diagnostics import explain as long_text

    if code is None:
        for each in all_codes().values():
            click.echo(f"{each.code}  {each.title}")
        return
    text = long_text(code)
    if text is None:
        raise click.BadParameter(f"{code!r} is not a code of tpc", param_hint="CODE")
    click.echo(text)


def _report_notes(notes: Sequence[Diagnostic], form: str) -> None:
    if notes:
        click.echo(render(notes, form, colour=sys.stderr.isatty()), err=True, nl=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        cli.main(args=arguments, prog_name="tpc", standalone_mode=False)
    except TpcError as error:
        form = _requested_format(arguments)
        click.echo(render(error.diagnostics, form, colour=sys.stderr.isatty()), err=True, nl=False)
        sys.exit(EXIT_ERRORS)
    except click.exceptions.Abort as stop:
        kept = f": {stop.__cause__}" if str(stop.__cause__ or "") else ""
        click.echo(f"tpc: interrupted{kept}", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing is left to say
        sys.exit(0)
    except Exception as error:
        _internal(error)


def _requested_format(arguments: Sequence[str]) -> str:
    for position, argument in enumerate(arguments):
        value = argument.removeprefix("--format=")
        if argument == "--format" and position + 1 < len(arguments):
            value = arguments[position + 1]
        if argument.startswith("--format") and value in FORMATS:
            return value
    return "json" if "--json" in arguments else "full"


def _internal(error: Exception) -> None:
    import traceback

    traceback.print_exc()
    click.echo(
        f"\ntpc: internal error ({type(error).__name__}): this is a bug in tpc {__version__}, "
        "not in your program. Please report it with the program and the lines above.",
        err=True,
    )
    sys.exit(EXIT_INTERNAL)


if __name__ == "__main__":
    main()
