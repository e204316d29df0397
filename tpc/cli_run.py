"""The command that evaluates limits on data: run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from tpc.cli_data import data_options, given, progress_bar
from tpc.cli_kernel import KERNEL, KERNEL_OPTIONS, kernel_command, wants_file
from tpc.diagnostics import Diagnostic, TpcError

Command = TypeVar("Command", bound=Callable[..., Any])


def _ridge_of(
    context: click.Context, parameter: click.Parameter, value: str
) -> float | Literal["mll", "loo"]:
    """Read a ridge: a number, or how to choose it."""
    if value == "mll":
        return "mll"
    if value == "loo":
        return "loo"
    try:
        ridge = float(value)
    except ValueError:
        ridge = -1.0
    if not 0 <= ridge < math.inf:
        raise click.BadParameter(f"{value!r} is none of: a number from 0 on, mll, loo")
    return ridge


def _times_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """Read a comma-separated list of times."""
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list like 0,1,10") from error


_OPTIONS = (
    click.option(
        "--kind", type=click.Choice(("nngp", "ntk", "feature")), help="Default: what classify says."
    ),
    click.option(
        "--ridge",
        callback=_ridge_of,
        default="0",
        show_default=True,
        metavar="NUMBER|mll|loo",
        help="Noise of the targets; or chosen by marginal likelihood or leave-one-out error.",
    ),
    click.option(
        "--covariance",
        is_flag=True,
        help="Of predictions: deviations, covariances, and probabilities of classes.",
    ),
    click.option("--centre", is_flag=True, help="Predict targets less their training mean."),
    click.option(
        "--solver",
        type=click.Choice(("auto", "cholesky", "cg")),
        default="auto",
        show_default=True,
        help="Conjugate gradients where a factorisation does not fit into memory.",
    ),
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
    click.option(
        "--flow",
        callback=_times_of,
        metavar="TIMES",
        help="Gradient flow on the program's own loss, at times like 0,1,10 (lr times steps).",
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
    click.option(
        "--output",
        type=click.Path(path_type=Path),
        help="Save the arrays as .npz; to an .npy file, kernels only, band by band.",
    ),
    *KERNEL_OPTIONS,
)


def run_options(function: Command) -> Command:
    """Declare the options of ``tpc run``, in the order in which its help shows them."""
    decorated: Any = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return data_options(decorated)  # type: ignore[no-any-return]


_PREDICTING = ("ridge", "time", "covariance", "centre", "solver")


def run_command(
    program: Any,
    files: Sequence[str],
    reading: Any,
    kind: str | None,
    steps: int,
    flow: tuple[float, ...] | None,
    output: Path | None,
    **request: Any,
) -> tuple[dict[str, Any], str]:
    """Do what ``tpc run`` does; return its JSON object and its text."""
    from tpc.data import load

    if not files:
        raise TpcError(
            Diagnostic("E0910", "`tpc run` needs data", help="--data arrays.npz, or --data x=x.npy")
        )
    if (steps or kind == "feature" or flow is not None) and any(map(given, _PREDICTING)):
        refused = ", ".join(f"--{name}" for name in _PREDICTING if given(name))
        raise click.UsageError(f"training by --steps or --flow makes no use of {refused}")
    if flow is not None and (steps or kind == "feature"):
        raise click.UsageError("--flow has no steps, and is for the kernel regime")
    kernel = {name: request.pop(name) for name in KERNEL}
    alone = wants_file(output)
    loaded = load(program.module, files, reading)
    found: Any
    if alone and output is not None:
        if steps or kind == "feature" or flow is not None or any(map(given, _PREDICTING)):
            raise click.UsageError("an .npy file holds a kernel: for other arrays, NAME.npz")
        tolerance = request["tolerance"] or 1e-10
        found = kernel_command(program.kernel_limit(kind), loaded, output, tolerance, kernel)
        return found.to_json(), found.text()
    if steps or kind == "feature":
        found = _train(program.limit(kind), loaded, output, {"steps": steps, **request})
    elif flow is not None:
        found = _flow(program.kernel_limit(kind or "ntk"), loaded, flow, request)
    else:
        found = _evaluate(program, kind, loaded, request)
    if output is not None:
        from tpc.storage import write_arrays

        write_arrays(output, found.arrays)
    return found.to_json(), found.text()


def _evaluate(program: Any, kind: str | None, data: Any, request: dict[str, Any]) -> Any:
    """Evaluate kernels and predictions."""
    from tpc.evaluate import evaluate

    options = {name: request[name] for name in _PREDICTING}
    tolerance = request["tolerance"] or 1e-10
    limit = program.kernel_limit(kind)
    return evaluate(program.module, limit, data, tolerance=tolerance, **options)


def _flow(limit: Any, data: Any, times: tuple[float, ...], request: dict[str, Any]) -> Any:
    """Follow gradient flow in the kernel regime."""
    from tpc.evaluate import flow

    if request["batch"] is not None or request["record"]:
        raise click.UsageError("--flow sees all samples at once: no --batch and no --record")
    options = {name: request[name] for name in ("seed", "start")}
    return flow(limit, data, times, tolerance=request["tolerance"] or 1e-10, **options)


def _train(limit: Any, data: Any, output: Path | None, request: dict[str, Any]) -> Any:
    """Train in the limit; a feature run keeps its state beside the output until it is complete."""
    from tpc.evaluate import train
    from tpc.feature import FeatureLimit

    features = isinstance(limit, FeatureLimit)
    if request["record"] and not features:
        raise click.UsageError("--record is for the feature-learning limit")
    if given("start") and features:
        raise click.UsageError("--start is for training in the kernel regime")
    state = None
    if features and output is not None and (output.is_file() or not output.exists()):
        state = output.with_name(f"{output.name}.part")
        if state.exists():
            click.echo(f"note: continuing the run whose state is in {state}", err=True)
    options = {name: value for name, value in request.items() if name not in _PREDICTING}
    with progress_bar("train", 1000) as show:
        found = train(
            limit,
            data,
            **options,
            checkpoint=state,
            progress=lambda done, total: show(1000 * done // total),
        )
    if found.warning is not None:
        click.echo(f"warning: {found.warning}", err=True)
    return found
