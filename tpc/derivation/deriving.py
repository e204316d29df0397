r"""The recursion of a feature-learning limit, from the graph of one training step.

Forward pass, gradients and update are one tensor program (TP4, section 7). Its master theorem (TP3)
has three rules, which the equations name:

* Nonlin: ``Z^{psi(x, ...)} = psi(Z^x, ...)``;
* MatMul: ``Z^{Wx} = Zhat^{Wx} + Zdot^{Wx}``;
* Moment: ``(1/n) sum_a psi(x_a, ...) -> E psi(Z^x, ...)``;

and the update of a matrix is a sum of outer products, on which Moment acts: ``-eta u v^T x``
becomes ``-eta Z^u E[Z^v Z^x]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.derivation.clipping import bounds
from tpc.derivation.optimizing import Line, Stepping
from tpc.derivation.powers import Powers, powers
from tpc.derivation.products import dot_part
from tpc.derivation.sheet import Grown, Sheet
from tpc.derivation.symbols import (
    NEXT,
    NOW,
    ONE,
    OTHER,
    PAST,
    SAMPLE,
    ZERO,
    Entry,
    Expression,
    Image,
    Mean,
    S,
    Slope,
    Symbol,
    fresh,
    number,
    of,
    relabelled,
    step,
    times,
)
from tpc.derivation.vocabulary import Vocabulary
from tpc.derivation.walking import Use, Walk
from tpc.exact import Constant
from tpc.feature.matrix import Dense, Matrix
from tpc.feature.value import Exponent, Value, plus
from tpc.ops.param import PARAM
from tpc.optimizers.settings import settings

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node

Left = Symbol | Image | tuple[Image, Image]


@dataclass(frozen=True)
class Equation:
    """``left = right`` by a rule; a pair of hats on the left stands for their covariance."""

    section: str
    left: Left
    right: Expression
    rule: str


START, FIRST, SECOND, GENERAL = "start", "0", "1", "t"


class Recursion:
    """The equations of a program's feature-learning limit, and what their symbols mean.

    Raises:
        MissingRule: an op has no rule.
        TpcError: the program has no such limit, or an optimizer has no rule.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.plan = {name: found for name in module.trained if (found := settings(module, name))}
        self.rates = {name: each.rate.constant for name, each in self.plan.items()}
        self.stepping = self._stepping()
        self.bounds = bounds(self.stepping)
        for name, bound in self.bounds.items():
            self.stepping[name] = replace(self.stepping[name], clip=bound.name)
        self.vocabulary = Vocabulary(module)
        self.powers: Powers = powers(module)
        first = self._walk(None, {}, ())
        self.uses = tuple(first.met)
        zeroth = self._walk(0, {}, self.uses)
        self.walks = {
            FIRST: zeroth,
            SECOND: self._walk(1, self._updates(zeroth, 1), self.uses),
            GENERAL: self._walk(None, self._updates(first, None), self.uses),
        }
        self.equations = tuple(self._all())

    def _stepping(self) -> dict[str, Stepping]:
        found = {
            name: Stepping(self.module, name, each, self.eta(name))
            for name, each in self.plan.items()
        }
        values: dict[str, set[Constant]] = {}
        for each in found.values():
            for number_, value in each.numbers().items():
                values.setdefault(number_, set()).add(value)
        if all(len(each) == 1 for each in values.values()):
            return found
        return {name: replace(each, suffix=f"_{name}") for name, each in found.items()}

    def _walk(self, time: int | None, updates: Mapping[str, Sheet], uses: tuple[Use, ...]) -> Walk:
        at = NOW if time is None else step(time)
        matrices = {name for name, spec in self.module.params.items() if spec.type.sort > 1}
        kept = {
            name: each.symbol("a", at)
            for name, each in self.stepping.items()
            if each.decays and name in matrices and time != 0
        }
        made = Walk(self.module, self.vocabulary, self.powers, time, updates, uses, kept)
        return made.run()

    def eta(self, name: str) -> Symbol:
        """Return the learning rate of a weight."""
        alike = len(set(self.rates.values())) == 1
        return Symbol("eta" if alike else f"eta_{name}", "number")

    def _updates(self, walk: Walk, time: int | None) -> dict[str, Sheet]:
        """Return what has been added to matrices by a step: gradients of all earlier ones."""
        found = {}
        for name, each in self.stepping.items():
            sheet = walk.sheet(self.vocabulary.gradients[name])
            if sheet is None:
                continue
            if not each.linear:
                found[name] = self._grown(name, each, time)
                continue
            size = self.module.params[name].multiplier.power.const * 2
            size += each.settings.rate.power.const
            past, labels = (S, (PAST,)) if time is None else (step(time - 1), ())
            factor, sign = each.eta, -each.multiplier()
            if not each.plain:
                at = NOW if time is None else step(time)
                factor, sign = each.coefficient("c", at, past), each.multiplier()
            if each.clip:
                sheet = sheet.by(Symbol(each.clip, "scalar", walk.now))
            moved = sheet.at({walk.now: past}, *labels, factor=factor)
            found[name] = moved.scaled(sign, size)
        return found

    def _grown(self, name: str, each: Stepping, time: int | None) -> Sheet:
        """Return the entries that training has added to a matrix, nothing where they vanish."""
        leaf = self.leaves()[name]
        value, at = self.powers.at(leaf, None), NOW if time is None else step(time)
        assert isinstance(value, Matrix)
        dense = [term for term in value.terms if isinstance(term, Dense)]
        return Sheet(tuple(Grown(each.grown(at), ONE, term.power) for term in dense))

    # -- the equations -----------------------------------------------------------------------------

    def _all(self) -> Iterator[Equation]:
        yield from self._initial()
        for section, walk in self.walks.items():
            for node in self.vocabulary.order:
                if node in walk.bodies:
                    yield from self._node(section, walk, node)
            yield from self._weights(section, walk)
        yield from self._covariances()

    def _node(self, section: str, walk: Walk, node: Node) -> Iterator[Equation]:
        right = walk.bodies[node]
        yield Equation(
            section, walk.symbol(node, self.vocabulary.names[node]), right, self._rule(node, right)
        )
        for use in walk.met:
            if use.node is node and walk.partners(use):
                left = Image("dot", use.start.weight, use.start.transposed, use.symbol)
                yield Equation(section, left, dot_part(use, walk, self._variance(use)), "Zdot")

    def _rule(self, node: Node, right: Expression) -> str:
        found = {type(factor) for term in right.terms for factor in term.factors}
        if right.is_zero:
            return "vanishes"
        if Image in found:
            return "MatMul" if len(right.terms) == 1 or not _has_mean(right) else "MatMul, Moment"
        if Mean in found or _has_mean(right):
            return "Moment"
        return "Nonlin" if node.type.sort else "scalars"

    def _weights(self, section: str, walk: Walk) -> Iterator[Equation]:
        """The next value of every weight, and the optimizer's variables."""
        for bound in dict.fromkeys(self.bounds.values()):
            for line in bound.equations(walk, self.vocabulary.gradients):
                yield Equation(section, *line)
        for name, leaf in self.leaves().items():
            each = self.stepping.get(name)
            if each is None or (self.powers.of(leaf) is None and leaf.type.sort < 2):
                continue
            node = self.vocabulary.gradients[name]
            if leaf.type.sort > 1:
                yield from (Equation(section, *line) for line in self._matrix(walk, each, node))
            elif each.plain or not self._moves(name, node, leaf):
                yield self._plain(section, walk, each, node, leaf)
            else:
                gradient = walk.entry(node, walk.axes[leaf])
                symbol = walk.symbol(leaf, name)
                for line in each.array(walk.time, symbol, gradient):
                    yield Equation(section, *line)

    def _matrix(self, walk: Walk, each: Stepping, node: Node) -> Iterator[Line]:
        sheet = walk.sheet(node)
        if each.plain or sheet is None:
            return
        if each.linear:
            yield from each.combination(walk.time)
        else:
            yield from each.entries(walk.time, sheet)

    def _plain(self, section: str, walk: Walk, each: Stepping, node: Node, leaf: Node) -> Equation:
        """Gradient descent, or no step at all."""
        after = NEXT if walk.time is None else step(walk.time + 1)
        symbol = walk.symbol(leaf, each.name)
        left = replace(symbol, step=after)
        right = walk.values[leaf]
        assert isinstance(right, Expression)
        if not self._moves(each.name, node, leaf):
            return Equation(section, left, right, "step vanishes")
        gradient = walk.entry(node, walk.axes[leaf])
        gradient = each.clipped(gradient, walk.now)
        moved = right + gradient.by(each.eta).scaled(-each.multiplier())
        return Equation(section, left, moved, "SGD update")

    def _moves(self, name: str, gradient: Node, leaf: Node) -> bool:
        """Whether steps of a weight are of its own order (they vanish otherwise)."""
        size: Exponent = self.powers.of(gradient)
        shift, rate = self.module.params[name].multiplier.power.const, self.plan[name].rate
        moved = plus(size, 2 * shift, rate.power.const)
        if not self.stepping[name].linear and size is not None:
            moved = shift + rate.power.const
        return moved is not None and moved == self.powers.of(leaf)

    def _initial(self) -> Iterator[Equation]:
        for name, leaf in self.leaves().items():
            if leaf.type.sort != 1:
                continue
            axes = tuple(
                fresh("axis") for dim in leaf.type.dims if not dim.width and dim.count != 1
            )
            left = Symbol(name, "Z", step(0), None, axes)
            right, rule = ZERO, "vanishes"
            if self.powers.of(leaf) is not None and not self.powers.vanishes(leaf, 0):
                spec = self.module.params[name]
                if spec.init == "one":
                    right, rule = number(ONE), "start"
                else:
                    variance = spec.entry_std**2
                    right, rule = of(Entry("N", (ZERO, number(variance)))), "independent"
            yield Equation(START, left, right, rule)
        for name, leaf in self.leaves().items():
            if name in self.stepping:
                yield from self._beginning(name, leaf)

    def _beginning(self, name: str, leaf: Node) -> Iterator[Equation]:
        """The optimizer's variables before the first step."""
        each, like = self.stepping[name], None
        if leaf.type.sort < 2:
            if self.powers.of(leaf) is None or not self._moves(
                name, self.vocabulary.gradients[name], leaf
            ):
                return
            like = self.walks[GENERAL].symbol(leaf, name)
        for line in each.beginning(like, leaf.type.sort > 1):
            yield Equation(START, *line)

    def _covariances(self) -> Iterator[Equation]:
        """The joint law of the hats of each weight: Gaussian, with these covariances."""
        uses = self.walks[GENERAL].met
        for position, one in enumerate(uses):
            for other in uses[position:]:
                if (one.start.weight, one.start.transposed) == (
                    other.start.weight,
                    other.start.transposed,
                ):
                    yield self._covariance(one, other)

    def _covariance(self, one: Use, other: Use) -> Equation:
        x = one.symbol
        axes = {axis: fresh("axis") for axis in other.symbol.axes}
        y = relabelled(of(other.symbol), {NOW: S, SAMPLE: OTHER, **axes}).terms[0].factors[0]
        assert isinstance(y, Symbol)
        hats = tuple(Image("hat", one.start.weight, one.start.transposed, each) for each in (x, y))
        product = times(of(x), of(y))
        return Equation(
            GENERAL, (hats[0], hats[1]), of(Mean(product)).scaled(self._variance(one)), "Zhat"
        )

    # -- sizes -------------------------------------------------------------------------------------

    def _variance(self, use: Use) -> Constant:
        """Return ``sigma^2`` of a product: the variance of entries times the number of them."""
        spec = self.module.params[use.start.weight]
        axis = 0 if use.start.transposed else 1
        return spec.entry_std**2 * Constant.of(Fraction(spec.type.dims[axis].count))

    def leaves(self) -> dict[str, Node]:
        """Return the weights that the training step reads, by name."""
        return {node.attrs["name"]: node for node in self.vocabulary.order if node.op is PARAM}

    def meanings(self) -> Iterator[str]:
        """Yield what the symbols stand for, where the program does not say."""
        known = {v.node: v.name for v in (*self.module.values, *self.module.outputs)}
        for node, name in self.vocabulary.names.items():
            power = self.powers.of(node) or Fraction(0)
            if node in self.vocabulary.origins:
                slope = self.vocabulary.slope(node)
                origin = self.vocabulary.names[self.vocabulary.origins[node]]
                factor = (ONE / slope.constant, -power - slope.power.const)
                yield _meaning(name, node, *factor, f"dL/d{origin}")
            elif node not in known or power:
                yield _meaning(name, node, ONE, -power, self._described(node, known))
        for name, leaf in self.leaves().items():
            value = self.powers.at(leaf, None)
            if isinstance(value, Value) and value.power:
                yield _meaning(name, leaf, ONE, -value.power, name)

    def _described(self, node: Node, known: Mapping[Node, str]) -> str:
        if node in known:
            return known[node]
        from tpc.scaling.names import Names

        names = Names(self.module)
        weights = [self.vocabulary.weight(x) for x in node.operands]
        if len(weights) == 2 and any(w is not None for w in weights):
            parts = [
                w.attrs["name"] if w is not None else self.vocabulary.names.get(x, names.of(x))
                for w, x in zip(weights, node.operands, strict=True)
            ]
            return f"{parts[0]} @ {parts[1]}"
        return names.of(node)


def _meaning(name: str, node: Node, constant: Constant, power: Fraction, what: str) -> str:
    factors = [] if constant.is_one else [constant.factor_text()]
    if power:
        text = f"n^{power}" if power.denominator == 1 else f"n^({power})"
        factors.append("n" if power == 1 else text)
    right = " ".join([*factors, what])
    if not power:
        return f"{name} = {right}"
    return f"{f'Z[{name}]' if node.type.sort else name} is the limit of {right}"


def _has_mean(x: Expression) -> bool:
    return any(isinstance(f, (Mean, Slope)) for t in x.terms for f in t.factors)
