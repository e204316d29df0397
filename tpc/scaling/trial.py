"""One abstract run in search of the maximal update: what must change before it can go on.

Every weight's output is wanted at order one: at initialisation or, where training aligns what the
weight reads with it, afterwards; and moved by order one by the weight's own update. A run measures
both before anything has blown up, so that what it finds is about the weight and not about the
noise that another weight makes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.exact import Affine
from tpc.ir.node import walk
from tpc.scaling.actions import Site, inner_sites, sites
from tpc.scaling.aligned import aligned
from tpc.scaling.interpret import Judged, ScalingContext
from tpc.scaling.run import Machine, Unsettled, felt
from tpc.scaling.state import Value, join, nothing
from tpc.scaling.updates import Trained, updates

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.scaling.domain import Domain
    from tpc.scaling.plan import Plan
    from tpc.scaling.tropical import Tropical
    from tpc.scaling.unknowns import Unknown

_PATIENCE = 100


@dataclass(frozen=True)
class Finding:
    """What a run found.

    ``p`` and ``q`` are to be added to the exponents of weights; ``rates`` are values of q that were
    chosen on the way. ``obstacles`` blew up though every weight before them is at its best.
    ``still`` are weights that never get a gradient. A run that has ``settled`` blew up nowhere:
    what is to be added then makes something larger that could be.
    """

    rates: Mapping[str, Fraction]
    p: Mapping[str, Fraction] = field(default_factory=dict)
    q: Mapping[str, Fraction] = field(default_factory=dict)
    obstacles: tuple[Judged, ...] = ()
    still: tuple[str, ...] = ()
    settled: bool = False


class Trial:
    """A run of a module at given exponents; ``rates`` are the q known so far."""

    def __init__(
        self,
        module: Module,
        plan: Plan,
        domain: Domain,
        unknowns: Mapping[str, Unknown],
        trained: Mapping[str, Trained],
        rates: Mapping[str, Fraction],
    ) -> None:
        self.module, self.plan, self.domain = module, plan, domain
        self.unknowns, self.trained = unknowns, trained
        self.rates = dict(rates)
        self.sites = sites(plan)
        self.context = ScalingContext(domain, module.params, aligned(plan, module.alignment))
        self.context.changes = {n: nothing(spec.type.sort) for n, spec in module.params.items()}
        self.machine = Machine(plan, self.context)
        # what blows up does so in the forward pass, and then the backward pass is not needed
        self._forward = tuple(walk([*plan.outputs.values(), *_losses(module)]))
        self._plain = {name: _at_unit_rate(weight) for name, weight in trained.items()}
        self.finding = Finding(self.rates)
        self.steps = 0
        self._known: dict[Site, tuple[tuple[object, ...], Tropical]] = {}

    def run(self) -> Finding:
        """Train, and keep what is found as ``finding``: see :meth:`_run`."""
        self.finding = self._run()
        return self.finding

    def _run(self) -> Finding:
        """Train until the sizes repeat, or something must change first.

        Raises:
            Unsettled: the sizes do not repeat.
            tpc.ops.base.MissingRule, tpc.scaling.entries.NoUpdateRule: as :func:`run` does.
        """
        for self.steps in range(_PATIENCE):
            self.machine.evaluate(self._forward)
            found = self._too_large() or self._rates_of_inner_steps(too_large=True)
            if found is not None:
                return found
            self.machine.evaluate()
            if blown := self.machine.verdict()[0]:
                return Finding(self.rates, obstacles=blown)
            steps = self._steps()
            too_fast = self._choose_rates(steps)
            if too_fast:
                return Finding(self.rates, q=too_fast)
            if not self._advance(steps):
                return self._too_small(steps)
        raise Unsettled(f"sizes still change after {_PATIENCE} training steps")

    # -- initial parts ---------------------------------------------------------------------------

    def _too_large(self) -> Finding | None:
        """Return what to do about weights whose outputs blow up, if there are any.

        An initial part is to blame where it makes too much of what it reads, and so is what
        training has added to the weight before, when what it reads grows later.
        """
        parts = {"p": self._initial_parts(), "q": self._added_parts()}
        large = {
            (which, name): negative
            for which, found in parts.items()
            for name, ends in found.items()
            if (negative := {node: e for node, e in ends.items() if e < 0})
        }
        blown, _ = self.machine.verdict()
        if not large and not blown:
            return None
        places = {node for ends in large.values() for node in ends}
        clear = self._clear([*places, *(j.node for j in blown)])
        lifts: dict[str, dict[str, Fraction]] = {"p": {}, "q": {}}
        for (which, name), ends in large.items():
            first = [e for node, e in ends.items() if node in clear]
            if first:
                lifts[which][name] = -min(first)
        if lifts["p"] or lifts["q"]:
            return Finding(self.rates, p=lifts["p"], q=lifts["q"])
        return Finding(self.rates, obstacles=tuple(j for j in blown if j.node in clear) or blown)

    def _initial_parts(self) -> dict[str, dict[Node, Fraction]]:
        """Return what the initial parts of weights do at each place, as far as it is solved for."""
        return {
            name: _known_only({s.end: self._initial(name, s) for s in self.sites.get(name, ())})
            for name, weight in self.unknowns.items()
            if weight.free_p
        }

    def _added_parts(self) -> dict[str, dict[Node, Fraction]]:
        """Return what the changes of weights do at each place, as far as they are solved for."""
        sizes, context = self.machine.sizes, self.context
        found = {}
        for name in self.trained:
            change = context.changes[name]
            if self.unknowns[name].free_q and change:
                ends = {s.end: s.action(change, sizes, context) for s in self.sites.get(name, ())}
                found[name] = _known_only({node: self._number(e) for node, e in ends.items()})
        return found

    def _initial(self, name: str, site: Site) -> Fraction | None:
        """Return the exponent of what the initial part of a weight does, None where nothing."""
        sizes = self.machine.sizes
        key = tuple(sizes[x] for node in site.path[1:] for x in node.operands[:])
        known = self._known.get(site)
        if known is None or any(x is not y for x, y in zip(known[0], key, strict=True)):
            initial = self.context.param(name).init
            size = site.action(initial, sizes, self.context, initial=True)
            known = self._known[site] = (key, size)
        return self._number(known[1])

    def _clear(self, places: Iterable[Node]) -> Collection[Node]:
        """Return the places that are not downstream of any other of them."""
        marked, tainted = set(places), set()
        for node in self.plan.order:
            if any(x in tainted or x in marked for x in node.operands):
                tainted.add(node)
        return marked - tainted

    # -- updates ---------------------------------------------------------------------------------

    def _steps(self) -> dict[str, Value]:
        """Return what a step at c = 0 adds to each weight."""
        given = felt(self.plan, self.machine.sizes, self._plain)
        return updates(self._plain, given, self.domain)

    def _choose_rates(self, steps: Mapping[str, Value]) -> dict[str, Fraction]:
        """Give rates to weights that begin to move; return how much slower others must be."""
        too_fast = {}
        for name, step in steps.items():
            if not self.unknowns[name].free_q:
                continue
            action = self._action(name, step)
            if action is None:
                continue
            if name not in self.rates:
                self.rates[name] = self._q(name, -action)
            elif self._c(name) + action < 0:
                too_fast[name] = -action - self._c(name)
        return too_fast

    def _action(self, name: str, value: Value) -> Fraction | None:
        """Return the exponent of the largest result that a value makes in a weight's place."""
        if not value:
            return None
        sizes = self.machine.sizes
        found = [site.action(value, sizes, self.context) for site in self.sites.get(name, ())]
        return min((e for e in map(self._number, found) if e is not None), default=None)

    def _advance(self, steps: Mapping[str, Value]) -> bool:
        """Add the steps at their rates; return whether that changed a size."""
        moved = False
        for name, step in steps.items():
            if self.unknowns[name].free_q and name not in self.rates:
                continue
            new = self.domain.simplify(step.shift(self.domain.exponent(self._c(name))))
            old = self.context.changes[name]
            if not self.domain.covers(old, new):
                self.context.changes[name] = self.domain.simplify(join(old, new))
                moved = True
        return moved

    def _rates_of_inner_steps(self, too_large: bool) -> Finding | None:
        """Return how much slower (or faster) weights must be for the sake of inner steps."""
        wanted = {}
        for name, step in self._inner_actions().items():
            if self.unknowns[name].free_q and (step < 0 if too_large else step > 0):
                wanted[name] = -step
        return Finding(self.rates, q=wanted) if wanted else None

    def _inner_actions(self) -> dict[str, Fraction]:
        sizes, found = self.machine.sizes, {}
        for name, steps in inner_sites(self.plan).items():
            actions = [
                self._number(site.action(sizes[node].total, sizes, self.context))
                for node, places in steps
                for site in places
            ]
            known = [e for e in actions if e is not None]
            if known:
                found[name] = min(known)
        return found

    # -- at the end ------------------------------------------------------------------------------

    def _too_small(self, steps: Mapping[str, Value]) -> Finding:
        """Return which initial parts, and then which updates, could be larger."""
        small = {}
        for name, ends in self._initial_parts().items():
            least = min(ends.values(), default=Fraction(0))
            if least > 0:
                small[name] = (next(n for n, e in ends.items() if e == least), least)
        clear = self._clear(place for place, _ in small.values())
        lower = {name: -e for name, (place, e) in small.items() if place in clear}
        slow, still, inner = {}, [], self._inner_actions()
        for name, step in steps.items():
            action = self._action(name, step)
            reached = [] if action is None else [action + self._c(name)]
            reached += [inner[name]] if name in inner else []
            if not reached:
                still.append(name)
            elif self.unknowns[name].free_q and min(reached) > 0:
                slow[name] = -min(reached)
        return Finding(self.rates, p=lower, q=slow, still=tuple(still), settled=True)

    # -- numbers ---------------------------------------------------------------------------------

    def _number(self, exponent: Tropical) -> Fraction | None:
        if exponent.number is None:
            return None
        return Fraction(exponent.number) / self.domain.unit

    def _c(self, name: str) -> Fraction:
        """Return the exponent c of a weight whose q is known."""
        spec, weight = self.module.params[name], self.unknowns[name]
        if not weight.free_q:
            return spec.exponent("c").const
        return self.rates[name] - weight.multiplicity * spec.exponent("a").const

    def _q(self, name: str, c: Fraction) -> Fraction:
        weight, spec = self.unknowns[name], self.module.params[name]
        return c + weight.multiplicity * spec.exponent("a").const


def _losses(module: Module) -> tuple[Node, ...]:
    return () if module.loss is None else (module.loss,)


def _known_only(found: Mapping[Node, Fraction | None]) -> dict[Node, Fraction]:
    return {node: e for node, e in found.items() if e is not None}


def _at_unit_rate(weight: Trained) -> Trained:
    """Return how a weight is trained, at c = 0."""
    spec = replace(weight.spec, c=Affine.of(0))
    rate = replace(
        weight.settings.rate, power=weight.settings.rate.power + weight.spec.exponent("c")
    )
    return Trained(spec, replace(weight.settings, rate=rate))
