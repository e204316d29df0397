"""The largest stable learning rates of a program whose multipliers and initial values are given.

Rates are raised until something that is consumed would blow up: for each weight the least c at
which what its update alone does to everything downstream, all other weights being where training
has brought them, stays of order one. With the initial values of maximal update these are its rates;
with others they are smaller where a feature's change would blow up an output (standard
parametrization), and the program then has the kernel limit of its readouts, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine
from tpc.scaling.interpret import ScalingContext
from tpc.scaling.names import Names
from tpc.scaling.run import Machine
from tpc.scaling.solve import Point, find
from tpc.scaling.state import Value, join, nothing
from tpc.scaling.trial import Finding, Trial

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node

#: A factor n^-8 makes the response to a change linear; it is taken out of the answer again.
_SMALL = 8


def largest_rates(module: Module, gauge: str = "table9") -> Point:
    """Return the program at the largest stable rates; a and b are what the program has.

    Each rate is the largest one while the others are at theirs: where several weights share what
    may move, that is one choice among several.

    Raises:
        TpcError: as :func:`tpc.scaling.solve.find` does.
    """
    params = {name: replace(spec, c=None) for name, spec in module.params.items()}
    point = find(replace(module, params=MappingProxyType(params)), gauge, trial=RateTrial)
    if point.finding.obstacles:
        value = point.finding.obstacles[0]
        raise TpcError(
            Diagnostic(
                "E0940",
                f"no rates are stable: the {value.kind} {Names(module).of(value.node)} blows up "
                "whatever the learning rates",
                module.spans.get(value.node),
                help="change initial values or multipliers: `tpc solve` without --rates-only",
            )
        )
    return point


class RateTrial(Trial):
    """A run in which updates are as large as everything downstream of them allows."""

    def _too_large(self) -> Finding | None:
        blown, _ = self.machine.verdict()
        if not blown:
            return None
        wanted = {}
        for name in self.trained:
            effect = self._action(name, self.context.changes[name])
            if effect is not None and effect < 0:
                wanted[name] = -effect
        return Finding(self.rates, q=wanted, obstacles=() if wanted else blown)

    def _inner_actions(self) -> dict[str, Fraction]:
        return {}

    def _initial_parts(self) -> dict[str, dict[Node, Fraction]]:
        return {}

    def _action(self, name: str, value: Value) -> Fraction | None:
        """Return the least exponent at which a change of a weight arrives where scale matters."""
        if not value:
            return None
        return self._probe().effect(name, value)

    def _probe(self) -> _Probe:
        changes = tuple(self.context.changes.items())
        known: tuple[object, _Probe] | None = getattr(self, "_made", None)
        if known is None or known[0] != tuple((n, id(v)) for n, v in changes):
            known = (tuple((n, id(v)) for n, v in changes), _Probe(self))
            self._made = known
        return known[1]


class _Probe:
    """The forward graph at the present weights, to see what one more change does there."""

    def __init__(self, trial: Trial) -> None:
        self._number = trial._number
        module, plan, old = trial.module, trial.plan, trial.context
        self.context = ScalingContext(trial.domain, module.params, old.aligned)
        self.context.changes = {n: nothing(spec.type.sort) for n, spec in module.params.items()}
        for name, change in old.changes.items():
            self.context.start_at(name, join(old.param(name).init, change))
        self.machine = Machine(plan, self.context)
        self._order = trial._forward
        self.machine.evaluate(self._order)

    def effect(self, name: str, value: Value) -> Fraction | None:
        small = self.context.domain.exponent(Affine.of(_SMALL))
        rest = self.context.changes[name]
        self.context.changes[name] = value.shift(small)
        self.machine.evaluate(self._order)
        found = [self._number(judged.change) for judged in self.context.judged.values()]
        self.context.changes[name] = rest
        self.machine.evaluate(self._order)
        known = [e for e in found if e is not None]
        return min(known) - _SMALL if known else None


def rates(point: Point) -> Mapping[str, Fraction]:
    """Return the exponents c of the weights that move."""
    return {n: point.triples[n].c for n, u in point.unknowns.items() if u.kind is not None}
