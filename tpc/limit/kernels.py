"""The two kernels of a program at initialisation: NNGP and NTK, as expressions.

NNGP: ``E[f(x) f(x')]``. NTK: ``sum over weights of rate * <df(x)/dw, df(x')/dw>``, from the graph
of derivatives by the same moments as the forward pass (:mod:`tpc.limit.tangent`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.ir.node import Node
from tpc.limit import expressions as ex
from tpc.limit import notes as notes_on
from tpc.limit.fluctuations import require_no_mixtures
from tpc.limit.forms import Entry
from tpc.limit.independence import is_independent, transposed
from tpc.limit.mixtures import require_no_scalars
from tpc.limit.moment import TooMany
from tpc.limit.moments import MomentContext
from tpc.limit.tangent import finite, tangent
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.ir.module import Module

MAX_ENTRIES = 20_000


@dataclass(frozen=True)
class Kernels:
    """A derived kernel: one expression per pair of positions of the kept output axes.

    ``diagonal`` are the same at x' = x. ``kept`` are the sizes of those axes; axes whose rows are
    independent copies are dropped.
    ``parts`` are the weights' shares of the NTK (empty for the NNGP). ``notes`` are sentences on
    what was assumed or dropped.
    """

    kept: tuple[int, ...]
    entries: tuple[ex.Expression, ...]
    diagonal: tuple[ex.Expression, ...]
    parts: tuple[tuple[str, ex.Expression], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Count entries that are the same for all samples as functions of x."""
        lifted = tuple(e if e.cross else ex.at(0, e) for e in self.entries)
        object.__setattr__(self, "entries", lifted)


def derive(module: Module, kind: str) -> Kernels:
    """Return the kernel of a kind, ``nngp`` or ``ntk``.

    Raises:
        LimitRefusal: the program has no such kernel, or it needs terms that are not supported.
        MissingRule: an op has no limit rule.
    """
    context = _context(module)
    output = module.output.node
    require_no_scalars(output, module.params, tangent=False)
    kept, dropped = _axes(output, context)
    places = [_place(output, kept, p) for p in _positions(output, kept)]
    notes = (*notes_on.copies(output, dropped), *notes_on.masks(output))
    if kind == "nngp":
        entries, diagonal = (
            tuple(
                finite(context.moment((output, a), (output, b), cross), output)
                for a, b in itertools.product(places, places)
            )
            for cross in (True, False)
        )
        require_no_mixtures(context, [(output, place) for place in places])
        notes = (*notes, *notes_on.tied(context), *notes_on.scores(context))
        if all(ex.is_zero(e) for e in (*entries, *diagonal)):
            notes = (*notes, *_vanishing_note(module, context, (output, places[0])))
        return Kernels(_sizes(output, kept), entries, diagonal, notes=notes)
    found = tangent(module, context, output, places)
    return Kernels(
        _sizes(output, kept), found.entries, found.diagonal, found.parts, (*notes, *found.notes)
    )


def _context(module: Module) -> MomentContext:
    """Return a derivation that knows which weights the forward pass uses transposed too."""
    context = MomentContext(module.params)
    context.tied = transposed([module.output.node], module.params)
    return context


# -- axes of the output ----------------------------------------------------------------------------


def _axes(output: Node, context: MomentContext) -> tuple[list[int], list[int]]:
    """Return the finite axes that the kernel keeps, and those that it drops."""
    kept: list[int] = []
    dropped: list[int] = []
    for axis, dim in enumerate(output.type.dims):
        if not dim.width:
            (dropped if _copies(output, axis, context) else kept).append(axis)
    return kept, dropped


def output_axes(module: Module) -> tuple[list[int], list[int]]:
    """Return the axes of the output that kernels keep, and those of independent copies."""
    from tpc.covariance.kernel import output_modes

    output = module.output.node
    context = _context(module)
    try:
        modes = output_modes(output)  # which needs no moments, where it can tell
    except MissingRule:
        return _axes(output, context)
    if not is_independent(output, (output, (0,) * output.type.rank), context):
        return _axes(output, context)
    axes = [k for k, dim in enumerate(output.type.dims) if not dim.width]
    return [k for k in axes if modes[k] == "F"], [k for k in axes if modes[k] == "D"]


def _copies(output: Node, axis: int, context: MomentContext) -> bool:
    """Whether the rows along an axis are independent and equal in law."""
    if int(output.type.dims[axis].count) == 1:
        return True
    first = (0,) * output.type.rank
    second = tuple(1 if i == axis else 0 for i in range(output.type.rank))
    if not is_independent(output, (output, first), context):
        return False
    own = context.moment((output, first), (output, first))
    other = context.moment((output, second), (output, second))
    between = context.moment((output, first), (output, second))
    return between.is_zero and own.value is other.value


def _positions(output: Node, kept: list[int]) -> list[tuple[int, ...]]:
    positions = list(itertools.product(*(range(int(output.type.dims[a].count)) for a in kept)))
    if len(positions) ** 2 > MAX_ENTRIES:
        raise TooMany(f"the kernel has {len(positions)}^2 entries per pair of inputs", output)
    return positions


def _place(output: Node, kept: list[int], position: tuple[int, ...]) -> tuple[int, ...]:
    place = [0] * output.type.rank
    for axis, i in zip(kept, position, strict=True):
        place[axis] = i
    return tuple(place)


def _sizes(output: Node, kept: list[int]) -> tuple[int, ...]:
    return tuple(int(output.type.dims[axis].count) for axis in kept)


def _vanishing_note(module: Module, context: MomentContext, entry: Entry) -> tuple[str, ...]:
    """Say how large an output is whose kernel vanishes, and where to see its kernel."""
    own = context.moment(entry, entry, cross=False)
    if own.is_zero:
        return ("the output is zero at initialisation",)
    factor = "n" if -own.power == 1 else f"n^({-own.power})"
    return (
        f"the output at initialisation is of size n^({own.power / 2}): {factor} times its kernel "
        "has a limit, which --set parametrization=ntk derives",
    )
