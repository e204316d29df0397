"""The maximal-update parametrization of any program, solved for.

The maximal update is the stable point at which, for every weight, the initial part acting on what
the weight reads is as large as may be, at initialisation and after training has aligned what it
reads with it, and at which the weight's update moves its own output by order one (Yang & Hu 2020,
TP4; Yang et al. 2021, TP5). It is found by policy iteration over exact exponents: run the program
abstractly; where an initial part makes too much of what it reads, or an update of it, take away as
much as is too much and start again; where at the end something is too little, add it. Every
finding is first-hand: nothing downstream of another one is counted, and no update is added before
its rate is known. Roles of weights and tables play no part in it; they only choose the gauge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Coefficient
from tpc.ops.add import add
from tpc.ops.base import MissingRule
from tpc.ops.batch import batch_mean
from tpc.ops.input import input_
from tpc.ops.mean import average
from tpc.ops.multiply import multiply
from tpc.parametrize.acting import acting
from tpc.parametrize.roles import Role, roles
from tpc.scaling.actions import inner_sites, sites
from tpc.scaling.classify import missing_rule
from tpc.scaling.domain import Domain
from tpc.scaling.entries import NoUpdateRule
from tpc.scaling.gauges import entry_exponent, multiplier
from tpc.scaling.plan import Plan, plan
from tpc.scaling.run import Unsettled, how_trained
from tpc.scaling.trial import Finding, Trial
from tpc.scaling.unknowns import Triple, Unknown, with_triples

if TYPE_CHECKING:
    from tpc.ir.module import Module, NamedValue, OptimizerSpec
    from tpc.ir.node import Node

_HALF = Fraction(1, 2)
_ZERO = Triple(Fraction(0), Fraction(0), Fraction(0))
_MOST_ROUNDS = 40
Start: TypeAlias = tuple[Mapping[str, Fraction], Mapping[str, Fraction]]

#: A rate so small that an inner step is negligible, until it has been measured.
_SLOW = Fraction(4)


@dataclass(frozen=True)
class Point:
    """Exponents for every weight, and the run that they were found in.

    ``module`` has them, as ``triples``; where ``finding`` names obstacles they are the best found.
    """

    module: Module
    unknowns: Mapping[str, Unknown]
    roles: Mapping[str, Role]
    triples: Mapping[str, Triple]
    p: Mapping[str, Fraction]
    q: Mapping[str, Fraction]
    trial: Trial

    @property
    def finding(self) -> Finding:
        """What the last run found, and could not be mended."""
        return self.trial.finding


def find(
    module: Module,
    gauge: str = "table9",
    start: Start | None = None,
    hint: Module | None = None,
    trial: type[Trial] = Trial,
) -> Point:
    """Return the point of maximal update: missing exponents are solved for, stated ones kept.

    The search begins at values ``start`` of p and q, or at those of a module ``hint`` with
    exponents, where there are better ones than the usual. ``trial`` is what is run to find out what
    is too large or too small.

    Raises:
        TpcError: the program has symbolic exponents, or an op has no rule for exponents, or the
            iteration does not settle.
    """
    _refuse_symbols(module)
    ready = _prepared(acting(module))
    played = roles(module)
    with _diagnosed(ready):
        made = plan(ready)
        unknowns = _unknowns(ready, made, gauge, played)
        first = start or _start(made, unknowns, played)
        if hint is not None:
            first = _hinted(hint, unknowns, first)
        search = _Search(ready, made, unknowns, first, trial)
        last = search.run()
        if gauge == "equal":
            unknowns = {name: _evened(u, search.q.get(name)) for name, u in unknowns.items()}
            search = _Search(ready, made, unknowns, (search.p, search.q), trial)
            last = search.run()
    found = {n: u.triple(search.p[n], search.q.get(n)) for n, u in unknowns.items()}
    final = with_triples(module, found)
    return Point(final, unknowns, played, found, search.p, search.q, last)


# -- the iteration ---------------------------------------------------------------------------------


class _Search:
    """The iteration: run, mend and run again, until nothing is left to mend.

    ``p`` and ``q`` are the present exponents. What has been found too large is remembered. Usually
    that does not matter: a number may be mended in both directions, since it depends on others. But
    near a saddle (a bottleneck that vanishes at initialisation, under gradient descent) weights
    that move by order one in the first step blow up in the second, and with rates at which they do
    not they never move by order one: where the iteration comes back to where it was before, numbers
    that were too large once are not taken again, and it ends at the slow ones.
    """

    def __init__(
        self,
        module: Module,
        made: Plan,
        unknowns: Mapping[str, Unknown],
        start: Start,
        trial: type[Trial],
    ) -> None:
        self._kind = trial
        self.module, self.made, self.unknowns = module, made, unknowns
        self.p, self.q = dict(start[0]), dict(start[1])
        self._inner = inner_sites(made)
        self._floors: dict[tuple[str, str], Fraction] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._careful = False

    def run(self) -> Trial:
        """Search; return the last run. Its finding tells what could not be mended.

        Raises:
            _NoPoint: the iteration does not end.
        """
        for _ in range(_MOST_ROUNDS + 4 * len(self.unknowns)):
            state = (tuple(self.p.items()), tuple(sorted(self.q.items())))
            self._careful = self._careful or state in self._seen
            self._seen.add(state)
            last = self._trial()
            if not self._mend(last.run()):
                return last
        raise _NoPoint

    def _trial(self) -> Trial:
        at = with_triples(
            self.module,
            {n: u.triple(self.p[n], self.q.get(n)) for n, u in self.unknowns.items()},
        )
        return self._kind(at, self.made, Domain(), self.unknowns, how_trained(at), self.q)

    def _mend(self, finding: Finding) -> bool:
        """Change p and q as a run wants it; return whether that changed anything."""
        rates = dict(finding.rates)
        p = self._wanted("p", self.p, finding.p)
        q = self._wanted("q", rates, finding.q)
        # an initial part may be small because what it reads does not move yet: rates come first
        if p and not (finding.settled and q):
            self.p |= p
            # gradients are of other sizes now: rates are chosen anew
            self.q = {n: e for n, e in rates.items() if self._keeps_rate(n)}
        else:
            self.q = rates | q
        return bool(p or q)

    def _wanted(
        self, which: str, now: Mapping[str, Fraction], more: Mapping[str, Fraction]
    ) -> dict[str, Fraction]:
        found = {}
        for name, change in more.items():
            floor = self._floors.get((which, name))
            if change > 0:
                self._floors[which, name] = max(now[name], now[name] if floor is None else floor)
            elif self._careful and floor is not None and now[name] + change <= floor:
                continue
            found[name] = now[name] + change
        return found

    def _keeps_rate(self, name: str) -> bool:
        return not self.unknowns[name].free_q or name in self._inner


def _start(
    made: Plan, unknowns: Mapping[str, Unknown], played: Mapping[str, Role]
) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    """Return first values: initial weights as for independent inputs of order one, no rates."""
    p, q = {}, {}
    places, inner = sites(made), inner_sites(made)
    for name, weight in unknowns.items():
        stated_p, stated_q = weight.start()
        wide = any(site.contracts for site in places.get(name, ()))
        if stated_p is None and weight.free_p:
            stated_p = _HALF if wide else Fraction(0)
        p[name] = entry_exponent(played[name]) if stated_p is None else stated_p
        if stated_q is not None:
            q[name] = stated_q
        elif name in inner and weight.free_q:
            q[name] = _SLOW
    return p, q


def _hinted(hint: Module, unknowns: Mapping[str, Unknown], first: Start) -> Start:
    """Return the p and q of a module where they are unknown."""
    p, q = dict(first[0]), dict(first[1])
    for name, weight in unknowns.items():
        a, b, c = (hint.params[name].exponent(which) for which in ("a", "b", "c"))
        if weight.free_p and (a + b).is_constant:
            p[name] = (a + b).const
        if weight.free_q and (a * weight.multiplicity + c).is_constant:
            q[name] = (a * weight.multiplicity + c).const
    return p, q


class _NoPoint(Exception):  # noqa: N818 - reported as a diagnostic
    """The iteration goes round in circles."""


# -- what is asked for -----------------------------------------------------------------------------


def _unknowns(
    module: Module, made: Plan, gauge: str, played: Mapping[str, Role]
) -> dict[str, Unknown]:
    trained = how_trained(with_triples(module, dict.fromkeys(module.params, _ZERO)))
    found, places = {}, sites(made)
    for name, spec in module.params.items():
        kind = trained[name].settings.optimizer.kind if name in trained else None
        written = {site.after.const for site in places.get(name, ()) if site.after.is_constant}
        only = written.pop() if len(written) == 1 else Fraction(0)
        found[name] = Unknown(spec, kind, multiplier(gauge, played[name], only))
    return found


def _evened(weight: Unknown, q: Fraction | None) -> Unknown:
    """Return a weight with the multiplier at which c = 0."""
    times = weight.multiplicity
    if weight.kind is None or q is None or not times or not weight.gauge_is_free:
        return weight
    return replace(weight, multiplier=q / times)


def _prepared(module: Module) -> Module:
    """Return the module without epsilons and decays that are to be solved for, and with a loss."""
    lines = tuple(_without_constants(line) for line in module.optimizers)
    params = {
        name: replace(spec, eps=_scaled_only(spec.eps), decay=_scaled_only(spec.decay))
        for name, spec in module.params.items()
    }
    module = replace(module, optimizers=lines, params=MappingProxyType(params))
    if module.loss is not None:
        return module
    sgd = optimizer_line("sgd")
    return replace(module, loss=generic_loss(module.outputs), optimizers=(sgd,))


def _without_constants(line: OptimizerSpec) -> OptimizerSpec:
    options = {
        key: value
        for key, value in line.options.items()
        if key not in ("eps", "decay") or (isinstance(value, Coefficient) and _scaled_only(value))
    }
    return replace(line, options=MappingProxyType(options))


def _scaled_only(stated: Coefficient | None) -> Coefficient | None:
    """Return an epsilon, or a decay, whose power of the width the program states."""
    return stated if stated is not None and stated.power != 0 else None


def optimizer_line(name: str) -> OptimizerSpec:
    """Return an optimizer line as a program would have it."""
    from tpc.ir.module import OptimizerSpec

    return OptimizerSpec(name, MappingProxyType({"lr": Coefficient.of(1)}))


def generic_loss(outputs: Iterable[NamedValue]) -> Node:
    """Return a loss whose derivative is of order one: the outputs against generic targets.

    It stands in where a program has no ``train:``, so that maximal update means something there.
    """
    found = []
    for value in outputs:
        node = value.node
        other = node if node.type.sort else input_(f"{value.name} wanted", node.type.dims)
        product = multiply(node, other)
        found.append(batch_mean(average(product, tuple(range(product.type.rank)))))
    return reduce(add, found)


# -- diagnostics -----------------------------------------------------------------------------------


def _refuse_symbols(module: Module) -> None:
    if module.exponents:
        raise TpcError(
            Diagnostic(
                "E0930",
                f"the exponents {', '.join(module.exponents)} have no values",
                help="give them some (--set c=1), or leave them out to have them solved for",
            )
        )


@contextmanager
def _diagnosed(module: Module) -> Iterator[None]:
    try:
        yield
    except MissingRule as missing:
        raise TpcError(missing_rule(module, missing)) from missing
    except NoUpdateRule as missing:
        raise TpcError(Diagnostic("E0931", f"no scaling rule for {missing}")) from missing
    except (Unsettled, _NoPoint) as unsettled:
        raise TpcError(
            Diagnostic("E0944", "the exponents of maximal update do not settle")
        ) from unsettled
