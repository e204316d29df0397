"""The abstract run: forward, backward and update steps until the sizes repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.optimizers.settings import WORDED, settings
from tpc.scaling.aligned import aligned
from tpc.scaling.domain import Domain
from tpc.scaling.growth import History
from tpc.scaling.interpret import NORMALISED, OUTPUT, Judged, ScalingContext
from tpc.scaling.plan import Plan
from tpc.scaling.state import Size, Value, join, nothing
from tpc.scaling.tropical import Tropical
from tpc.scaling.updates import Felt, Trained, ruled_by_decay, shrinkage, updates

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node

_PATIENCE = 120


class Unsettled(Exception):  # noqa: N818 - reported as a diagnostic
    """The sizes still change after many steps of training."""


@dataclass(frozen=True)
class Run:
    """Sizes of all nodes after `steps` training steps, when they repeat or something blew up.

    ``blown`` are the values that blew up, at the last step; ``growing`` those that gain a fixed
    power of the width every few steps and so will blow up, with the step at which they do;
    ``vanished`` the preactivations that vanish at initialisation. Where one of these is not empty
    the run ended there.
    """

    plan: Plan
    context: ScalingContext
    sizes: Mapping[Node, Size]
    trained: Mapping[str, Trained]
    steps: int
    blown: tuple[Judged, ...] = ()
    vanished: tuple[Judged, ...] = ()
    growing: tuple[tuple[Judged, int], ...] = ()

    @property
    def domain(self) -> Domain:
        """The order of exponents that the run was made in."""
        return self.context.domain

    def plain(self, exponent: Tropical) -> Tropical:
        """Return an exponent in the program's own unit."""
        return self.domain.plain(exponent)

    def shrinkage(self, name: str) -> Tropical:
        """Return the exponent of the share of a weight that decay and penalties take in a step."""
        given = felt(self.plan, self.sizes, self.trained)
        return shrinkage(name, self.trained, given, self.domain)

    @property
    def shrinks(self) -> bool:
        """Whether decay or a penalty acts on a weight that moves."""
        decays = any(not weight.settings.decay.is_zero for weight in self.trained.values())
        return decays or bool(self.plan.penalties)

    def is_ruled_by_decay(self, name: str) -> bool:
        """Whether steps that do not depend on scale are of what decay adds, not of the gradient."""
        given = felt(self.plan, self.sizes, self.trained)
        return ruled_by_decay(name, self.trained, given, self.domain)


def felt(plan: Plan, sizes: Mapping[Node, Size], names: Iterable[str]) -> dict[str, Felt]:
    """Return what optimizers feel of weights that move."""
    alone = plan.penalties
    return {
        name: Felt(
            sizes[plan.gradients[name]],
            sizes[alone[name]] if name in alone else None,
            sizes[plan.leaves[name]],
        )
        for name in names
    }


def how_trained(module: Module) -> dict[str, Trained]:
    """Return the weights that move, and how.

    Raises:
        TpcError: an optimizer cannot move a weight.
    """
    found = {}
    for name in module.trained:
        chosen = settings(module, name, WORDED)
        if chosen is not None and not chosen.rate.is_zero:
            found[name] = Trained(module.params[name], chosen)
    return found


def run(module: Module, plan: Plan, domain: Domain, *, shrinking: bool = False) -> Run:
    """Run a module abstractly.

    What weight decay and penalties do to initial weights themselves is no learning, and left out of
    changes, unless ``shrinking``.

    Raises:
        tpc.ops.base.MissingRule: an op has no rule for exponents.
        tpc.scaling.entries.NoUpdateRule: an optimizer has none.
        tpc.scaling.domain.Split: a symbolic domain must be cut first.
        Unsettled: no fixed point was found.
    """
    trained = how_trained(module)
    context = ScalingContext(domain, module.params, aligned(plan, module.alignment))
    context.changes = {n: nothing(spec.type.sort) for n, spec in module.params.items()}
    machine, history = Machine(plan, context), History(domain, len(trained))
    for step in range(_PATIENCE):
        machine.evaluate()
        result = Run(plan, context, machine.sizes, trained, step, *machine.verdict())
        if result.blown or result.vanished or not _advance(machine, trained, shrinking):
            return result
        growing = history.growing(context.judged.values())
        if growing:
            return replace(result, growing=growing)
    raise Unsettled(f"sizes still change after {_PATIENCE} training steps")


def _advance(machine: Machine, trained: Mapping[str, Trained], shrinking: bool) -> bool:
    """Add one step's updates to the weights; return whether that changed a size."""
    context = machine.context
    given = felt(machine.plan, machine.sizes, trained)
    steps = updates(trained, given, context.domain, shrinking=shrinking)
    moved = False
    for name, update in steps.items():
        old: Value = context.changes[name]
        new = context.domain.simplify(update)
        if not context.domain.covers(old, new):
            context.changes[name] = context.domain.simplify(join(old, new))
            moved = True
    return moved


class Machine:
    """Evaluates the graph again and again; what no change has reached is not evaluated again."""

    def __init__(self, plan: Plan, context: ScalingContext) -> None:
        self.plan = plan
        self.context = context
        self.sizes: dict[Node, Size] = {}
        self._seen: dict[Node, tuple[Size | Value, ...]] = {}

    def evaluate(self, order: Sequence[Node] | None = None) -> None:
        """Bring the sizes of all nodes up to date with the weights' changes.

        ``order`` may be a part of the graph: nodes in order, with all that they need.
        """
        sizes, seen, simplify = self.sizes, self._seen, self.context.domain.simplify
        for node in self.plan.order if order is None else order:
            operands = tuple(sizes[operand] for operand in node.operands)
            key = operands or self._leaf_key(node)
            known = seen.get(node)
            if known is not None and all(a is b for a, b in zip(key, known, strict=True)):
                continue
            seen[node] = key
            found = node.op.exponents(node, operands, self.context)
            sizes[node] = Size(simplify(found.init), simplify(found.change))
        for node in self.plan.outputs.values():
            size = sizes[node]
            self.context.judge(node, OUTPUT, size.init.smallest, size.change.smallest)

    def _leaf_key(self, node: Node) -> tuple[Value, ...]:
        name = node.attrs.get("name")
        changes = self.context.changes
        return (changes[name],) if node.op.name == "param" and name in changes else ()

    def verdict(self) -> tuple[tuple[Judged, ...], tuple[Judged, ...]]:
        """Return the consumed values that blew up, and those that vanish at initialisation."""
        judged = self.context.judged.values()
        return (
            tuple(value for value in judged if blows_up(value)),
            tuple(value for value in judged if vanishes(value)),
        )


def blows_up(value: Judged) -> bool:
    """Whether a consumed value, or its change, grows with the width (numeric exponents)."""
    scale_free = value.kind == NORMALISED
    return (not scale_free and _negative(value.init)) or _negative(value.change)


def vanishes(value: Judged) -> bool:
    """Whether a function sees a constant at initialisation (numeric exponents)."""
    if value.kind == NORMALISED:
        return value.init.is_infinite
    if value.kind != "preactivation":
        return False
    return value.init.is_infinite or (value.init.number is not None and value.init.number > 0)


def _negative(exponent: Tropical) -> bool:
    return exponent.number is not None and exponent.number < 0
