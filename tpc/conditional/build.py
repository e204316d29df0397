"""From a program to its kernel limit as an average over random scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.conditional.cut import Cut, cut
from tpc.conditional.law import Level, levels
from tpc.conditional.limit import ConditionalLimit
from tpc.ir.node import walk
from tpc.limit import expressions as ex
from tpc.limit.kernels import Kernels
from tpc.limit.moment import LimitRefusal, TooMany
from tpc.limit.positions import chosen
from tpc.limit.sampled import SampledLimit
from tpc.limit.tangent import moved_params
from tpc.ops.base import MissingRule
from tpc.ops.batch import couples_samples

if TYPE_CHECKING:
    from tpc.ir.module import Module


def instead(
    module: Module, kind: str, refusal: LimitRefusal | MissingRule
) -> ConditionalLimit | None:
    """Return the limit of a program that has none without a cut, None where a cut is no help.

    Raises:
        LimitRefusal: the program is refused for what stays random in it, and so is this limit.
        MissingRule: an op has no limit rule behind the cut.
    """
    if isinstance(refusal, TooMany) or module.output.node.type.width_axes:
        return None
    try:
        return conditional(module, kind)
    except (LimitRefusal, MissingRule):
        if "random" in str(refusal):
            raise
        return None  # what was said before says more


def conditional(module: Module, kind: str) -> ConditionalLimit | None:
    """Return the limit of a program with random scalars, None where it has none.

    Raises:
        LimitRefusal: the program has no such kernel, given its scalars, or their law is not known.
        MissingRule: an op has no limit rule.
    """
    found = cut(module)
    if not found.scalars or couples_samples(module):
        return None
    laws = levels(found, kind)
    behind = chosen(found.module, "nngp")
    tangent = chosen(found.module, "ntk") if kind == "ntk" and _trains(found) else None
    if isinstance(behind, SampledLimit) or isinstance(tangent, SampledLimit):
        raise LimitRefusal(
            "given scalars that stay random (values without a width), what is behind them needs "
            "sampled neurons, as masks inside of nonlinearities do: both together are not averaged",
            module.output.node,
        )
    last = tangent or behind
    notes = tuple(note for note in last.kernels.notes if "independent copies" not in note)
    kernels = Kernels(last.kernels.kept, (), (), notes=(*_notes(laws, kind), *notes))
    return ConditionalLimit(
        module, kind, kernels, cut=found, levels=laws, behind=behind, tangent=tangent
    )


def _trains(found: Cut) -> bool:
    names = {spec.name for spec in moved_params(found.module)}
    return any(
        n.attrs.get("name") in names for n in walk([found.module.output.node]) if not n.operands
    )


def _notes(laws: tuple[Level, ...], kind: str) -> tuple[str, ...]:
    random = [level for level in laws if not all(map(ex.is_zero, level.values.entries))]
    names = ", ".join(s.name for level in random or laws for s in level.scalars)
    if kind == "nngp":
        return (
            (
                f"the scalars {names} stay random at infinite width: f is a mixture of Gaussians, "
                "and this is its covariance, averaged over the scalars",
            )
            if random
            else (f"the scalars {names} begin at zero",)
        )
    what = "stay random at infinite width" if random else "begin at zero and move with training"
    return (
        f"the scalars {names} {what}, and the tangent kernel is random at infinite width: this is "
        "its mean over networks",
        "training moves the scalars: it is not governed by a fixed kernel",
    )
