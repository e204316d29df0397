"""What a weight does: its initial part and its update, to its own output and to the program's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.ir.alignment import FULL
from tpc.scaling.actions import Site, sites
from tpc.scaling.classification import Exponent, Status, Use, WeightSize, exponent_of
from tpc.scaling.state import Value
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.scaling.names import Names
    from tpc.scaling.run import Run

_FULL = Fraction(1)
_NEVER = WeightSize(math.inf, Status.FROZEN, math.inf, math.inf, ())


def weight_size(module: Module, run: Run, names: Names, name: str) -> WeightSize:
    """Return the sizes of a weight in a finished numeric run.

    Where something has blown up these are the sizes of the update on what there was before.
    """
    if name not in run.trained:
        return _NEVER
    uses = tuple(_use(run, names, name, site) for site in sites(run.plan).get(name, ()))
    update = min((use.update for use in uses), default=math.inf)
    gradient = run.sizes[run.plan.gradients[name]]
    assumed = module.alignment.get(name, FULL)
    moved = run.context.changes[name]
    start = run.sizes[run.plan.leaves[name]].init
    wide = bool(module.params[name].type.sort)
    return WeightSize(
        update=update,
        status=_status(update),
        output=max(
            min(
                _felt(run, gradient.init, moved, wide, assumed.alpha),
                math.inf if run.blown else _felt(run, gradient.change, moved, wide, assumed.u),
            ),
            _most(module, run),
        ),
        shrinkage=_plain(run, run.shrinkage(name)),
        uses=uses,
        initial=min((use.initial for use in uses), default=math.inf),
        initial_output=_felt(run, gradient.init, start, wide),
    )


def _use(run: Run, names: Names, name: str, site: Site) -> Use:
    """Return how large the weight's parts make the result of one use."""
    size = run.sizes[run.plan.leaves[name]]
    before = site.before_training(run.sizes)
    # once something has blown up, what is around tells of that, and no more of the weight
    moved = site.action(size.change, before if run.blown else run.sizes, run.context)
    start = site.action(size.init, before, run.context)
    line = names.line(site.end)
    return Use(names.of(site.end), line, _plain(run, moved), _plain(run, start))


def _most(module: Module, run: Run) -> Exponent:
    """Return the exponent of the change of the outputs where less than full alignment is assumed.

    No weight moves the output by more. Gradients do not know of the assumption: they make full use
    of the alignment of what is above a weight with what its update does.
    """
    if not module.alignment or run.blown:
        return -math.inf
    ends = run.plan.outputs.values()
    return min(_plain(run, run.sizes[node].change.smallest) for node in ends)


def _felt(
    run: Run, gradient: Value, part: Value, wide: bool, alignment: Fraction = _FULL
) -> Exponent:
    """Return the exponent of <dL/dW, part of W>: the loss feels the output at order one."""
    half = run.domain.half
    full = None if alignment == _FULL else run.domain.exponent(alignment).number
    if not isinstance(gradient, Terms):
        assert not isinstance(part, Terms)
        return _plain(run, gradient.frobenius(part, half, full))
    assert isinstance(part, Terms)
    if wide:
        return _plain(run, gradient.inner(part, half, full))
    return _plain(run, gradient.smallest + part.smallest)


def _plain(run: Run, exponent: Tropical) -> Exponent:
    return exponent_of(run.plain(exponent))


def _status(update: Exponent) -> Status:
    if update == math.inf:
        return Status.FROZEN
    if update > 0:
        return Status.LAZY
    return Status.MAXIMAL if update == 0 else Status.UNSTABLE
