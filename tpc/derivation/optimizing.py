r"""Equations of a step under any optimizer whose rule is entrywise or linear.

A weight without or with one width axis obeys the optimizer's own rule, entry by entry. A matrix
under an optimizer that is linear in gradients g_s is ``a(t) W_0 + sum_{s < t} c_s(t) g_s``: the
coefficients obey the optimizer's rule (c_s is zero up to step s). A matrix under any other is
``a(t) W_0 + D(t)``: entries of D are functions of two coordinates, and act by an expectation over
one of them, an independent copy (nonlinear outer products: Yang and Littwin 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.derivation.sheet import Step
from tpc.derivation.symbols import (
    NEXT,
    NOW,
    ONE,
    PREVIOUS,
    ZERO,
    Expression,
    Label,
    S,
    Symbol,
    copied,
    number,
    of,
    step,
    times,
)
from tpc.derivation.tracing import Untraceable, trace
from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Constant

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.ir.module import Module, ParamSpec
    from tpc.optimizers.settings import Settings

Line = tuple[Symbol, Expression, str]


@dataclass(frozen=True)
class Stepping:
    """How one weight moves: its settings, and the symbols for their numbers.

    ``suffix`` tells numbers apart where weights have different ones; ``clip`` names the factor that
    bounds gradients, if there is one.
    """

    module: Module
    name: str
    settings: Settings
    eta: Symbol
    suffix: str = ""
    clip: str = ""

    @property
    def decay(self) -> Symbol:
        """The coefficient of weight decay."""
        return Symbol(f"lambda{self.suffix}", "number")

    @property
    def bound(self) -> Symbol:
        """The bound on the norm of gradients."""
        return Symbol(f"bound{self.suffix}", "number")

    def clipped(self, gradient: Expression, at: Label) -> Expression:
        """Return the gradient times what bounds it."""
        return gradient if not self.clip else gradient.by(Symbol(self.clip, "scalar", at))

    @property
    def spec(self) -> ParamSpec:
        """The weight."""
        return self.module.params[self.name]

    @property
    def plain(self) -> bool:
        """Whether a step is the rate times the gradient, and nothing else."""
        return self.settings.optimizer.name == "sgd" and not self.decays

    @property
    def linear(self) -> bool:
        """Whether steps are linear in gradients."""
        return self.settings.optimizer.kind == "linear"

    @property
    def decays(self) -> bool:
        """Whether weight decay is of the order of the weight (it vanishes, or is refused, else)."""
        each = self.settings
        return not each.decay.is_zero and each.decay.power.const + each.rate.power.const == 0

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the optimizer's own variables."""
        return tuple(self.settings.optimizer.start(()))

    def multiplier(self) -> Constant:
        """Return the constant by which dL/dW, of the effective weight, enters the rule."""
        return self.spec.mult**2 if self.linear else self.spec.mult

    # -- symbols -----------------------------------------------------------------------------------

    def symbol(self, letter: str, at: Label, like: Symbol | None = None) -> Symbol:
        """Return a variable of the optimizer at a step, with the axes of the weight."""
        kind = "scalar" if like is None else like.kind
        return Symbol(f"{letter}_{self.name}", kind, at, None, () if like is None else like.axes)

    def coefficient(self, letter: str, at: Label, past: Label) -> Symbol:
        """Return what belongs to the gradient of one earlier step."""
        return Symbol(f"{letter}_{self.name}", "scalar", at, None, (past,))

    def grown(self, at: Label) -> Symbol:
        """Return the entries that training has added to a matrix."""
        return Symbol(f"D_{self.name}", "Z", at)

    def options(self) -> dict[str, Expression]:
        """Return the optimizer's numbers as symbols."""
        found = {}
        for name, option in self.settings.options.items():
            symbol = of(Symbol(f"{name}{self.suffix}", "number"))
            found[name] = ZERO if option.is_zero else symbol
        return found

    def numbers(self) -> dict[str, Constant]:
        """Return the values of those symbols."""
        found = {
            f"{name}{self.suffix}": option.constant
            for name, option in self.settings.options.items()
            if not option.is_zero and not self.plain
        }
        if self.decays:
            found[self.decay.name] = self.settings.decay.constant
        if self.settings.clip is not None:
            found[self.bound.name] = self.settings.clip.constant
        return found

    # -- the rule ----------------------------------------------------------------------------------

    def rule(
        self,
        time: int | None,
        weight: Expression,
        gradient: Expression,
        before: Mapping[str, Expression],
        names: Mapping[str, Symbol],
    ) -> tuple[dict[str, Expression], Expression]:
        """Return the new state, and the weight after the step.

        Raises:
            TpcError: the optimizer's rule has no expression.
        """
        each = self.settings
        shrinks = self.decays and each.optimizer.decoupled
        if self.decays and not shrinks:
            gradient = gradient + weight.by(self.decay)
        try:
            direction, after = trace(
                each.optimizer, gradient, weight, before, names, time, self.options()
            )
        except Untraceable as why:
            raise refused(self.module, self.name, f"optimizer {each.optimizer.name}") from why
        rate = Constant.of(-1) if self.linear else -self.spec.mult
        found = weight + direction.by(self.eta).scaled(rate)
        if shrinks:
            found = found + weight.by(self.decay).by(self.eta).scaled(Constant.of(-1))
        return after, found

    def array(self, time: int | None, weight: Symbol, gradient: Expression) -> Iterator[Line]:
        """Yield the equations of a weight that is held as a vector or scalar."""
        at, before, after = _around(time)
        g = self.symbol("g", at, weight)
        yield g, self.clipped(gradient, at).scaled(self.multiplier()), "gradient"
        yield from self._stepped(time, weight, of(weight), of(g), weight, at, before, after)

    def entries(self, time: int | None, gradient: Sheet) -> Iterator[Line]:
        """Yield the equations of a matrix whose entries move one by one."""
        at, before, after = _around(time)
        now = self.grown(at)
        g, total = self.symbol("g", at, now), ZERO
        for term in gradient.terms:
            assert isinstance(term, Step)
            part = times(term.left, copied(term.right)).summed(*term.bound)
            total = total + part.scaled(term.constant)
        yield g, self.clipped(total, at).scaled(self.multiplier()), "entries"
        start = ZERO if time == 0 else of(now)
        yield from self._stepped(time, now, start, of(g), now, at, before, after)
        if self.decays:
            yield from self.shrinking(time)

    def combination(self, time: int | None) -> Iterator[Line]:
        """Yield the coefficients of the gradients in a matrix."""
        at, before, after = _around(time)
        pasts = [S] if time is None else [step(s) for s in range(time + 1)]
        for past in pasts:
            now = self.coefficient("c", at, past)
            fresh = time is not None and past.name == str(time)
            unit = of(Symbol("delta", "number", None, None, (past, NOW)))
            if time is not None:
                unit = number(ONE) if fresh else ZERO
            weight = ZERO if fresh else of(now)
            states = {key: self.coefficient(key, at, past) for key in self.states}
            olds = {
                key: ZERO if fresh else of(self.coefficient(key, before, past)) for key in states
            }
            found, moved = self.rule(time, weight, unit, olds, states)
            yield from ((states[key], found[key], "optimizer") for key in states)
            yield replace(now, step=after), moved, "optimizer step"
        if self.decays:
            yield from self.shrinking(time)

    def shrinking(self, time: int | None) -> Iterator[Line]:
        """Yield how weight decay shrinks the initial matrix."""
        at, before, after = _around(time)
        now = self.symbol("a", at)
        states = {key: self.symbol(f"{key}a", at) for key in self.states}
        olds = {key: ZERO if time == 0 else of(self.symbol(f"{key}a", before)) for key in states}
        if not self.linear:
            shrunk = of(now) + of(now).by(self.decay).by(self.eta).scaled(Constant.of(-1))
            yield replace(now, step=after), shrunk, "optimizer step"
            return
        found, moved = self.rule(time, of(now), ZERO, olds, states)
        yield from ((states[key], found[key], "optimizer") for key in states)
        yield replace(now, step=after), moved, "optimizer step"

    def _stepped(
        self,
        time: int | None,
        now: Symbol,
        weight: Expression,
        gradient: Expression,
        like: Symbol,
        at: Label,
        before: Label,
        after: Label,
    ) -> Iterator[Line]:
        states = {key: self.symbol(key, at, like) for key in self.states}
        olds = {
            key: ZERO if time == 0 else of(replace(s, step=before)) for key, s in states.items()
        }
        found, moved = self.rule(time, weight, gradient, olds, states)
        yield from ((states[key], found[key], "optimizer") for key in states)
        yield replace(now, step=after), moved, "optimizer step"

    def beginning(self, like: Symbol | None, matrix: bool) -> Iterator[Line]:
        """Yield what there is before the first step."""
        minus = Label("step", name="-1")
        if matrix and self.decays:
            yield self.symbol("a", step(0)), number(ONE), "start"
            if self.linear:
                for key in self.states:
                    yield self.symbol(f"{key}a", minus), ZERO, "start"
        if matrix and not self.linear:
            like = self.grown(step(0))
            yield like, ZERO, "start"
        if like is not None:
            for key in self.states:
                yield self.symbol(key, minus, like), ZERO, "start"


def _around(time: int | None) -> tuple[Label, Label, Label]:
    """Return the labels of a step, of the one before, and of the next."""
    if time is None:
        return NOW, PREVIOUS, NEXT
    return step(time), step(time - 1), step(time + 1)


def refused(module: Module, name: str, what: str) -> TpcError:
    """Return the message that something about how a weight is trained has no equations."""
    line = module.optimizer_of(name)
    return TpcError(
        Diagnostic(
            "E0952",
            f"{what} of `{name}` has no rule for the equations of feature learning",
            None if line is None else line.span,
            help="the numbers do not need it: tpc run; sgd, momentum, adam and sign have equations",
        )
    )
