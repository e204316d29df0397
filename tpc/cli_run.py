"""The command that evaluates limits on data: run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tpc.cli_data import DATA_HELP, given, progress_bar
from tpc.diagnostics import Diagnostic, TpcError

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--data", "files", multiple=True, metavar="FILE", help=DATA_HELP),
    click.option(
        "--kind", type=click.Choice(("nngp", "ntk", "feature")), help="Default: what classify says."
    ),
    click.option("--ridge", type=click.FloatRange(0), default=0.0, show_default=True),
    click.option(
        "--time",
        type=click.FloatRange(0),
        default=float("inf"),
        show_default=True,
        help="Training time of gradient flow under the NTK.",
    ),
    click.option(
        "--tolerance",
        type=click.FloatRange(0, min_open=True),
        help="Error of a kernel's expectations (1e-10), or standard error of f (0.0025).",
    ),
    click.option(
        "--steps", type=click.IntRange(0), default=0, help="Training steps of the optimizer."
    ),
    click.option("--batch", type=click.IntRange(1), help="Minibatches of this size."),
    click.option("--seed", type=int, default=0, help="Of batches, particles and draws."),
    click.option(
        "--start",
        type=click.Choice(("draw", "mean")),
        default="draw",
        help="f before training under the NTK: one draw, or the mean over initialisations.",
    ),
    click.option("--record", multiple=True, help="Keep this value's kernel (feature limit)."),
    click.option("--output", type=click.Path(path_type=Path), help="Save the arrays as .npz."),
)


def run_options(function: Command) -> Command:
    """Declare the options of ``tpc run``, in the order in which its help shows them."""
    decorated: Any = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def run_command(
    program: Any,
    files: Sequence[str],
    kind: str | None,
    ridge: float,
    time: float,
    tolerance: float | None,
    steps: int,
    batch: int | None,
    seed: int,
    start: str,
    record: tuple[str, ...],
    output: Path | None,
) -> tuple[dict[str, Any], str]:
    """Do what ``tpc run`` does; return its JSON object and its text."""
    from tpc.data import load
    from tpc.evaluate import evaluate

    if not files:
        raise TpcError(
            Diagnostic("E0910", "`tpc run` needs data", help="--data arrays.npz, or --data x=x.npy")
        )
    loaded = load(program.module, files)
    found: Any
    if steps or kind == "feature":
        if given("ridge") or given("time"):
            raise click.UsageError("--steps trains step by step: no --ridge and no --time")
        request = {"steps": steps, "batch": batch, "tolerance": tolerance, "seed": seed}
        found = _train(program.limit(kind), loaded, output, request, start, record)
    else:
        found = evaluate(
            program.module,
            program.kernel_limit(kind),
            loaded,
            ridge=ridge,
            time=time,
            tolerance=1e-10 if tolerance is None else tolerance,
        )
    if output is not None:
        from tpc.storage import write_arrays

        write_arrays(output, found.arrays)
    return found.to_json(), found.text()


def _train(
    limit: Any,
    data: Any,
    output: Path | None,
    request: dict[str, Any],
    start: Any,
    record: tuple[str, ...],
) -> Any:
    """Train in the limit; a feature run keeps its state beside the output until it is complete."""
    from tpc.evaluate import train
    from tpc.feature import FeatureLimit

    features = isinstance(limit, FeatureLimit)
    if record and not features:
        raise click.UsageError("--record is for the feature-learning limit")
    if given("start") and features:
        raise click.UsageError("--start is for training in the kernel regime")
    state = None
    if features and output is not None and (output.is_file() or not output.exists()):
        state = output.with_name(f"{output.name}.part")
        if state.exists():
            click.echo(f"note: continuing the run whose state is in {state}", err=True)
    with progress_bar("train", 1000) as show:
        return train(
            limit,
            data,
            **request,
            start=start,
            record=record,
            checkpoint=state,
            progress=lambda done, total: show(1000 * done // total),
        )
