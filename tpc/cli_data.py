"""What the commands that read data share, and simulate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])
_DATA_OPTIONS = (
    click.option(
        "--data",
        "files",
        multiple=True,
        metavar="[NAME=]FILE",
        help="An .npz or .npy file, a folder or .zip of PNG images, a text; may be repeated.",
    ),
    click.option(
        "--test",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.0,
        help="Make this share of the data test points.",
    ),
    click.option("--most", type=click.IntRange(1), help="Use at most so many training samples."),
    click.option("--data-seed", type=click.IntRange(0), default=0, help="Of --test and --most."),
    click.option(
        "--normalise",
        is_flag=True,
        help="Subtract the training mean from real inputs, and scale samples to mean square 1.",
    ),
    click.option(
        "--tokens",
        type=click.Choice(("characters", "words", "bytes")),
        default="characters",
        help="What a text is cut into.",
    ),
    click.option("--stride", type=click.IntRange(1), help="Tokens from one window to the next."),
)


def data_options(function: Command) -> Command:
    """Declare the options that say what data are read and how; they become ``reading``."""

    @wraps(function)
    def collected(
        *arguments: Any,
        test: float,
        most: int | None,
        data_seed: int,
        normalise: bool,
        tokens: str,
        stride: int | None,
        **rest: Any,
    ) -> Any:
        from tpc.data import Reading

        reading = Reading(test, most, data_seed, normalise, tokens, stride)
        return function(*arguments, reading=reading, **rest)

    decorated: Any = collected
    for option in reversed(_DATA_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def positive_integers(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[int, ...]:
    """Read a comma-separated list of positive integers."""
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list like 256,1024,4096") from error
    if any(number < 1 for number in numbers):
        raise click.BadParameter("widths are positive")
    return numbers


def seeds_of(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Read a number of seeds (``8``: 0 to 7) or a range (``8..15``)."""
    first, dots, last = value.partition("..")
    try:
        seeds = tuple(range(int(first), int(last) + 1)) if dots else tuple(range(int(first)))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number nor a range like 0..15") from error
    if not seeds:
        raise click.BadParameter("at least one seed is needed")
    return seeds


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr where it is a terminal; yield a function that takes what is done."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn

    bar = Progress(
        *Progress.get_default_columns()[:-1],
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def simulation_data(
    program: Any, files: Sequence[str], samples: int, reading: Any = None, loud: bool = True
) -> tuple[Any, Any]:
    """Return training and test arrays from files, or random ones of the program's shapes."""
    from tpc.data import load
    from tpc.study import random_data

    if not files:
        return random_data(program.module, samples), None
    loaded = load(program.module, files, reading)
    if loaded.unused and loud:
        names = ", ".join(loaded.unused)
        click.echo(f"note: the program has no input for {names}; not used", err=True)
    return loaded.train, loaded.test or None


def simulate_command(
    program: Any,
    files: Sequence[str],
    reading: Any,
    widths: tuple[int, ...],
    seeds: tuple[int, ...],
    steps: int,
    batch: int | None,
    samples: int,
    against: str | None,
    slopes: bool,
    plot: Path | None,
    output: Path | None,
) -> tuple[dict[str, Any], str]:
    """Do what ``tpc simulate`` does; return its JSON object and its text."""
    from tpc.report.study import study_text
    from tpc.study import study

    data, test = simulation_data(program, files, samples, reading)
    if slopes:
        if batch is not None or against is not None or output is not None:
            raise click.UsageError("--slopes goes with none of --batch, --against and --output")
        return slopes_command(program, data, test, widths, seeds, steps, plot)
    if against == "limit":
        return limit_command(program, data, test, widths, seeds, steps, batch, plot, output)
    limit = None
    if against is not None:
        kernel = program.kernel_limit(against)
        points = test or data
        limit = kernel.evaluate({name: points[name] for name in kernel.inputs})
    with progress_bar("simulate", len(widths) * len(seeds) * max(steps, 1)) as show:

        def progress(number: int, done: int) -> None:
            show(number * len(seeds) * steps + done)

        found = study(
            program.module,
            data,
            widths=widths,
            seeds=seeds,
            steps=steps,
            test=test,
            batch=batch,
            limit=limit,
            against=against,
            progress=progress,
        )
    if plot is not None:
        from tpc.report.study import study_plot

        study_plot(found, plot, program.source.name)
    if output is not None:
        _save(found, output)
    return found.to_json(), study_text(found)


def limit_command(
    program: Any,
    data: Any,
    test: Any,
    widths: tuple[int, ...],
    seeds: tuple[int, ...],
    steps: int,
    batch: int | None,
    plot: Path | None,
    output: Path | None,
) -> tuple[dict[str, Any], str]:
    """Do what ``tpc simulate --against limit`` does; return its JSON object and its text."""
    from tpc.convergence import convergence
    from tpc.data import drawn_batches
    from tpc.report.convergence import convergence_text

    if not steps:
        raise click.UsageError("--against limit compares training runs: give --steps")
    with progress_bar("simulate", len(widths) * len(seeds) * steps) as show:
        found = convergence(
            program.limit(),
            data,
            widths=widths,
            seeds=seeds,
            steps=steps,
            test=test,
            batches=drawn_batches(data, batch, steps),
            progress=show,
        )
    if plot is not None:
        from tpc.report.convergence import convergence_plot

        convergence_plot(found, plot, program.source.name)
    if output is not None:
        _save(found, output)
    return found.to_json(), convergence_text(found)


def slopes_command(
    program: Any,
    data: Any,
    test: Any,
    widths: tuple[int, ...],
    seeds: tuple[int, ...],
    steps: int,
    plot: Path | None,
) -> tuple[dict[str, Any], str]:
    """Do what ``tpc simulate --slopes`` does; return its JSON object and its text.

    Slopes need more widths and seeds than a look at a few networks: their defaults are others.
    """
    from tpc.slopes import SEEDS, WIDTHS, slopes

    widths = widths if given("widths") else WIDTHS
    seeds = seeds if given("seeds") else tuple(range(SEEDS))
    predicted = program.classify()
    with progress_bar("slopes", len(widths) * len(seeds)) as show:
        found = slopes(
            program.module,
            predicted,
            data,
            test=test,
            widths=widths,
            seeds=seeds,
            steps=steps or None,
            progress=show,
        )
    if plot is not None:
        from tpc.report.slopes import slopes_plot

        slopes_plot(found, plot, program.source.name)
    return found.to_json(), found.text()


def given(option: str) -> bool:
    """Whether the user gave an option."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not ParameterSource.DEFAULT


def _save(found: Any, output: Path) -> None:
    from tpc.storage import write_arrays

    arrays = {}
    for simulation in found.simulations:
        arrays[f"f_{simulation.width}"] = simulation.f
        arrays[f"loss_{simulation.width}"] = simulation.loss
    write_arrays(output, arrays)
