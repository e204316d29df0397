"""What one step of an optimizer adds to a weight (theory, sections 4 and 6).

An optimizer is given the gradient of the loss on data, that of penalties on the weights alone
(``loss = mse(f(x), y) + 0.1 * sum(W * W)``), and what coupled weight decay adds, ``decay * w``. The
last two are the same thing, and where they hold nothing but the initial weight itself they shrink
it: its size is reported (:func:`shrinkage`), and it is not counted as learning. All else that they
do is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.scaling.entries import odd_function
from tpc.scaling.nonlinear import Shape, nonlinear
from tpc.scaling.outer import NO_MATRIX, Outer
from tpc.scaling.spectral import polar
from tpc.scaling.state import Size, Value, join
from tpc.scaling.terms import ZERO, Terms
from tpc.scaling.tropical import INFINITE, Tropical, minimum

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.optimizers.settings import Settings
    from tpc.scaling.domain import Domain

_ODD = Shape("odd", vanishes=True)
_ZERO = Tropical.constant(0)


@dataclass(frozen=True)
class Trained:
    """A weight that moves: its numbers, and how it is trained."""

    spec: ParamSpec
    settings: Settings


@dataclass(frozen=True)
class Felt:
    """What an optimizer feels of a weight W, in units of dL/dW.

    ``gradient`` is that of the loss on data, ``penalty`` that of what the loss holds of weights
    alone (None where it does not), ``weight`` is W itself.
    """

    gradient: Size
    penalty: Size | None
    weight: Size


def updates(
    trained: Mapping[str, Trained],
    felt: Mapping[str, Felt],
    domain: Domain,
    *,
    shrinking: bool = False,
) -> dict[str, Value]:
    """Return what a step adds to each weight W; ``shrinking`` with what only shrinks it."""
    found = {}
    for name, weight in trained.items():
        factor = _clip(weight, trained, felt, domain)
        step = _Step(weight, felt[name], factor, domain)
        found[name] = step.all() if shrinking else step.learned()
    return found


def shrinkage(
    name: str, trained: Mapping[str, Trained], felt: Mapping[str, Felt], domain: Domain
) -> Tropical:
    """Return the exponent of the share of W that decay and penalties take away in one step."""
    factor = _clip(trained[name], trained, felt, domain)
    return _Step(trained[name], felt[name], factor, domain).share()


def ruled_by_decay(
    name: str, trained: Mapping[str, Trained], felt: Mapping[str, Felt], domain: Domain
) -> bool:
    """Return whether what shrinks a weight outweighs its gradient (numeric exponents)."""
    factor = _clip(trained[name], trained, felt, domain)
    step = _Step(trained[name], felt[name], factor, domain)
    if step.linear or not step.own:
        return False
    own = step.own.smallest
    if trained[name].settings.optimizer.kind == "spectral" and felt[name].weight.is_matrix:
        # singular values decide: those of independent entries are n^1/2 smaller than of a product
        own = own + Tropical.constant(domain.half)
    return not domain.at_least(own, step.moments[1].smallest)


class _Step:
    """One step of one weight: ``own`` is what decay and penalties hold of the initial weight.

    ``moments`` are all else that the optimizer is given: at first, and later.
    """

    def __init__(self, weight: Trained, felt: Felt, factor: Tropical, domain: Domain) -> None:
        self.weight, self.felt, self.domain = weight, felt, domain
        spec, chosen = weight.spec, weight.settings
        self.multiplier, self.rate = spec.multiplier.power, chosen.rate.power
        self.linear = chosen.optimizer.kind == "linear"
        first, later = felt.gradient.init, felt.gradient.total
        self.own: Value = NO_MATRIX if felt.weight.is_matrix else ZERO
        self.decays = not chosen.decay.is_zero and not chosen.optimizer.decoupled
        if felt.penalty is not None:
            self.own, rest = _split(felt.penalty.init, felt.weight.init)
            first, later = join(first, rest), join(later, join(rest, felt.penalty.change))
        if self._minds_scale:
            first, later, self.own = (x.shift(factor) for x in (first, later, self.own))
        if self.decays:
            # the optimizer is given g = mult n^-a dL/dW, and adds decay * w, with W = mult n^-a w
            by = domain.exponent(self.multiplier * 2 - chosen.decay.power)
            self.own = join(self.own, felt.weight.init.shift(by))
            if not self.linear:  # linear steps only shrink the change in turn
                later = join(later, felt.weight.change.shift(by))
        self.moments = (first, later)

    @property
    def _minds_scale(self) -> bool:
        return self.linear or self.decays or self._eps() is not None

    def learned(self) -> Value:
        """Return what the step adds beyond shrinking the initial weight."""
        if self.linear:
            return self.moments[1].shift(self._shift())
        first, later = (self._direction(moment) for moment in self.moments)
        return join(first, later).shift(self._shift())

    def all(self) -> Value:
        """Return all that the step adds."""
        found = [self.learned()]
        if self.linear:
            found.append(self.own.shift(self._shift()))
        elif self.own:
            none: Value = NO_MATRIX if self.felt.weight.is_matrix else ZERO
            for moment in self.moments:
                scale = self._scale(moment)
                own = self.own.shift(self.domain.difference(_ZERO, scale))
                found.append(self._function(none, own).shift(self._shift()))
        chosen = self.weight.settings
        if chosen.optimizer.decoupled and not chosen.decay.is_zero:
            by = self.domain.exponent(-(chosen.rate.power + chosen.decay.power))
            found.append(self.felt.weight.total.shift(by))
        total = found[0]
        for value in found[1:]:
            total = join(total, value)
        return total

    def share(self) -> Tropical:
        """Return the exponent of the share of the initial weight that the step takes."""
        chosen, domain = self.weight.settings, self.domain
        start = self.felt.weight.init.smallest
        found = INFINITE
        if not chosen.decay.is_zero and (chosen.optimizer.decoupled or self.linear):
            found = domain.exponent(-(chosen.rate.power + chosen.decay.power))
        if self.own and not (self.linear and self.felt.penalty is None):
            taken = self.own.smallest + self._shift()
            if not self.linear:
                scales = [self._scale(moment) for moment in self.moments]
                taken = minimum(domain.difference(taken, scale) for scale in scales)
            if chosen.optimizer.kind == "spectral":  # all singular values of the weight become one
                taken = self._shift() + Tropical.constant(domain.half)
            found = found | domain.difference(taken, start)
        return found

    # -- functions of what the optimizer is given --------------------------------------------------

    def _shift(self) -> Tropical:
        """Return the exponent of the coefficient of the direction (linear: of the gradient)."""
        domain = self.domain
        if self.linear:
            return domain.exponent(-(self.multiplier * 2 + self.rate))
        shift = domain.exponent(-(self.multiplier + self.rate))
        if self.weight.settings.optimizer.kind == "parameter_scaled":
            shift = shift + _weight_size(self.weight.spec, self.felt.weight, domain)
        return shift

    def _scale(self, moment: Value) -> Tropical:
        """Return the exponent that entries are divided by: that of the largest, or of epsilon."""
        eps = self._eps()
        largest = moment.smallest | self.own.smallest
        return self.domain.single(largest if eps is None else largest | eps)

    def _eps(self) -> Tropical | None:
        """Return the exponent of eps in the unit of dL/dW, None without it."""
        eps = self.weight.settings.options.get("eps")
        if eps is None or eps.is_zero:
            return None
        return self.domain.exponent(self.multiplier - eps.power)

    def _direction(self, moment: Value) -> Value:
        """Return what the data make of the direction: all but what the weight itself does."""
        if not moment:
            return moment
        inverse = self.domain.difference(_ZERO, self._scale(moment))
        return self._function(self.own.shift(inverse), moment.shift(inverse))

    def _function(self, own: Value, moment: Value) -> Value:
        """Return psi(own + moment) - psi(own); sizes are relative to the largest, or to eps."""
        if self.weight.settings.optimizer.kind == "spectral":
            whole = polar(join(own, moment), self.domain)
            return _split(whole, own)[1] if own else whole
        if isinstance(moment, Outer):
            assert isinstance(own, Outer)
            return odd_function(own, moment, self.domain)
        assert isinstance(own, Terms)
        if not own or any(self.domain.is_zero(e) for _, e in moment):
            return nonlinear(own | moment, ZERO, _ODD, self.domain)[0]
        return nonlinear(own, moment, _ODD, self.domain)[1]


def _split(value: Value, initial: Value) -> tuple[Value, Value]:
    """Return the part of a value that is the initial weight itself, and the rest."""
    if isinstance(value, Terms):
        assert isinstance(initial, Terms)
        own = Terms((u, e) for u, e in value if u in initial.cosets)
        return own, Terms((u, e) for u, e in value if u not in initial.cosets)
    assert isinstance(initial, Outer)
    weights, products = initial.weights, initial.products
    return (
        Outer(
            ((w, e) for w, e in value.weights.items() if w in weights),
            ((pair, e) for pair, e in value.products.items() if pair in products),
        ),
        Outer(
            ((w, e) for w, e in value.weights.items() if w not in weights),
            ((pair, e) for pair, e in value.products.items() if pair not in products),
        ),
    )


def _weight_size(spec: ParamSpec, value: Size, domain: Domain) -> Tropical:
    """Return the exponent of the root mean square of the trainable w (1 while it is zero)."""
    size = value.total.smallest
    if size.is_infinite:
        return _ZERO
    return size + domain.exponent(spec.multiplier.power)


# -- clipping ------------------------------------------------------------------------------------


def _clip(
    weight: Trained, trained: Mapping[str, Trained], felt: Mapping[str, Felt], domain: Domain
) -> Tropical:
    """Return the exponent of `min(1, bound / norm)`, the norm over the whole group."""
    bound = weight.settings.clip
    if bound is None:
        return _ZERO
    norm = minimum(_norms(weight, trained, felt, domain))
    if norm.is_infinite:
        return _ZERO
    return domain.positive_part(domain.difference(domain.exponent(-bound.power), norm))


def _norms(
    weight: Trained, trained: Mapping[str, Trained], felt: Mapping[str, Felt], domain: Domain
) -> Iterator[Tropical]:
    """Yield the norms of the gradients g: roots of sums of squares over n^sort entries."""
    for name in weight.settings.group:
        if name in trained:
            spec = trained[name].spec
            entries = domain.exponent(-spec.multiplier.power)
            entries = entries + Tropical.constant(-spec.type.sort * domain.half)
            sizes = [felt[name].gradient, felt[name].penalty]
            yield from (size.total.smallest + entries for size in sizes if size is not None)
