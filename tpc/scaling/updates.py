"""What one step of an optimizer adds to a weight (theory, sections 4 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.scaling.characters import Coset, even_span, intersects, odd_span, product
from tpc.scaling.nonlinear import Shape, nonlinear
from tpc.scaling.outer import Outer, Pair
from tpc.scaling.state import Size, Value, join
from tpc.scaling.terms import ZERO, Terms
from tpc.scaling.tropical import Tropical, minimum

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.optimizers.settings import Settings
    from tpc.scaling.domain import Domain

_ODD = Shape("odd", vanishes=True)


class NoUpdateRule(Exception):  # noqa: N818 - a fact about an optimizer, reported as a diagnostic
    """The sizes of an optimizer's steps are not known in a case: the message says which."""


@dataclass(frozen=True)
class Trained:
    """A weight that moves: its numbers, and how it is trained."""

    spec: ParamSpec
    settings: Settings

    def shrinkage(self, domain: Domain) -> Tropical:
        """Return the exponent of the share of w that one step's weight decay takes away."""
        chosen = self.settings
        if chosen.decay.is_zero:
            return Tropical()
        return domain.exponent(-(chosen.rate.power + chosen.decay.power))


def updates(
    trained: Mapping[str, Trained],
    gradients: Mapping[str, Size],
    weights: Mapping[str, Size],
    domain: Domain,
) -> dict[str, Value]:
    """Return what a step adds to each weight W, given the gradients with respect to W."""
    found = {}
    for name, weight in trained.items():
        factor = _clip(weight, trained, gradients, domain)
        found[name] = _update(weight, gradients[name], weights[name], factor, domain)
    return found


def _update(
    weight: Trained, gradient: Size, value: Size, factor: Tropical, domain: Domain
) -> Value:
    spec, chosen = weight.spec, weight.settings
    multiplier, rate = spec.multiplier.power, chosen.rate.power
    if chosen.optimizer.kind == "linear":
        return gradient.total.shift(domain.exponent(-(multiplier * 2 + rate))).shift(factor)
    if not chosen.optimizer.decoupled and not chosen.decay.is_zero:
        raise NoUpdateRule(
            f"weight decay that {chosen.optimizer.name} adds to the gradient of `{spec.name}`"
        )
    shift = domain.exponent(-(multiplier + rate))
    if chosen.optimizer.kind == "parameter_scaled":
        shift = shift + _weight_size(spec, value, domain)
    times = (gradient.init, gradient.total)
    if chosen.optimizer.kind == "spectral":
        return _union(_polar(g, domain) for g in times).shift(shift)
    eps = _eps(weight, domain)
    return _union(_direction(g, eps, domain) for g in times).shift(shift)


def _union(values: Iterable[Value]) -> Value:
    first, second = values
    return join(first, second)


def _weight_size(spec: ParamSpec, value: Size, domain: Domain) -> Tropical:
    """Return the exponent of the root mean square of the trainable w (1 while it is zero)."""
    size = value.total.smallest
    if size.is_infinite:
        return Tropical.constant(0)
    return size + domain.exponent(spec.multiplier.power)


# -- entrywise optimizers ------------------------------------------------------------------------


def _eps(weight: Trained, domain: Domain) -> Tropical | None:
    """Return the exponent of eps in the unit of dL/dW, None without it."""
    eps = weight.settings.options.get("eps")
    if eps is None or eps.is_zero:
        return None
    # the optimizer sees g = mult n^-a dL/dW
    return domain.exponent(weight.spec.multiplier.power - eps.power)


def _direction(gradient: Value, eps: Tropical | None, domain: Domain) -> Value:
    """Return an odd function of the gradient's entries, relative to the largest (or to eps)."""
    if not gradient:
        return gradient
    largest = gradient.smallest
    scale = domain.single(largest if eps is None else largest | eps)
    inverse = domain.difference(Tropical.constant(0), scale)
    relative = gradient.shift(inverse)
    if isinstance(relative, Terms):
        return nonlinear(relative, ZERO, _ODD, domain)[0]
    return _odd_of_products(relative, domain)


def _odd_of_products(gradient: Outer, domain: Domain) -> Outer:
    """Return psi(sum of u v^T), entry by entry, for an odd psi.

    An odd number of factors u v^T stands in every term of it: odd products of characters on both
    sides. What is of lower order is expanded around the largest terms.
    """
    _only_products(gradient)
    bulk = [pair for pair, e in gradient.products.items() if domain.is_zero(e)]
    rest = [(pair, e) for pair, e in gradient.products.items() if not domain.is_zero(e)]
    if not bulk:  # eps dominates: psi is linear there
        return gradient
    odd = tuple(odd_span(*side) for side in zip(*bulk, strict=True))
    even = tuple(even_span(*side) for side in zip(*bulk, strict=True))
    found: list[tuple[Pair, Tropical]] = [((odd[0], odd[1]), Tropical.constant(0))]
    found += [(_times(pair, even), e) for pair, e in rest]
    found += [(_times(_times(p, q), odd), e + f) for p, e in rest for q, f in rest]
    simplified = domain.simplify(Outer((), found))
    assert isinstance(simplified, Outer)
    return simplified


def _times(pair: Pair, other: tuple[Coset, ...]) -> Pair:
    return (product(pair[0], other[0]), product(pair[1], other[1]))


def _only_products(gradient: Outer) -> None:
    if gradient.weights:
        raise NoUpdateRule("an entrywise function of a gradient that contains an initial weight")


# -- spectral optimizers -------------------------------------------------------------------------


def _polar(gradient: Value, domain: Domain) -> Value:
    """Return the gradient with its singular values replaced by one.

    A gradient `sum_k s_k u_k v_k^T` of unit vectors becomes `sum_k u_k v_k^T` where they are
    orthogonal. Vectors of different characters overlap by n^-1/2, so mixed products `u_k v_l^T`
    come with that factor. Entries of unit vectors are of size n^-1/2.
    """
    if isinstance(gradient, Terms):
        return Terms((u, Tropical.constant(domain.half)) for u, _ in gradient)
    _only_products(gradient)
    unit, mixed = Tropical.constant(2 * domain.half), Tropical.constant(3 * domain.half)
    pairs = list(gradient.products)
    found = [(pair, unit) for pair in pairs]
    for p in pairs:
        for q in pairs:
            overlap = intersects(p[0], q[0]) or intersects(p[1], q[1])
            found.append(((p[0], q[1]), unit if overlap else mixed))
    return Outer((), found)


# -- clipping ------------------------------------------------------------------------------------


def _clip(
    weight: Trained, trained: Mapping[str, Trained], gradients: Mapping[str, Size], domain: Domain
) -> Tropical:
    """Return the exponent of `min(1, bound / norm)`, the norm over the whole group."""
    bound = weight.settings.clip
    zero = Tropical.constant(0)
    if bound is None:
        return zero
    norms = []
    for name in weight.settings.group:
        if name in trained:
            spec = trained[name].spec
            size = _norm(gradients[name].total, spec.type.sort, domain)
            norms.append(size + domain.exponent(-spec.multiplier.power))
    norm = minimum(norms)
    if norm.is_infinite:
        return zero
    return domain.positive_part(domain.difference(domain.exponent(-bound.power), norm))


def _norm(gradient: Value, sort: int, domain: Domain) -> Tropical:
    """Return the exponent of the root of the sum of squares over n^sort entries."""
    return gradient.smallest + Tropical.constant(-sort * domain.half)
