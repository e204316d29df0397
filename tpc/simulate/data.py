"""Checks of the arrays that a user gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean
from tpc.ir.node import Node, walk
from tpc.ops.input import INPUT

if TYPE_CHECKING:
    from tpc.ir.module import InputSpec, Module
    from tpc.ops.base import Array


def inputs_of(module: Module, roots: Iterable[Node]) -> tuple[str, ...]:
    """Return the inputs that ``roots`` read and that come from data (noise does not)."""
    names = {node.attrs["name"] for node in walk(roots) if node.op is INPUT}
    return tuple(
        name for name, spec in module.inputs.items() if name in names and spec.role != "noise"
    )


def checked(
    module: Module, data: Mapping[str, Any], names: Iterable[str], width: int, what: str = "data"
) -> tuple[dict[str, Array], int]:
    """Return the arrays called ``names`` as float64 or int64, and their number of samples.

    ``what`` says in messages which data set it is.

    Raises:
        TpcError: one is missing, has another shape than the program declares or another number of
            samples, is not numeric, or holds values that are not allowed. All faults are reported.
    """
    faults: list[Diagnostic] = []
    result: dict[str, Array] = {}
    for name in names:
        if name not in data:
            faults.append(_missing(name, module.inputs[name], data, width, what))
            continue
        try:
            result[name] = _checked(module.inputs[name], data[name], width, what)
        except TpcError as error:
            faults += error.diagnostics
    counts = {name: len(array) for name, array in result.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"`{name}` has {count}" for name, count in counts.items())
        faults.append(
            Diagnostic(
                "E0922",
                f"the arrays of the {what} differ in their number of samples: {said}",
                help="the first axis of every array is the samples",
            )
        )
    if faults:
        raise TpcError(faults)
    return result, next(iter(counts.values()), 1)


def expected_shape(spec: InputSpec, width: int) -> str:
    """Return the shape of an input's array as text: ``(N, 28, 28)``."""
    dims = ", ".join(str(dim.concrete(width)) for dim in spec.type.dims)
    return f"(N, {dims})" if dims else "(N,)"


def _missing(
    name: str, spec: InputSpec, data: Mapping[str, Any], width: int, what: str
) -> Diagnostic:
    given = ", ".join(f"`{key}`" for key in data) or "nothing"
    hint = did_you_mean(name, data)
    return Diagnostic(
        "E0910",
        f"the {what} has no array for {spec.role} `{name}`",
        spec.span,
        help=f"give one of shape {expected_shape(spec, width)}; given: {given}"
        + (f" ({hint})" if hint else ""),
    )


def _checked(spec: InputSpec, given: Any, width: int, what: str) -> Array:
    import numpy as np

    try:
        array = np.asarray(given)
    except ValueError as error:
        raise TpcError(_lengths(spec, what)) from error
    if array.dtype == object and array.ndim == 1 and all(np.ndim(each) for each in array):
        raise TpcError(_lengths(spec, what))
    allowed = "biuf" if spec.type.below is None else "iuf"
    if array.dtype.kind not in allowed:
        raise TpcError(_kind(spec, f"numbers of type {array.dtype}", what))
    shape = spec.type.shape(width, len(array) if array.ndim else 0)
    if array.ndim == 0 or array.shape != shape:
        raise TpcError(_shape(spec, array.shape, width, what))
    if len(array) == 0:
        raise TpcError(Diagnostic("E0922", f"`{spec.name}` of the {what} has no samples"))
    if not np.isfinite(array).all():
        raise TpcError(_not_finite(spec, array, what))
    return _real(array) if spec.type.below is None else _whole(spec, array, what)


def _real(array: Any) -> Array:
    result: Array = array.astype(float, copy=False)  # nothing writes into data
    return result


def _whole(spec: InputSpec, array: Any, what: str) -> Array:
    """Integers keep an integer type: they index."""
    import numpy as np

    whole = array.astype(np.int64)
    below = spec.type.below or 0
    if (whole != array).any():
        raise TpcError(_kind(spec, "numbers that are not whole", what))
    if whole.min() < 1 or whole.max() > below:
        raise TpcError(
            Diagnostic(
                "E0924",
                f"`{spec.name}` of the {what} runs from {whole.min()} to {whole.max()}, "
                f"but its entries are 1..{below}",
                spec.span,
                help="indices count from 1: add 1 to data that count from 0"
                if whole.min() == 0 and whole.max() < below
                else None,
            )
        )
    return whole  # type: ignore[no-any-return]


def _lengths(spec: InputSpec, what: str) -> Diagnostic:
    return Diagnostic(
        "E0923",
        f"`{spec.name}` of the {what} holds samples of different lengths",
        spec.span,
        help="the kernel limits take them (nngp, ntk); where features learn, and at finite widths, "
        "samples have one length: pad them, and declare input mask : [T]",
    )


def _kind(spec: InputSpec, found: str, what: str) -> Diagnostic:
    wanted = "real numbers" if spec.type.below is None else f"whole numbers 1..{spec.type.below}"
    return Diagnostic(
        "E0923", f"`{spec.name}` of the {what} takes {wanted}, but holds {found}", spec.span
    )


def _shape(spec: InputSpec, found: tuple[int, ...], width: int, what: str) -> Diagnostic:
    wanted = tuple(dim.concrete(width) for dim in spec.type.dims)
    help_ = "the first axis is the samples"
    if found == wanted:
        help_ = "this is a single sample: add the axis of samples in front, array[None]"
    elif spec.type.rank == 1 and wanted == (1,) and len(found) == 1:
        help_ = "add the axis of outputs: array[:, None]"
    elif len(found) == len(wanted) + 1 and found[1:] != wanted and found[:-1] == wanted:
        help_ = "the samples seem to be last: move them to the front"
    return Diagnostic(
        "E0922",
        f"`{spec.name}` of the {what} has shape {found}, expected {expected_shape(spec, width)}",
        spec.span,
        help=help_,
    )


def _not_finite(spec: InputSpec, array: Any, what: str) -> Diagnostic:
    import numpy as np

    bad = ~np.isfinite(array)
    first = tuple(int(k) for k in np.argwhere(bad)[0])
    return Diagnostic(
        "E0924",
        f"`{spec.name}` of the {what} holds {int(bad.sum())} values that are not finite, "
        f"the first at {first}: {array[first]}",
        spec.span,
        help="remove or replace them before the run",
    )
