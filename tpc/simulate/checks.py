"""Checks of a request: can this program be run at this width, and does it fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Coefficient
from tpc.ir.node import walk
from tpc.ops.base import EvalContext
from tpc.simulate.execute import peak_entries

if TYPE_CHECKING:
    from tpc.diagnostics import Span
    from tpc.exact import Affine
    from tpc.ir.module import InputSpec, Module, ParamSpec
    from tpc.ir.node import Node
    from tpc.ops.base import Array


def check_width(module: Module, width: Any) -> None:
    """Check that the program exists at a width.

    Raises:
        TpcError: it is no positive whole number, or an axis would have a fraction of a position.
    """
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise TpcError(Diagnostic("E0925", f"a width is a positive whole number, not {width!r}"))
    specs: list[ParamSpec | InputSpec] = [*module.params.values(), *module.inputs.values()]
    for spec in specs:
        for dim in spec.type.dims:
            if dim.width and (dim.count * width).denominator != 1:
                multiple = dim.count.denominator
                raise TpcError(
                    Diagnostic(
                        "E0925",
                        f"`{spec.name}` has an axis of {dim} positions, which is no whole number "
                        f"at width {width}",
                        spec.span,
                        help=f"take a width that is a multiple of {multiple}",
                    )
                )


def check_exponents(module: Module) -> None:
    """Check that every exponent has a value.

    Raises:
        TpcError: one has none.
    """
    for spec in module.params.values():
        for which in ("a", "b", "c"):
            found = getattr(spec, which)
            if found is None:
                raise TpcError(
                    Diagnostic(
                        "E0927",
                        f"`{spec.name}` has no exponent {which}",
                        spec.span,
                        help="name a parametrization: parametrization mup",
                    )
                )
            _constant(found, spec.span)
    for node in walk(_roots(module)):
        coefficient = node.attrs.get("coefficient")
        if isinstance(coefficient, Coefficient):
            _constant(coefficient.power, module.spans.get(node))


def _roots(module: Module) -> list[Node]:
    roots = [value.node for value in (*module.values, *module.outputs)]
    return roots if module.loss is None else [*roots, module.loss]


def _constant(exponent: Affine, span: Span | None) -> None:
    if not exponent.is_constant:
        symbols = ", ".join(exponent.symbols)
        raise TpcError(
            Diagnostic(
                "E0927",
                f"a finite width needs values for the exponents: {symbols}",
                span,
                help=f"give one: --set {exponent.symbols[0]}=1/2",
            )
        )


def check_memory(module: Module, roots: Sequence[Node], width: int, batch: int) -> None:
    """Check that a run fits into memory.

    Raises:
        TpcError: the values that are alive at once would need more memory than the machine has.
    """
    context = EvalContext(width, batch)
    weights = sum(_size(context.shape(spec.type)) for spec in module.params.values())
    needed = 8 * (3 * weights + peak_entries(roots, context))
    total = _memory()
    if total is not None and needed > total:
        raise TpcError(
            Diagnostic(
                "E0926",
                f"width {width} with {batch} samples at once needs about {_gigabytes(needed)}, "
                f"but there are {_gigabytes(total)}",
                help="take a smaller width, smaller batches or fewer points",
            )
        )


def check_batches(batches: Sequence[Array], steps: int, count: int) -> None:
    """Check that there is a batch for each step, of samples that exist.

    Raises:
        TpcError: there is not.
    """
    import numpy as np

    if len(batches) < steps:
        raise TpcError(
            Diagnostic("E0927", f"{steps} steps need as many batches, but there are {len(batches)}")
        )
    for position, batch in enumerate(batches):
        rows = np.asarray(batch)
        if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu":
            raise TpcError(
                Diagnostic("E0927", f"batch {position} is no list of sample numbers (from 0)")
            )
        if rows.min() < 0 or rows.max() >= count:
            raise TpcError(
                Diagnostic(
                    "E0927",
                    f"batch {position} names sample {rows.max() if rows.min() >= 0 else rows.min()}"
                    f", but samples are numbered 0..{count - 1}",
                )
            )


def _memory() -> int | None:
    """Return the bytes of memory of this machine, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GB"
