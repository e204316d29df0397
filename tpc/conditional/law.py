"""The joint law of random scalars: covariances of the scalars of one level, and of their steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.conditional.steps import moved, with_steps
from tpc.ir.node import Node, walk
from tpc.limit import expressions as ex
from tpc.limit.independence import independent_readouts, transposed
from tpc.limit.kernels import Kernels
from tpc.limit.leaves import centred
from tpc.limit.moment import LimitRefusal
from tpc.limit.moments import MomentContext
from tpc.limit.numbers import number
from tpc.limit.reduction import DATA
from tpc.limit.tangent import finite
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.param import PARAM
from tpc.ops.stop_gradient import STOP_GRADIENT

if TYPE_CHECKING:
    from tpc.conditional.cut import Cut, Scalars
    from tpc.ir.module import Module
    from tpc.limit.forms import Entry

MOST_ENTRIES = 144
"""Scalars of one sample and level at most: their covariances are derived pair by pair."""
HELP = "give what is in between a width, param B : [n, n], or use it in the last layer only"


@dataclass(frozen=True)
class Level:
    """Scalars that are jointly Gaussian of mean zero given those of lower levels.

    ``values`` are their covariances, one expression per pair of entries; ``tangent`` those of their
    derivatives along steps of the weights, given the scalars of lower levels (None for an NNGP).
    """

    scalars: tuple[Scalars, ...]
    values: Kernels
    tangent: Kernels | None

    @property
    def size(self) -> int:
        """The number of scalars of one sample."""
        return self.values.kept[0]


def levels(found: Cut, kind: str) -> tuple[Level, ...]:
    """Return the laws of the scalars of a cut program, checked to be independent of the rest.

    Raises:
        LimitRefusal: they are not, their covariance diverges, or there are too many.
        MissingRule: an op has no limit rule.
    """
    module = found.module
    context = _context(module, [s.node for s in found.scalars])
    derivatives = {s: moved(module, s.node) for s in found.scalars} if kind == "ntk" else {}
    pushed = _context(
        replace(module, params=with_steps(module)) if derivatives else module,
        [*derivatives.values()],
    )
    laws = []
    for scalars in found.levels:
        entries = [e for s in scalars for e in s.entries]
        if len(entries) > MOST_ENTRIES:
            raise LimitRefusal(
                f"{len(entries)} numbers of one sample stay random: their joint law has "
                f"{len(entries)}^2 covariances",
                scalars[0].node,
                f"at most {MOST_ENTRIES} are supported: make the finite axes smaller",
            )
        for entry in entries:
            _require_centred(context, entry)
        steps = [(derivatives[s], e[1]) for s in scalars if derivatives for e in s.entries]
        laws.append(
            Level(
                scalars,
                _covariances(context, entries),
                _covariances(pushed, steps) if derivatives else None,
            )
        )
    _require_independent_levels(found, context, pushed, derivatives)
    _require_independent_output(found, context, kind)
    if kind == "ntk":
        _require_smooth(found)
    return tuple(laws)


def _context(module: Module, roots: Sequence[Node]) -> MomentContext:
    context = MomentContext(module.params)
    context.tied = transposed(roots, module.params)
    return context


def _require_centred(context: MomentContext, entry: Entry) -> None:
    """Check that a scalar is Gaussian of mean zero: a sum of Gaussians times numbers.

    Raises:
        LimitRefusal: it is not.
    """
    if context.sources(entry) <= {DATA}:
        fine = number(context, entry).is_zero
    else:
        fine = centred(context, entry)
    if not fine:
        raise LimitRefusal(
            "a value stays random and has a mean of its own", entry[0], "add the two parts later"
        )


def _covariances(context: MomentContext, entries: Sequence[Entry]) -> Kernels:
    cross, own = (
        tuple(
            finite(context.moment(a, b, cross), a[0])
            for a, b in itertools.product(entries, entries)
        )
        for cross in (True, False)
    )
    return Kernels((len(entries),), cross, own)


def _require_independent_levels(
    found: Cut, context: MomentContext, pushed: MomentContext, derivatives: dict[Scalars, Node]
) -> None:
    """Refuse scalars whose weights make other ones, given them, again."""
    for one, two in itertools.combinations(found.scalars, 2):
        if one.level == two.level:
            continue
        for at, first, second in (
            (context, one.node, two.node),
            (pushed, derivatives.get(one), derivatives.get(two)),
        ):
            if first is None or second is None:
                continue
            pairs = itertools.product(one.entries, two.entries)
            if any(_correlated(at, (first, a[1]), (second, b[1])) for a, b in pairs):
                raise LimitRefusal(
                    f"the random scalars {one.name} and {two.name} are made by the same weights, "
                    f"and {two.name} hangs on {one.name}: no law of both is known",
                    two.node,
                    "give the later ones weights of their own",
                )


def _correlated(context: MomentContext, a: Entry, b: Entry) -> bool:
    return not ex.is_zero(finite(context.moment(a, b), a[0]))


def _require_independent_output(found: Cut, context: MomentContext, kind: str) -> None:
    """Refuse an output that is correlated with the scalars it hangs on."""
    output = found.module.output.node
    if not any(n.op is PARAM for n in walk([output])):
        return  # a function of the scalars
    entry = (output, (0,) * output.type.rank)
    own = _context(found.module, [output])
    try:
        readouts = independent_readouts(output, entry, own)
    except LimitRefusal as refusal:
        if kind == "ntk":
            raise LimitRefusal(
                f"numbers in the middle of the network stay random, and {refusal.message}",
                refusal.node,
                "end the network with a readout V @ z; the covariance has a limit: --kind nngp",
            ) from refusal
        _require_uncorrelated(found, own)
        return
    for s in found.scalars:
        for n in walk([s.node]):
            if n.op is PARAM and n.attrs["name"] in readouts:
                raise LimitRefusal(
                    f"the readout {n.attrs['name']} makes the random scalars {s.name} too, so the "
                    "output is correlated with them",
                    readouts[n.attrs["name"]],
                    "give the output a readout of its own",
                )


def _require_uncorrelated(found: Cut, context: MomentContext) -> None:
    output = found.module.output.node
    entry = (output, (0,) * output.type.rank)
    for s in found.scalars:
        if any(_correlated(context, entry, e) for e in s.entries):
            raise LimitRefusal(
                f"the output is correlated with the random scalars {s.name} that it hangs on",
                output,
                HELP,
            )


def _require_smooth(found: Cut) -> None:
    """Refuse what derivatives by the scalars, taken as limits of quotients, would not see."""
    behind = {s.leaf for s in found.scalars}
    for node in walk([found.module.output.node, *(s.node for s in found.scalars)]):
        if not any(x in behind for x in node.operands):
            continue
        behind.add(node)
        activation = node.attrs.get("activation")
        if activation is not None and activation.dropped is not None:
            raise LimitRefusal(
                f"{activation.label} jumps, and random scalars move what it is applied to: the "
                "mean tangent kernel is not derived there",
                node,
                "the covariance has a limit: --kind nngp",
            )
        if node.op in (STOP_GRADIENT, BERNOULLI):
            raise LimitRefusal(
                f"`{node.op.name}` behind random scalars: the mean tangent kernel is not derived",
                node,
                "the covariance has a limit: --kind nngp",
            )
    for node in walk([found.module.output.node]):
        if node.op is BERNOULLI:
            raise LimitRefusal(
                "random masks and random scalars: the mean tangent kernel is not derived",
                node,
                "the covariance has a limit: --kind nngp",
            )
