"""From sizes to a verdict (theory, section 4: "reading the result")."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine
from tpc.ops.base import MissingRule
from tpc.parametrize.acting import acting
from tpc.scaling.classification import (
    Classification,
    Consumed,
    Evidence,
    Exponent,
    Kind,
    ValueSize,
    exponent_of,
)
from tpc.scaling.domain import Domain
from tpc.scaling.entries import NoUpdateRule
from tpc.scaling.interpret import Judged
from tpc.scaling.names import Names
from tpc.scaling.plan import Plan, plan
from tpc.scaling.reasons import Witness
from tpc.scaling.run import Run, Unsettled, run
from tpc.scaling.tropical import Tropical
from tpc.scaling.weights import weight_size

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node


def classify(module: Module, values: Mapping[str, Fraction] | None = None) -> Classification:
    """Return the class of a program whose exponents are numbers, or get them from ``values``.

    Raises:
        TpcError: an exponent has no value, or an op or optimizer has no rule for exponents.
    """
    module = acting(module)
    if values:
        module = module.with_exponents({name: Affine.of(q) for name, q in values.items()})
    if module.exponents:
        raise TpcError(
            Diagnostic(
                "E0930",
                f"the exponents {', '.join(module.exponents)} have no values",
                help="give them some (--at c=1, program.classify(c=1)), or ask for the region",
            )
        )
    found, made = analyse(module, Domain(_exponents(module)))
    return _Reader(module, made, found).classification()


def read(module: Module, made: Plan, found: Run) -> Classification:
    """Return the classification that a finished numeric run of a module shows."""
    return _Reader(acting(module), made, found).classification()


def analyse(module: Module, domain: Domain, *, shrinking: bool = False) -> tuple[Run, Plan]:
    """Run a module abstractly; what has no rule becomes a diagnostic.

    ``shrinking`` counts what weight decay does to initial weights as change.

    Raises:
        TpcError: an op or optimizer has no rule, or the sizes do not settle.
        tpc.scaling.domain.Split: a symbolic domain must be cut first.
    """
    try:
        made = plan(module)
        return run(module, made, domain, shrinking=shrinking), made
    except MissingRule as missing:
        raise TpcError(missing_rule(module, missing)) from missing
    except NoUpdateRule as missing:
        raise TpcError(
            Diagnostic("E0931", f"no scaling rule for {missing}", help=_REPLACE)
        ) from missing
    except Unsettled as unsettled:
        raise TpcError(Diagnostic("E0932", str(unsettled))) from unsettled


def with_shrinkage(evidence: Evidence) -> dict[str, ValueSize]:
    """Return the sizes of named values and outputs; changes are by learning and by decay.

    Raises:
        TpcError: the sizes do not settle.
    """
    module, run_ = evidence.module, evidence.run
    if run_.shrinks:
        run_, _ = analyse(module, run_.domain, shrinking=True)
    found = {}
    for value in (*module.values, *module.outputs):
        size = run_.sizes[value.node]
        init, change = (exponent_of(run_.plain(part.smallest)) for part in (size.init, size.change))
        found[value.name] = ValueSize(init, change)
    return found


_REPLACE = "this part of the language can be simulated (tpc simulate), but not classified yet"


def missing_rule(module: Module, missing: MissingRule) -> Diagnostic:
    """Return the diagnostic of an op without a rule."""
    detail = f": {missing.detail}" if missing.detail else ""
    return Diagnostic(
        "E0931",
        f"no {missing.stage} rule for `{missing.node.op.name}`{detail}",
        module.spans.get(missing.node),
        help=_REPLACE,
    )


def _exponents(module: Module) -> Iterator[Affine]:
    for spec in module.params.values():
        for name in ("a", "b", "c"):
            yield spec.exponent(name)


def judged_in_order(found: Run) -> tuple[Judged, ...]:
    """Return what was judged, in the order of the program."""
    judged = found.context.judged
    return tuple(judged[node] for node in found.plan.order if node in judged)


def moving_features(found: Run) -> Iterator[tuple[Node, Tropical]]:
    """Yield the features and the exponents of their changes.

    Features are the hidden values that something consumes which minds their scale (of those that
    are normalised, the relative change counts), and the vectors that feed the outputs.
    """
    for value in judged_in_order(found):
        if value.node in found.plan.hidden:
            yield value.node, value.change
    yield from last_features(found)


def last_features(found: Run) -> Iterator[tuple[Node, Tropical]]:
    """Yield the vectors that feed the outputs, and their changes relative to what they were.

    Behind a nonlinearity they are of order one. Where only linear maps read a vector, its scale can
    be moved into them, and what it was itself is the measure: of size n^-1/2, it moves by order one
    if it changes by n^-1/2. What starts at exactly zero has no measure but the coordinates.
    """
    domain = found.domain
    for node in found.plan.features:
        size = found.sizes[node]
        init, change = size.init.smallest, size.change.smallest
        if init.is_infinite or change.is_infinite or init.number == 0:
            yield node, change
        else:
            relative = domain.single(domain.difference(change, init))
            yield node, domain.positive_part(relative)


class _Reader:
    """Reads the classification off a numeric run."""

    def __init__(self, module: Module, plan: Plan, found: Run) -> None:
        self.module = module
        self.plan = plan
        self.run = found
        self.names = Names(module)

    def classification(self) -> Classification:
        kind, verdict = self._verdict()
        settled = kind not in (Kind.UNSTABLE, Kind.DEGENERATE)
        outputs = {name: self._size(node) for name, node in self.plan.outputs.items()}
        return Classification(
            kind=kind,
            r=self._r() if settled else None,
            values={value.name: self._size(value.node) for value in self.module.values},
            weights={
                name: weight_size(self.module, self.run, self.names, name)
                for name in self.module.trained
            },
            outputs=outputs,
            output=outputs[self.module.output.name],
            consumed=tuple(self._consumed(value) for value in self._judged()),
            dynamics=self._dynamics(),
            steps=self.run.steps,
            verdict=verdict,
            notes=tuple(self._notes()),
            alignment=self.module.alignment,
            _evidence=Evidence(
                self.module, self.run, Witness(self.run, self.names, self._decisive(kind))
            ),
        )

    # -- the verdict -----------------------------------------------------------------------------

    def _verdict(self) -> tuple[Kind, str]:
        if self.run.blown:
            return Kind.UNSTABLE, self._unstable(self.run.blown[0])
        shrinking = self._shrinks_too_fast()
        if shrinking is not None:
            return Kind.UNSTABLE, f"unstable: weight decay takes more than all of {shrinking}"
        if self.run.growing:
            value, step = self.run.growing[0]
            what = self._described(value)
            return Kind.UNSTABLE, f"unstable: {what} grows steadily and blows up at step {step}"
        if self.run.vanished:
            what = self._described(self.run.vanished[0])
            return Kind.DEGENERATE, f"degenerate: {what} vanishes at initialisation"
        if min(self._change(node) for node in self.plan.outputs.values()) > 0:
            return Kind.TRIVIAL, "trivial: training does not move the output in the limit"
        moving = self._moving_feature()
        if moving is None:
            return Kind.KERNEL, "kernel: the output moves, but no feature does in the limit"
        return Kind.FEATURE, f"feature: training moves {self.names.of(moving)} by order one"

    def _unstable(self, value: Judged) -> str:
        what = self._described(value)
        plain = self.run.plain
        start = exponent_of(plain(value.init))
        if value.kind != "normalised" and start < 0:
            return f"unstable: {what} is of size n^{-start} at initialisation"
        grown = -exponent_of(plain(value.change))
        return f"unstable: {what} changes by n^{grown} at training step {self.run.steps}"

    def _described(self, value: Judged) -> str:
        line = self.names.line(value.node)
        where = "" if line is None else f" (line {line})"
        return f"the {value.kind} {self.names.of(value.node)}{where}".replace(
            "the normalised", "the normalising moment"
        )

    def _shrinks_too_fast(self) -> str | None:
        for name in self.run.trained:
            if self._plain(self.run.shrinkage(name)) < 0:
                return name
        return None

    def _moving_feature(self) -> Node | None:
        """Return a feature that moves by order one, one that the program names if there is any."""
        moving = [n for n, change in moving_features(self.run) if self._plain(change) <= 0]
        return next((node for node in moving if self.names.has(node)), next(iter(moving), None))

    def _r(self) -> Exponent:
        return min((self._plain(change) for _, change in last_features(self.run)), default=math.inf)

    def _decisive(self, kind: Kind) -> tuple[tuple[Node, str], ...]:
        if kind is Kind.UNSTABLE and self.run.blown:
            value = self.run.blown[0]
            grows = self._plain(value.init) < 0 and value.kind != "normalised"
            return ((value.node, "init" if grows else "change"),)
        if kind is Kind.UNSTABLE:
            return tuple((value.node, "change") for value, _ in self.run.growing[:1])
        if kind is Kind.DEGENERATE:
            return ((self.run.vanished[0].node, "init"),)
        ends = [(node, "change") for node in self.plan.outputs.values()]
        return (*((node, "change") for node in self.plan.features), *ends)

    # -- sizes -----------------------------------------------------------------------------------

    def _plain(self, exponent: Tropical) -> Exponent:
        return exponent_of(self.run.plain(exponent))

    def _change(self, node: Node) -> Exponent:
        return self._plain(self.run.sizes[node].change.smallest)

    def _size(self, node: Node) -> ValueSize:
        size = self.run.sizes[node]
        return ValueSize(self._plain(size.init.smallest), self._change(node))

    def _judged(self) -> tuple[Judged, ...]:
        return judged_in_order(self.run)

    def _consumed(self, value: Judged) -> Consumed:
        line = self.names.line(value.node)
        init, change = self._plain(value.init), self._plain(value.change)
        return Consumed(self.names.of(value.node), line, value.kind, init, change)

    # -- the rest --------------------------------------------------------------------------------

    def _dynamics(self) -> str:
        kinds = {weight.settings.optimizer.kind for weight in self.run.trained.values()}
        return "gradient" if kinds <= {"linear"} else "operator"

    def _notes(self) -> Iterator[str]:
        for name, weight in self.run.trained.items():
            eps = weight.settings.options.get("eps")
            if eps is not None and not eps.is_zero and weight.settings.optimizer.scale_free:
                yield from self._eps_note(name, eps.power)
        ruled = [name for name in self.run.trained if self.run.is_ruled_by_decay(name)]
        if ruled:
            said = f"weight decay dominates the gradient of {', '.join(ruled)} in the limit"
            yield f"{said}: steps are a function of the weight, and what data add to them vanishes"

    def _eps_note(self, name: str, power: Affine) -> Iterator[str]:
        run = self.run
        gradient = run.sizes[self.plan.gradients[name]].total.smallest
        seen = gradient + run.domain.exponent(-run.trained[name].spec.multiplier.power)
        if self._plain(seen) > -power.const:
            yield f"eps dominates the gradient of {name} in the limit: its steps are linear in it"
