"""The second-moment algebra: limits of ``E[Z^a Z^b']`` by a walk over pairs of entries.

The walk asks every op what an entry is in terms of its operands' entries (:mod:`tpc.limit.forms`),
and reduces expectations of products by four rules, none of which knows an architecture: linearity;
independence of what is built from different weights; integration by parts for a Gaussian factor
(``E[g F] = sum_i Cov(g, g_i) E[dF/dg_i]``); and dual expectations of two nonlinearities.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.limit import expressions as ex
from tpc.limit.forms import Data, Entry, Form, Function, Gaussian, Polynomial
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.ops.activations import Activation

MAX_STATES = 400_000
"""Expectations that one derivation may visit before it is refused."""


@dataclass(frozen=True)
class Moment:
    """``n^power * value``; what is of lower order has been dropped."""

    value: ex.Expression
    power: Affine

    @property
    def is_zero(self) -> bool:
        """Whether it vanishes identically."""
        return ex.is_zero(self.value)


NOTHING = Moment(ex.number(0), Affine.of(0))


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of an expectation: an entry, or a nonlinearity of it, at x (0) or x' (1)."""

    node: Node
    index: tuple[int, ...]
    side: int
    activation: Activation | None = None

    @property
    def entry(self) -> Entry:
        """The entry itself."""
        return (self.node, self.index)

    @property
    def order(self) -> tuple[Any, ...]:
        """Key that sorts the factors of a product."""
        label = "" if self.activation is None else self.activation.label
        return (self.node.id, self.index, self.side, label)


Key = tuple[Factor, ...]
Rule = Generator[Key, Moment, Moment]


class LimitRefusal(Exception):  # noqa: N818 - a fact about a program, reported as a diagnostic
    """A program without such a limit: ``message``, the node it was met at, and what to do."""

    def __init__(self, message: str, node: Node | None = None, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.help = help


class MomentContext:
    """The state of one derivation: forms of entries and expectations, each found once."""

    def __init__(self, params: Mapping[str, ParamSpec]) -> None:
        self.params = params
        self._forms: dict[Entry, Form] = {}
        self._moments: dict[Key, Moment] = {}
        self._sources: dict[Entry, frozenset[Any]] = {}
        self._arrays: dict[Node, Any] = {}

    # -- entries -----------------------------------------------------------------------------------

    def form(self, entry: Entry) -> Form:
        """Return what an entry is, asked of its op."""
        found = self._forms.get(entry)
        if found is None:
            node, index = entry
            found = self._forms[entry] = node.op.limit(node, index, self)
        return found

    def source(self, node: Node, index: tuple[int, ...]) -> Entry | None:
        """Return the entry that an index map moves to ``index``, None where it puts a zero."""
        import numpy as np

        if node not in self._arrays:
            self._arrays[node] = node.op.sources(node)  # type: ignore[attr-defined]
        which, place = (int(array[index]) for array in self._arrays[node])
        if which < 0:
            return None
        operand = node.operands[which]
        shape = tuple(dim.concrete(1) for dim in operand.type.dims)
        return operand, tuple(int(i) for i in np.unravel_index(place, shape)) if shape else ()

    def sources(self, entry: Entry) -> frozenset[Any]:
        """Return the Gaussians an entry is built from: weights with their contracted axes."""
        stack = [entry]
        while stack:
            top = stack[-1]
            if top in self._sources:
                stack.pop()
                continue
            form = self.form(top)
            below = _operands(form)
            missing = [e for e in below if e not in self._sources]
            if missing:
                stack.extend(missing)
                continue
            own = {_law(form)} if isinstance(form, Gaussian) else set()
            self._sources[top] = frozenset(own).union(*(self._sources[e] for e in below))
            stack.pop()
        return self._sources[entry]

    # -- expectations ------------------------------------------------------------------------------

    def moment(self, a: Entry, b: Entry, cross: bool = True) -> Moment:
        """Return the limit of ``E[Z^a Z^b]``, b at the other input where ``cross``."""
        return self.expectation((Factor(*a, 0), Factor(*b, int(cross))), cross)

    def expectation(self, factors: Key, cross: bool) -> Moment:
        """Return the expectation of a product, as an expression of the pair where ``cross``."""
        key, side = _normal(factors)
        return _lifted(self._solve(key), side if cross else None)

    def _solve(self, root: Key) -> Moment:
        """Evaluate a key with an explicit stack of suspended rules: programs may be deep."""
        if root in self._moments:
            return self._moments[root]
        stack: list[tuple[Key, Rule, int | None]] = [(root, reduce(self, root), None)]
        answer: Moment | None = None
        while stack:
            key, rule, _ = stack[-1]
            try:
                wanted = next(rule) if answer is None else rule.send(answer)
            except StopIteration as stop:
                self._moments[key] = answer = stop.value
                lift = stack.pop()[2]
                answer = _lifted(answer, lift)
                continue
            inner, side = _normal(wanted)
            lift = side if _normal(key)[1] is None else None
            known = self._moments.get(inner)
            answer = None if known is None else _lifted(known, lift)
            if known is None:
                if len(self._moments) > MAX_STATES:
                    raise LimitRefusal("the recursion has too many entries", inner[0].node)
                stack.append((inner, reduce(self, inner), lift))
        return self._moments[root]


def _lifted(moment: Moment, side: int | None) -> Moment:
    return moment if side is None else Moment(ex.at(side, moment.value), moment.power)


def _normal(factors: Key) -> tuple[Key, int | None]:
    """Return the factors in canonical order, and their side if they all belong to one input.

    Weights belong to no input. Factors of x' alone are written as factors of x.
    """
    sides = {f.side for f in factors if f.node.type.batched}
    only = sides.pop() if len(sides) == 1 else (0 if not sides else None)
    shifted = (
        f if f.side == (s := f.side if only is None and f.node.type.batched else 0) else _at(f, s)
        for f in factors
    )
    return tuple(sorted(shifted, key=lambda f: f.order)), only


def _at(factor: Factor, side: int) -> Factor:
    return Factor(factor.node, factor.index, side, factor.activation)


def _operands(form: Form) -> tuple[Entry, ...]:
    """Return the entries whose Gaussians are this one's too."""
    if isinstance(form, Polynomial):
        return tuple(e for _, entries in form.terms for e in entries)
    return (form.entry,) if isinstance(form, Function) else ()


def _law(form: Gaussian) -> tuple[str, tuple[int, ...]]:
    return (form.param, form.contracted)


def reduce(context: MomentContext, factors: Key) -> Rule:
    """Reduce an expectation to simpler ones, which are yielded and sent back."""
    if not factors:
        return Moment(ex.number(1), Affine.of(0))
    factors = tuple(_opened(context, f) for f in factors)
    clusters = _clusters(context, factors)
    if len(clusters) > 1:
        moments = []
        for cluster in clusters:
            moments.append((yield cluster))
            if moments[-1].is_zero:
                return NOTHING
        return _product(moments)
    expandable = [f for f in factors if f.activation is None and _is_sum(context, f)]
    if expandable:
        return (yield from _expand(context, factors, max(expandable, key=lambda f: f.order)))
    if not context.sources(factors[0].entry):
        return _deterministic(context, factors)
    return (yield from _gaussian(context, _merged(factors)))


def _opened(context: MomentContext, factor: Factor) -> Factor:
    """Write an entry that is a nonlinearity as such."""
    if factor.activation is None:
        form = context.form(factor.entry)
        if isinstance(form, Function):
            return Factor(*form.entry, factor.side, form.activation)
    return factor


def _is_sum(context: MomentContext, factor: Factor) -> bool:
    return isinstance(context.form(factor.entry), Polynomial)


def _clusters(context: MomentContext, factors: Key) -> list[Key]:
    """Split factors into groups without a common Gaussian; numbers form one group."""
    groups: list[tuple[set[Any], list[Factor]]] = []
    for f in factors:
        own = set(context.sources(f.entry)) or {None}
        members = [f]
        rest = []
        for sources, others in groups:
            if sources & own:
                own |= sources
                members = others + members
            else:
                rest.append((sources, others))
        groups = [*rest, (own, members)]
    return [tuple(members) for _, members in groups]


def _expand(context: MomentContext, factors: Key, factor: Factor) -> Rule:
    """Linearity in one factor."""
    form = context.form(factor.entry)
    assert isinstance(form, Polynomial)
    at = factors.index(factor)
    others = factors[:at] + factors[at + 1 :]
    parts = []
    for coefficient, entries in form.terms:
        wanted = (*others, *(Factor(*entry, factor.side) for entry in entries))
        part = yield wanted
        parts.append(_scaled(part, coefficient))
    return total(parts)


def _deterministic(context: MomentContext, factors: Key) -> Moment:
    """Numbers: entries of inputs, in pairs."""
    forms = [context.form(f.entry) for f in factors]
    pairs = [f for f in forms if isinstance(f, Data)]
    if len(pairs) != 2 or len(forms) != 2 or any(f.activation is not None for f in factors):
        raise MissingRule(factors[0].node, "limit", "input entries that no weight multiplies")
    left, right = (ex.Slice(f.name, f.place) for f in pairs)
    return Moment(ex.gram(left, right, factors[0].side != factors[1].side), Affine.of(0))


def _merged(factors: Key) -> Key:
    """Write several nonlinearities of one Gaussian as one (a square stays: it is a dual)."""
    square = [f for f in factors if f.activation is not None]
    if len(square) == 2 and square[0] == square[1]:
        return factors
    functions: dict[tuple[Entry, int], Activation] = {}
    plain = []
    for f in factors:
        if f.activation is None:
            plain.append(f)
            continue
        place = (f.entry, f.side)
        before = functions.get(place)
        functions[place] = f.activation if before is None else _joined(before, f.activation)
    merged = (Factor(*entry, side, phi) for (entry, side), phi in functions.items())
    return (*plain, *sorted(merged, key=lambda f: f.order))


@lru_cache(maxsize=1024)
def _joined(phi: Activation, psi: Activation) -> Activation:
    from tpc.ops.activations import formula as fm
    from tpc.ops.activations.written import from_formula

    return from_formula(fm.multiply(phi.formula(), psi.formula()), f"{phi.label} {psi.label}")


def _gaussian(context: MomentContext, factors: Key) -> Rule:
    """Expectations of Gaussians and nonlinearities of Gaussians that hang together."""
    plain = [f for f in factors if f.activation is None]
    functions = [f for f in factors if f.activation is not None]
    for f in functions:
        _require_gaussian(context, f)
    if len(plain) == 1 and not functions:
        return NOTHING
    if len(plain) == 2 and not functions:
        return (yield from _covariance(context, plain[0], plain[1]))
    if plain:
        return (yield from _by_parts(factors, plain[0]))
    if len(functions) > 2:
        raise MissingRule(functions[0].node, "limit", "three nonlinearities of correlated values")
    left = functions[0]
    q1 = yield from _variance(left, left)
    assert left.activation is not None
    if len(functions) == 1:
        return Moment(ex.average(left.activation, q1), Affine.of(0))
    right = functions[1]
    assert right.activation is not None
    k = yield from _variance(left, right)
    q2 = yield from _variance(right, right)
    if left.side > right.side:
        left, right, q1, q2 = right, left, q2, q1
    assert left.activation is not None
    assert right.activation is not None
    return Moment(ex.dual(left.activation, right.activation, q1, k, q2), Affine.of(0))


def _variance(a: Factor, b: Factor) -> Generator[Key, Moment, ex.Expression]:
    """Return a covariance of arguments, zero where it vanishes with the width."""
    moment = yield (Factor(*a.entry, a.side), Factor(*b.entry, b.side))
    if moment.is_zero:
        return moment.value
    power = _constant(moment.power, a.node)
    if power > 0:
        raise LimitRefusal(
            f"what a nonlinearity is applied to grows like n^{power / 2} with the width",
            a.node,
            "choose a stable parametrization: tpc classify says which weight is too large",
        )
    return moment.value if power == 0 else ex.number(0)


def _by_parts(factors: Key, g: Factor) -> Rule:
    """``E[g F] = sum_i Cov(g, g_i) E[dF/dg_i]``."""
    at = factors.index(g)
    others = factors[:at] + factors[at + 1 :]
    parts = []
    for i, f in enumerate(others):
        covariance = yield (g, Factor(*f.entry, f.side))
        if covariance.is_zero:
            continue
        rest = others[:i] + others[i + 1 :]
        if f.activation is not None:
            slope = f.activation.derivative()
            if slope.is_zero:
                continue
            level = slope.constant_value
            if level is not None:
                covariance = _scaled(covariance, Coefficient.of(level))
            else:
                rest = (*rest, Factor(*f.entry, f.side, slope))
        remaining = yield rest
        parts.append(_product([covariance, remaining]))
    return total(parts)


def _require_gaussian(context: MomentContext, factor: Factor) -> None:
    """Refuse a nonlinearity of something that is no sum of Gaussians.

    Raises:
        MissingRule: with the node at fault.
    """
    todo, seen = [factor.entry], {factor.entry}
    while todo:
        form = context.form(todo.pop())
        if isinstance(form, Gaussian):
            continue
        single = isinstance(form, Polynomial) and all(len(e) == 1 for _, e in form.terms)
        if not single:
            raise MissingRule(
                factor.node, "limit", "a nonlinearity of values that are not Gaussian in the limit"
            )
        for entry in _operands(form):
            if entry not in seen:
                seen.add(entry)
                todo.append(entry)


def _covariance(context: MomentContext, a: Factor, b: Factor) -> Rule:
    """``sigma^2`` times the moments of what one weight is contracted with; zero for two weights."""
    g, h = context.form(a.entry), context.form(b.entry)
    assert isinstance(g, Gaussian)
    assert isinstance(h, Gaussian)
    if _law(g) != _law(h):
        return NOTHING
    variance = weight_variance(context.params[g.param], g.contracted)
    if g.data is not None and h.data is not None:
        if g.weight != h.weight:
            return NOTHING
        product = ex.gram(g.data, h.data, a.side != b.side)
        return _scaled(Moment(product, Affine.of(0)), variance)
    if g.data is not None or h.data is not None:
        raise MissingRule(a.node, "limit", "one weight on an input and on something else")
    by_position: dict[tuple[int, ...], list[Entry | None]] = {}
    for position, entry in h.terms:
        by_position.setdefault(position, []).append(entry)
    parts = []
    for position, left in g.terms:
        for right in by_position.get(position, ()):
            inside = [Factor(*e, f.side) for e, f in ((left, a), (right, b)) if e is not None]
            parts.append((yield tuple(inside)))
    return _scaled(total(parts), variance)


def weight_variance(spec: ParamSpec, contracted: tuple[int, ...]) -> Coefficient:
    """Return the variance of an entry of W, times n for every width axis that is summed over."""
    variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2
    for axis in contracted:
        dim = spec.type.dims[axis]
        variance = variance * Coefficient(_block(dim.count), Affine.of(1))
    return variance


def _block(count: Fraction) -> Constant:
    """Return the coordinates of one block of an axis of ``count * n``, over n."""
    return Constant.of(count / max(1, int(count)))


def block_size(count: Fraction) -> Coefficient:
    """Return the number of coordinates of one block of a width axis."""
    return Coefficient(_block(count), Affine.of(1))


def _scaled(moment: Moment, factor: Coefficient) -> Moment:
    if moment.is_zero or factor.is_zero:
        return NOTHING
    return Moment(ex.scale(moment.value, factor.constant), moment.power + factor.power)


def _product(moments: list[Moment]) -> Moment:
    power = Affine.of(0)
    for m in moments:
        if m.is_zero:
            return NOTHING
        power = power + m.power
    return Moment(ex.multiply(*(m.value for m in moments)), power)


def product(*moments: Moment) -> Moment:
    """Return the product of moments."""
    return _product(list(moments))


def scaled(moment: Moment, factor: Coefficient) -> Moment:
    """Return a moment times a coefficient."""
    return _scaled(moment, factor)


def total(moments: list[Moment]) -> Moment:
    """Return the sum of moments, of which only the leading power of the width is kept."""
    present = [m for m in moments if not m.is_zero]
    if not present:
        return NOTHING
    top = max(_constant(m.power) for m in present)
    kept = [m.value for m in present if m.power.const == top]
    value = ex.total(kept)
    return NOTHING if ex.is_zero(value) else Moment(value, Affine.of(top))


def _constant(power: Affine, node: Node | None = None) -> Fraction:
    if not power.is_constant:
        raise LimitRefusal(
            f"the power n^({power}) of the width has no value yet",
            node,
            "give the exponents values: --set a=1/2, or a named parametrization",
        )
    return power.const
