"""The neural tangent kernel: moments of the graph of derivatives.

Where gradients are independent of the forward pass (:mod:`tpc.limit.independence`), products with
transposed weights are Gaussian, as if the weights were drawn anew. Elsewhere the graph of
derivatives is a tensor program like any other: what the products of a weight along one axis owe to
those along another, forward and backward, is kept (:mod:`tpc.limit.transposes`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.exact import Coefficient
from tpc.ir.node import Node, walk
from tpc.limit import expressions as ex
from tpc.limit import notes as notes_on
from tpc.limit.contraction import weight_below
from tpc.limit.independence import independent_readouts, transposed
from tpc.limit.inner import inner
from tpc.limit.mixtures import require_no_scalars
from tpc.limit.moment import LimitRefusal, Moment, power_of, require_quiet, scaled
from tpc.limit.moments import MomentContext
from tpc.ops.index import index
from tpc.ops.rate import step_coefficient

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec

Jacobian = tuple[Node, ...]


@dataclass(frozen=True)
class Tangent:
    """A tangent kernel: see :class:`tpc.limit.kernels.Kernels`."""

    entries: tuple[ex.Expression, ...]
    diagonal: tuple[ex.Expression, ...]
    parts: tuple[tuple[str, ex.Expression], ...]
    notes: tuple[str, ...]


def tangent(
    module: Module, forward: MomentContext, output: Node, places: Sequence[tuple[int, ...]]
) -> Tangent:
    """Return the tangent kernel of an output at ``places``; ``forward`` derives the forward pass.

    Raises:
        LimitRefusal: it diverges, stays random, or needs terms that are not supported.
        MissingRule: an op has no limit rule.
    """
    leaves = {n.attrs["name"]: n for n in walk([output]) if weight_below(n) is n}
    used = [spec for spec in moved_params(module) if spec.name in leaves]
    weights = [leaves[spec.name] for spec in used]
    jacobians = [_jacobian(output, place, weights) for place in places]
    roots = [node for jacobian in jacobians for node in jacobian]
    require_no_scalars(output, module.params, tangent=True)
    context, notes = _backward(forward, output, places, roots)
    entries: list[ex.Expression] = []
    parts: dict[str, ex.Expression] = {}
    for left, right in itertools.product(jacobians, jacobians):
        found = _shares(module, context, used, (left, right), True)
        entries.append(ex.total(found))
        parts = parts or {spec.name: e for spec, e in zip(used, found, strict=True)}
    diagonal = [
        ex.total(_shares(module, context, used, pair, False))
        for pair in itertools.product(jacobians, jacobians)
    ]
    _require_quiet_scores(context, roots)
    notes = (*notes, *notes_on.silent(parts), *notes_on.other_optimizers(module))
    return Tangent(tuple(entries), tuple(diagonal), tuple(parts.items()), notes)


def _jacobian(output: Node, place: tuple[int, ...], weights: Sequence[Node]) -> Jacobian:
    """Return the gradients of one entry of the output."""
    scalar = output
    for axis in reversed(range(output.type.rank)):
        if output.type.dims[axis].width:
            raise LimitRefusal("an output of growing size has no tangent kernel", output)
        scalar = index(scalar, axis, place[axis])
    return gradient(scalar, list(weights), per_sample=True)


def _backward(
    forward: MomentContext,
    output: Node,
    places: Sequence[tuple[int, ...]],
    roots: Sequence[Node],
) -> tuple[MomentContext, tuple[str, ...]]:
    """Return the derivation of the gradients' moments, and what it assumes."""
    readouts: dict[str, Node] = {}
    try:
        for place in places:
            readouts |= independent_readouts(output, (output, place), forward)
    except LimitRefusal as refusal:
        context = MomentContext(forward.params)
        context.tied = transposed([output, *roots], forward.params)
        notes = notes_on.dependence(refusal.message, sorted(context.tied))
    else:
        context = forward
        for place in places:  # which notes the scores that stay random
            context.moment((output, place), (output, place), cross=False)
        _require_quiet_scores(context, roots)
        context.forward = frozenset(walk([output]))
        notes = (*notes_on.tied(context), *notes_on.independence(sorted(readouts)))
    context.tangent = True
    return context, notes


def _require_quiet_scores(context: MomentContext, roots: Sequence[Node]) -> None:
    """Refuse the tangent kernel where scalars that stay random take part in the gradients.

    Raises:
        LimitRefusal: they do.
    """
    if not context.scores:
        return
    nodes = frozenset(walk(list(roots)))
    for node, _ in context.scores:
        if node in nodes:
            raise LimitRefusal(
                "the tangent kernel of scores that stay random (divided by n^(1/2)) is random "
                "itself",
                node,
                "divide scores by n (* n^-1); the covariance has a limit: --kind nngp",
            )


def _shares(
    module: Module,
    context: MomentContext,
    used: list[ParamSpec],
    jacobians: tuple[Jacobian, Jacobian],
    cross: bool,
) -> list[ex.Expression]:
    """Return what every weight adds to the tangent kernel."""
    found = []
    for spec, g, h in zip(used, *jacobians, strict=True):
        share = scaled(inner(g, h, context, cross), step(module, spec))
        found.append(finite(share, g))
    return found


def finite(moment: Moment, node: Node) -> ex.Expression:
    """Return the limit of a moment: zero where it vanishes.

    Raises:
        LimitRefusal: it diverges, or its power of the width has no value.
    """
    rest = moment.noise
    grows = not moment.is_zero and moment.power.is_constant and moment.power.const > 0
    if not grows or (rest is not None and power_of(rest - moment.power) >= 0):
        require_quiet(moment, node)
    if moment.is_zero:
        return moment.value
    if grows or not moment.power.is_constant:
        raise LimitRefusal(
            f"the kernel grows like n^({moment.power}) with the width",
            node,
            "choose a stable parametrization, e.g. parametrization ntk",
        )
    return moment.value if moment.power.const == 0 else ex.number(0)


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
