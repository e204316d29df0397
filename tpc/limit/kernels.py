"""The two kernels of a program at initialisation: NNGP and NTK, as expressions.

NNGP: ``E[f(x) f(x')]``. NTK: ``sum over weights of rate * <df(x)/dw, df(x')/dw>``, from the graph
of derivatives by the same moments as the forward pass. Backward vectors count as independent of the
forward ones that share a weight with them, which holds where the output is a sum of readouts of
mean zero that the program uses nowhere else (gradient independence, Yang 2020); this is checked.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.exact import Coefficient
from tpc.ir.node import Node, walk
from tpc.limit import expressions as ex
from tpc.limit import notes as notes_on
from tpc.limit.contraction import readout_below, weight_below
from tpc.limit.fluctuations import require_no_mixtures
from tpc.limit.forms import Entry, Gaussian, Polynomial
from tpc.limit.inner import inner
from tpc.limit.mixtures import require_no_scalars
from tpc.limit.moment import LimitRefusal, Moment, TooMany, require_quiet, scaled
from tpc.limit.moments import MomentContext
from tpc.ops.base import MissingRule
from tpc.ops.contract import CONTRACT
from tpc.ops.rate import step_coefficient

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec

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
    notes = (*notes_on.copies(output, dropped), *notes_on.masks(output), *notes_on.tied(context))
    if kind == "nngp":
        entries, diagonal = (
            tuple(
                _finite(context.moment((output, a), (output, b), cross), output)
                for a, b in itertools.product(places, places)
            )
            for cross in (True, False)
        )
        require_no_mixtures(context, [(output, place) for place in places])
        notes = (*notes, *notes_on.scores(context))
        if all(ex.is_zero(e) for e in (*entries, *diagonal)):
            notes = (*notes, *_vanishing_note(module, context, (output, places[0])))
        return Kernels(_sizes(output, kept), entries, diagonal, notes=notes)
    return _ntk(module, context, output, kept, places, notes)


def _context(module: Module) -> MomentContext:
    """Return a derivation that knows which weights the forward pass uses transposed too."""
    context = MomentContext(module.params)
    uses = _uses(module.output.node, context)
    context.tied = frozenset(name for name, ways in uses.items() if len(ways) > 1)
    return context


def _finite(moment: Moment, node: Node) -> ex.Expression:
    """Return the limit of a moment: zero where it vanishes.

    Raises:
        LimitRefusal: it diverges, or its power of the width has no value.
    """
    require_quiet(moment, node)
    if moment.is_zero:
        return moment.value
    if not moment.power.is_constant or moment.power.const > 0:
        raise LimitRefusal(
            f"the kernel grows like n^({moment.power}) with the width",
            node,
            "choose a stable parametrization, e.g. parametrization ntk",
        )
    return moment.value if moment.power.const == 0 else ex.number(0)


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

    try:
        modes = output_modes(module.output.node)  # which needs no moments, where it can tell
    except MissingRule:
        return _axes(module.output.node, _context(module))
    axes = [k for k, dim in enumerate(module.output.node.type.dims) if not dim.width]
    return [k for k in axes if modes[k] == "F"], [k for k in axes if modes[k] == "D"]


def _copies(output: Node, axis: int, context: MomentContext) -> bool:
    """Whether the rows along an axis are independent and equal in law."""
    if int(output.type.dims[axis].count) == 1:
        return True
    first = (0,) * output.type.rank
    second = tuple(1 if i == axis else 0 for i in range(output.type.rank))
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


# -- what may be taken as independent --------------------------------------------------------------


def _uses(output: Node, context: MomentContext) -> dict[str, set[tuple[int, ...]]]:
    """Return, per weight, the sets of width axes over which the forward pass contracts it."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for node in walk([output]):
        for operand in node.operands:
            param = weight_below(operand)
            if param is None or weight_below(node) is not None:
                continue
            name = param.attrs["name"]
            contracted = _contracted(node, operand)
            if context.params[name].init == "normal":
                found.setdefault(name, set()).add(contracted)
    return found


def _contracted(node: Node, operand: Node) -> tuple[int, ...]:
    if node.op is not CONTRACT:
        return ()
    labels = node.attrs["left" if node.operands[0] is operand else "right"]
    return tuple(i for i in operand.type.width_axes if labels[i] not in node.attrs["out"])


def _require_no_transposes(output: Node, context: MomentContext) -> None:
    """Refuse a weight that meets values along different axes: its products are correlated.

    Raises:
        LimitRefusal: such a weight exists.
    """
    for name, ways in _uses(output, context).items():
        if len(ways) > 1:
            raise LimitRefusal(
                f"the weight {name} is used along two different axes (as W and as its transpose)",
                output,
                "what W^T y owes to W x (Zdot terms) is kept pair by pair only, not here",
            )


def _require_independent_readout(
    output: Node, entry: Entry, context: MomentContext
) -> dict[str, Node]:
    """Check the simple condition for gradient independence; return the readouts.

    Raises:
        LimitRefusal: the output is not a sum of readouts that are used nowhere else.
    """
    readouts = {}
    todo = [entry]
    while todo:
        here = todo.pop()
        form = context.form(here)
        if isinstance(form, Polynomial) and all(len(e) == 1 for _, e in form.terms):
            todo.extend(e for _, entries in form.terms for e in entries)
        elif isinstance(form, Gaussian):
            readouts[form.param] = here[0]
        else:
            raise LimitRefusal(
                "the output is not a sum of readouts, so its gradient is not independent of it",
                here[0],
                "end the network with a readout V @ z; other outputs need Zdot terms, which are "
                "not supported yet",
            )
    for name, node in readouts.items():
        below = [
            n
            for operand in node.operands
            for n in walk([operand])
            if readout_below(operand) is None
        ]
        if any(n.attrs.get("name") == name and weight_below(n) is n for n in below):
            raise LimitRefusal(
                f"the readout {name} is used elsewhere in the network too",
                node,
                "its gradient is correlated with the forward pass (Zdot terms): not supported yet",
            )
    return readouts


def require_independence(module: Module) -> None:
    """Check that backward vectors may count as independent of forward ones.

    Raises:
        LimitRefusal: they may not.
    """
    context = MomentContext(module.params)
    output = module.output.node
    _require_no_transposes(output, context)
    _require_independent_readout(output, (output, (0,) * output.type.rank), context)


# -- the tangent kernel ----------------------------------------------------------------------------


def _ntk(
    module: Module,
    context: MomentContext,
    output: Node,
    kept: list[int],
    places: list[tuple[int, ...]],
    notes: tuple[str, ...],
) -> Kernels:
    from tpc.ops.index import index

    for place in places:
        context.moment((output, place), (output, place), cross=False)
    _require_quiet_scores(context)
    context.tangent = True
    moving = moved_params(module)
    leaves = {n.attrs["name"]: n for n in walk([output]) if weight_below(n) is n}
    used = [spec for spec in moving if spec.name in leaves]
    jacobians: list[tuple[Node, ...]] = []
    readouts: dict[str, Node] = {}
    for place in places:
        readouts |= _require_independent_readout(output, (output, place), context)
        scalar = output
        for axis in reversed(range(output.type.rank)):
            if output.type.dims[axis].width:
                raise LimitRefusal("an output of growing size has no tangent kernel", output)
            scalar = index(scalar, axis, place[axis])
        jacobians.append(gradient(scalar, [leaves[s.name] for s in used], per_sample=True))
    require_no_scalars(output, module.params, tangent=True)
    entries: list[ex.Expression] = []
    parts: dict[str, ex.Expression] = {}
    for left, right in itertools.product(jacobians, jacobians):
        shares = _shares(module, context, used, (left, right), True)
        entries.append(ex.total(shares))
        parts = parts or {spec.name: e for spec, e in zip(used, shares, strict=True)}
    diagonal = [
        ex.total(_shares(module, context, used, pair, False))
        for pair in itertools.product(jacobians, jacobians)
    ]
    notes = (
        *notes,
        *notes_on.independence(sorted(readouts)),
        *notes_on.silent(parts),
        *notes_on.other_optimizers(module),
    )
    return Kernels(
        _sizes(output, kept), tuple(entries), tuple(diagonal), tuple(parts.items()), notes
    )


def _require_quiet_scores(context: MomentContext) -> None:
    """Refuse the tangent kernel where scalars that stay random took part.

    Raises:
        LimitRefusal: they did.
    """
    if context.scores:
        raise LimitRefusal(
            "the tangent kernel of scores that stay random (divided by n^(1/2)) is random itself",
            next(iter(context.scores))[0],
            "divide scores by n (* n^-1); the covariance has a limit: --kind nngp",
        )


def _shares(
    module: Module,
    context: MomentContext,
    used: list[ParamSpec],
    jacobians: tuple[tuple[Node, ...], tuple[Node, ...]],
    cross: bool,
) -> list[ex.Expression]:
    """Return what every weight adds to the tangent kernel."""
    found = []
    for spec, g, h in zip(used, *jacobians, strict=True):
        share = scaled(inner(g, h, context, cross), step(module, spec))
        found.append(_finite(share, g))
    return found


def moved_params(module: Module) -> list[ParamSpec]:
    """Return the weights that training moves; all that are not frozen without ``train:``."""
    names = module.trained if module.loss is not None else tuple(module.params)
    return [module.params[name] for name in names if not module.params[name].frozen]


def step(module: Module, spec: ParamSpec) -> Coefficient:
    """Return how far W moves for a unit gradient, in units of the optimizer's rate."""
    coefficient = step_coefficient(spec)
    if spec.rate is None:
        return coefficient
    line = module.optimizer_of(spec.name)
    common = line.options.get("lr") if line is not None else None
    if isinstance(common, Coefficient):
        return coefficient * Coefficient.of(spec.rate) / common
    return coefficient * Coefficient.of(spec.rate)
