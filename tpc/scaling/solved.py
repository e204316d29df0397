"""The maximal-update parametrization as a result: exponents per weight, checked by classifying."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine, Coefficient, Constant
from tpc.optimizers import optimizers
from tpc.optimizers.settings import WORDED, settings
from tpc.parametrize.roles import Role
from tpc.scaling.actions import sites
from tpc.scaling.classification import Classification, Kind, Status, exponent_text
from tpc.scaling.classify import classify, read
from tpc.scaling.gauges import GAUGES
from tpc.scaling.names import Names
from tpc.scaling.run import Run, how_trained
from tpc.scaling.solve import Point, find

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec
    from tpc.optimizers.settings import Settings
    from tpc.scaling.interpret import Judged

_EPS = Constant.of(Fraction(1, 10**8))


@dataclass(frozen=True)
class Weight:
    """What one weight gets.

    The network uses ``mult * n^-a * w``, w begins with standard deviation ``sigma * n^-b`` (or the
    weight itself at ``init`` zero or one), and moves at the rate ``rate * n^-c``. ``decay`` and
    ``eps`` are coefficients with powers of the width (None where there is none); ``rate`` is None
    for weights that do not move. ``fan_in`` tells whether a width axis of the weight is summed
    over; ``stated`` whether the program itself states any of its exponents.
    """

    name: str
    role: Role
    a: Fraction
    b: Fraction
    c: Fraction
    init: str
    sigma: Constant
    mult: Constant
    rate: Coefficient | None
    decay: Coefficient | None
    eps: Coefficient | None
    gradient: Fraction | None
    fan_in: bool
    stated: bool
    optimizer: str | None


@dataclass(frozen=True)
class Solved:
    """The maximal-update parametrization of a program, in a gauge.

    ``module`` is the program with its exponents filled in, ``classification`` what it does there
    (None without ``train:``), ``warnings`` what could not be had.
    """

    module: Module
    gauge: str
    weights: Mapping[str, Weight]
    classification: Classification | None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def exponents(self) -> Mapping[str, tuple[Fraction, Fraction, Fraction]]:
        """The exponents (a, b, c) of every weight."""
        return {name: (w.a, w.b, w.c) for name, w in self.weights.items()}


def solve(
    module: Module,
    gauge: str = "table8",
    *,
    everything: bool | None = None,
    hint: Module | None = None,
) -> Solved:
    """Return the maximal-update parametrization of a program under its optimizers.

    Missing exponents are solved for, stated ones kept; with ``everything`` all weights that move
    are solved for anew. By default that is done where the program leaves nothing out.
    Constant epsilons and weight decays get the powers of the width at which they act alike at all
    widths. ``hint`` is the same program at exponents that may already be the answer.

    Raises:
        TpcError: there is no such point, or it cannot be found.
        KeyError: there is no such gauge.
    """
    _check_gauge(gauge)
    asked = _asked(module, everything)
    point = find(asked, gauge, hint=hint)
    if point.finding.obstacles:
        raise TpcError(obstacle(module, point, point.finding.obstacles[0]))
    final = _with_scaled_options(module, asked, point)
    found = _classified(final, point) if module.loss is not None else None
    warnings = (*gauge_warnings(asked, point, gauge), *_degenerate(found, final))
    errors, remarks = _not_maximal(final, point, found)
    if errors:
        raise TpcError(errors)
    weights = {name: _weight(final, asked, point, name) for name in final.params}
    return Solved(final, gauge, MappingProxyType(weights), found, (*warnings, *remarks))


def _check_gauge(gauge: str) -> None:
    if gauge not in GAUGES:
        raise KeyError(f"no gauge {gauge!r}: {', '.join(GAUGES)}")


def _asked(module: Module, everything: bool | None) -> Module:
    """Return the module without the exponents that are to be solved for."""
    missing = any(None in (spec.a, spec.b, spec.c) for spec in module.params.values())
    if everything is None:
        everything = not missing
    if not everything:
        return module
    params = {
        name: spec if spec.frozen and spec.a is not None else replace(spec, a=None, b=None, c=None)
        for name, spec in module.params.items()
    }
    return replace(module, params=MappingProxyType(params), exponents=())


# -- the solved module -----------------------------------------------------------------------------


def _with_scaled_options(module: Module, asked: Module, point: Point) -> Module:
    """Return the solved module, constant epsilons and decays scaled with the width."""
    exponents = point.module.params
    params = {
        name: replace(spec, a=exponents[name].a, b=exponents[name].b, c=exponents[name].c)
        for name, spec in module.params.items()
    }
    final = replace(
        module, params=MappingProxyType(params), exponents=asked.exponents, parametrization=None
    )
    if module.loss is None:
        return final
    final = with_faithful_eps(final, point)
    params |= {name: _scaled(final, point, name) for name in final.trained}
    return replace(final, params=MappingProxyType(params))


def with_faithful_eps(module: Module, point: Point) -> Module:
    """Return the module with numbers in the place of every ``eps = faithful``."""
    params = dict(module.params)
    for name in module.trained:
        line = module.optimizer_of(name)
        if line is not None and line.options.get("eps") == "faithful" and not params[name].eps:
            eps = Coefficient(_EPS, Affine.of(-faithful(point, name)))
            params[name] = replace(params[name], eps=eps)
    return replace(module, params=MappingProxyType(params))


def _scaled(module: Module, point: Point, name: str) -> ParamSpec:
    spec, line = module.params[name], module.optimizer_of(name)
    assert line is not None
    eps = spec.eps or line.options.get("eps")
    if isinstance(eps, Coefficient) and eps.power == 0 and not eps.is_zero:
        spec = replace(spec, eps=Coefficient(eps.constant, Affine.of(-faithful(point, name))))
    decay = spec.decay or line.options.get("decay")
    if isinstance(decay, Coefficient) and decay.power == 0 and not decay.is_zero:
        power = _decay_power(module, point, name)
        spec = replace(spec, decay=Coefficient(decay.constant, power))
    return spec


def _decay_power(module: Module, point: Point, name: str) -> Affine:
    """Return the power of the width at which weight decay acts alike at all widths.

    Where steps depend on the gradient's size, or decay acts on the weight itself, it takes a fixed
    share of it; where it is added to a gradient whose size does not matter, it keeps in proportion
    to the gradient.
    """
    spec, line = module.params[name], module.optimizer_of(name)
    assert line is not None
    optimizer = optimizers()[line.name]
    if optimizer.decoupled or not optimizer.scale_free:
        lr = line.options.get("lr")
        power = lr.power if isinstance(lr, Coefficient) and spec.rate is None else Affine.of(0)
        return spec.exponent("c") - power
    run = point.trial
    weight = run.machine.sizes[run.plan.leaves[name]].total.smallest
    own = Fraction(0 if weight.number is None else weight.number) / run.domain.unit
    return Affine.of(own - point.triples[name].a - faithful(point, name))


def faithful(point: Point, name: str) -> Fraction:
    """Return d: the gradient that an optimizer sees is of size n^-d, and so should epsilon be.

    Source: Yang & Littwin 2023 (TP4b), faithful epsilon scaling.
    """
    run = point.trial
    size = run.machine.sizes[run.plan.gradients[name]].total.smallest
    if size.number is None:
        return Fraction(0)
    return Fraction(size.number) / run.domain.unit + point.triples[name].a


def _classified(final: Module, point: Point) -> Classification:
    """Return the class at the point; read off the run that found it where that saw everything."""
    trained = how_trained(final)
    if any(_acts_at_entries(weight.settings) for weight in trained.values()):
        return classify(final)
    trial = point.trial
    _, vanished = trial.machine.verdict()
    run = Run(
        trial.plan, trial.context, trial.machine.sizes, trained, trial.steps, vanished=vanished
    )
    return read(final, trial.plan, run)


def _acts_at_entries(chosen: Settings) -> bool:
    """Whether epsilon or decay, which the search leaves out, enters a function of the gradient."""
    eps, optimizer = chosen.options.get("eps"), chosen.optimizer
    coupled = optimizer.scale_free and not optimizer.decoupled and not chosen.decay.is_zero
    return coupled or (eps is not None and not eps.is_zero)


def _weight(final: Module, asked: Module, point: Point, name: str) -> Weight:
    spec, before, at = final.params[name], asked.params[name], point.triples[name]
    chosen = settings(final, name, WORDED) if final.loss is not None else None
    eps = None if chosen is None else chosen.options.get("eps")
    return Weight(
        name=name,
        role=point.roles[name],
        a=at.a,
        b=at.b,
        c=at.c,
        init=spec.init,
        sigma=spec.sigma,
        mult=spec.mult,
        rate=None if chosen is None else chosen.rate,
        decay=None if chosen is None or chosen.decay.is_zero else chosen.decay,
        eps=None if eps is None or eps.is_zero else eps,
        gradient=None if eps is None else faithful(point, name),
        fan_in=point.roles[name] is not Role.TIED
        and any(site.contracts for site in sites(point.trial.plan).get(name, ())),
        stated=not (None is before.a is before.b is before.c),
        optimizer=None if chosen is None else chosen.optimizer.name,
    )


# -- what cannot be had ----------------------------------------------------------------------------


def obstacle(module: Module, point: Point, value: Judged) -> Diagnostic:
    """Return the diagnostic of a value that blows up whatever the weights' exponents."""
    names, domain = Names(module), point.trial.domain
    at_start = value.init.number is not None and value.init.number < 0
    size = domain.plain(value.init if at_start else value.change).as_fraction() or Fraction(0)
    when = "at initialisation" if at_start else "once training has moved what it is made of"
    help_ = f"every weight before it is of order one: multiply by n^({size}) more there"
    if value.kind == "normalised":
        help_ = "what is normalised there begins smaller than what training adds to it"
    for name in (n for n, role in point.roles.items() if role is Role.TIED):
        if not any(site.after.const for site in point.trial.sites.get(name, ())):
            help_ = f"`{name}` is embedding and readout: multiply what it reads out by n^-1"
    blamed = _too_large_as_stated(point)
    if blamed:
        listed = ", ".join(f"`{name}`" for name in blamed)
        help_ = f"the stated exponents of {listed} make it so: leave them out to have them solved"
    return Diagnostic(
        "E0940",
        f"no maximal update: the {value.kind} {names.of(value.node)} is of size n^{-size} {when}",
        module.spans.get(value.node),
        help=help_,
    )


def _too_large_as_stated(point: Point) -> list[str]:
    """Return weights of stated exponents whose initial parts make too much of what they read."""
    trial, found = point.trial, []
    for name, weight in point.unknowns.items():
        if weight.free_p or weight.spec.init != "normal":
            continue
        value, sizes = trial.context.param(name).init, trial.machine.sizes
        places = trial.sites.get(name, ())
        made = (s.action(value, sizes, trial.context, initial=True).number for s in places)
        if any(e is not None and e < 0 for e in made):
            found.append(name)
    return found


def _not_maximal(
    final: Module, point: Point, found: Classification | None
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    errors: list[Diagnostic] = []
    remarks: list[Diagnostic] = []
    if found is None:
        return errors, remarks
    if found.kind is Kind.UNSTABLE:
        errors.append(Diagnostic("E0940", f"no maximal update: the program stays {found.verdict}"))
    stuck: dict[tuple[str, str, str | None], list[str]] = {}
    for name, weight in found.weights.items():
        if weight.status is not Status.MAXIMAL and point.unknowns[name].kind is not None:
            stuck.setdefault(_stuck(name, weight.update, point), []).append(name)
    for (severity, what, help_), names in stuck.items():
        listed = ", ".join(f"`{name}`" for name in names)
        finding = Diagnostic(
            "E0941",
            what.format(listed),
            final.params[names[0]].span,
            help=help_,
            severity="warning",
        )
        if severity == "error":
            errors.append(replace(finding, severity="error"))
        else:
            remarks.append(finding)
    return errors, remarks


def _stuck(name: str, update: Fraction | float, point: Point) -> tuple[str, str, str | None]:
    """Return severity, headline and help of a weight that is not maximally updated."""
    size = f"n^{exponent_text(-update)}"
    if not point.trial.sites.get(name):
        return "warning", "nothing uses {}: no update", None
    if not point.unknowns[name].free_q:
        kept = "{} keeps stated exponents: updates of size " + size
        return "warning", kept, "`--everything` solves for stated exponents, too"
    if update == math.inf:
        why = "something beside it is zero, and stays so: check `init zero`"
        return "error", "no maximal update: no gradient ever reaches {}", why
    return "error", f"no maximal update: only updates of size {size} at " + "{}", _SADDLE


_SADDLE = (
    "at a larger rate it blows up one step later: what it multiplies, or what multiplies it, "
    "vanishes\nat initialisation and then grows; begin there at order one, or use a scale-free "
    "optimizer"
)


def _degenerate(found: Classification | None, module: Module) -> Iterator[Diagnostic]:
    if found is not None and found.kind is Kind.DEGENERATE:
        yield Diagnostic(
            "E0942",
            f"at the maximal update the program is {found.verdict}",
            help="add a bias with random initial values there, if that is not meant",
            severity="warning",
        )


def gauge_warnings(module: Module, point: Point, gauge: str) -> Iterator[Diagnostic]:
    """Yield warnings about weights that cannot have a gauge."""
    for name, weight in point.unknowns.items():
        tied = point.roles[name] is Role.TIED and gauge not in ("table8", "unit", "table3")
        held = gauge == "equal" and weight.kind is not None and point.triples[name].c != 0
        if tied and gauge != "equal":
            why = (
                "is tied: embedding and readout have one multiplier, which only table8 has room for"
            )
        elif held:
            why = "cannot have the common learning rate: " + (
                "its exponents are stated"
                if weight.multiplicity
                else "its steps are relative to it"
            )
        else:
            continue
        yield Diagnostic(
            "E0943",
            f"gauge {gauge}: `{name}` {why}",
            module.params[name].span,
            severity="warning",
        )
