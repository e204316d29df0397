"""How expectations of products reduce to simpler ones.

Each rule is a generator: it yields the expectations it needs and is sent their values, so that the
caller may keep an explicit stack.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.limit import expressions as ex
from tpc.limit import fluctuations
from tpc.limit.arguments import between, variance
from tpc.limit.covariances import covariance
from tpc.limit.forms import (
    Data,
    Entry,
    Function,
    Gaussian,
    Mask,
    Polynomial,
    Root,
)
from tpc.limit.general import general
from tpc.limit.kinks import jumps, remainders
from tpc.limit.leaves import centred, composed, proportional, require_moments, resolved, single
from tpc.limit.moment import (
    NOTHING,
    Factor,
    Key,
    Moment,
    Rule,
    inverse,
    nothing,
    product,
    scaled,
    total,
)
from tpc.ops.activations import formula as fm
from tpc.ops.activations.formula.nodes import Formula, Product
from tpc.ops.activations.relu import Relu
from tpc.ops.activations.relu_power import ReluPower
from tpc.ops.activations.step import Step
from tpc.ops.activations.written import from_formula

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.limit.moments import MomentContext
    from tpc.ops.activations import Activation

VANISHING = Polynomial(())
MAX_POWER = 16
MASK = "mask"  # marks the sources of an entry that are random masks
DATA = ("", ())  # stands for the inputs among the sources of an entry


def reduce(context: MomentContext, factors: Key) -> Rule:
    """Reduce an expectation to simpler ones, which are yielded and sent back."""
    if not factors:
        return Moment(ex.number(1), Affine.of(0))
    factors = tuple(_opened(context, f) for f in factors)
    shared = remainders(context, factors)
    if shared is not None:
        return (yield shared)
    if any(context.form(f.entry) == VANISHING for f in factors if f.activation is None):
        return NOTHING
    if len(factors) == 2 and all(_is_random_sum(context, f) for f in factors):
        return (yield from fluctuations.covariance(context, *factors))
    clusters = _clusters(context, factors)
    if len(clusters) > 1:
        # inputs last: what the weights multiply them by may vanish
        clusters.sort(key=lambda cluster: context.sources(cluster[0].entry) == {DATA})
        moments = []
        for cluster in clusters:
            moments.append((yield cluster))
            if moments[-1].is_zero and moments[-1].noise is None:
                return NOTHING
        return product(*moments)
    expandable = _expandable(context, factors)
    if expandable:
        return (yield from _expand(context, factors, max(expandable, key=lambda f: f.order)))
    mask = context.form(factors[0].entry)
    if (
        isinstance(mask, Mask)
        and all(f == factors[0] for f in factors)
        and not factors[0].activation
    ):
        return Moment(ex.number(mask.keep), Affine.of(0))  # powers of zero and one
    if context.sources(factors[0].entry) <= {DATA}:
        return (yield from _deterministic(context, factors))
    return (yield from _gaussian(context, _merged(factors)))


def _is_random_sum(context: MomentContext, factor: Factor) -> bool:
    if factor.activation is not None or context.tangent:
        return False
    return fluctuations.fluctuates(context, factor.entry)


def _opened(context: MomentContext, factor: Factor) -> Factor:
    """Write an entry that is a function of one Gaussian as such, nonlinearities of it included."""
    key = (factor.entry, factor.activation)
    if key not in context.opened:
        context.opened[key] = _of_one_gaussian(context, *key, factor.node)
    (node, index), phi = context.opened[key]
    return factor if (node, index) == factor.entry else Factor(node, index, factor.side, phi)


def _of_one_gaussian(
    context: MomentContext, entry: Entry, phi: Activation | None, node: Node
) -> tuple[Entry, Activation | None]:
    from tpc.limit.numbers import is_number
    from tpc.ops.activations.written import from_formula

    form = context.form(entry)
    start = entry
    if phi is None and isinstance(form, Function):
        phi, entry = form.activation, form.entry
    elif phi is None and not isinstance(form, Root):
        return entry, phi
    if is_number(context, entry):
        return entry if phi is not None else start, phi
    if phi is not None and centred(context, entry):
        return resolved(context, entry), phi
    found = single(context, entry)
    if found is None or found[0] is None:
        return entry, phi
    formula = found[1] if phi is None else composed(phi, found[1])
    joined = from_formula(formula)
    require_moments(joined, node)
    return found[0], joined


def _expandable(context: MomentContext, factors: Key) -> list[Factor]:
    """Return the sums that linearity serves: not those inside of what is integrated anyway."""
    sums = [f for f in factors if f.activation is None and _is_sum(context, f)]
    inside: set[Any] = set()
    for f in factors:
        if not _is_simple(context, f):
            inside |= context.sources(f.entry)
    if not inside:
        return sums
    found = []
    for f in sums:
        form = context.form(f.entry)
        assert isinstance(form, Polynomial)
        if len(form.terms) < 2 or not context.sources(f.entry) <= inside:
            found.append(f)
    return found


def _is_simple(context: MomentContext, factor: Factor) -> bool:
    """Whether a factor is a sum, a Gaussian, a number, a mask, or a function of one Gaussian."""
    from tpc.limit.numbers import is_number

    if is_number(context, factor.entry):
        return True
    if factor.activation is not None:
        return centred(context, factor.entry)
    return isinstance(context.form(factor.entry), (Polynomial, Gaussian, Mask, Data))


def _is_sum(context: MomentContext, factor: Factor) -> bool:
    return isinstance(context.form(factor.entry), Polynomial)


def _clusters(context: MomentContext, factors: Key) -> list[Key]:
    """Split factors into groups without a common Gaussian; numbers form one group."""
    groups: list[tuple[set[Any], list[Factor]]] = []
    for f in factors:
        own: set[Any] = {(s, f.side) if s[0] == MASK else s for s in context.sources(f.entry)}
        own = own - {DATA} or own or {None}  # what is random hangs together by weights, not inputs
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
    _require_few(context, len(form.terms), others)
    parts = []
    for coefficient, entries in form.terms:
        wanted = (*others, *(Factor(*entry, factor.side) for entry in entries))
        part = yield wanted
        parts.append(scaled(part, coefficient))
    return total(parts)


def _require_few(context: MomentContext, count: int, others: Key) -> None:
    """Refuse at once where two long sums meet: every pair of their terms is a moment.

    Raises:
        LimitRefusal: there are too many pairs.
    """
    from tpc.limit.moments import MAX_PAIRS, too_many

    for f in others:
        form = context.form(f.entry)
        if isinstance(form, Polynomial) and count * len(form.terms) > MAX_PAIRS:
            raise too_many(count * len(form.terms), f.node)


def _deterministic(context: MomentContext, factors: Key) -> Rule:
    """Numbers: entries of inputs in pairs are inner products, all others stand for themselves."""
    from tpc.limit.numbers import number

    if len(factors) == 1:
        return number(context, factors[0].entry, factors[0].activation)
    factors = tuple(sorted(factors, key=lambda f: f.side))
    pairs = [f for f in map(context.form, (f.entry for f in factors)) if isinstance(f, Data)]
    if len(factors) == len(pairs) == 2 and all(f.activation is None for f in factors):
        left, right = (ex.Slice(f.name, f.place) for f in pairs)
        return Moment(ex.gram(left, right, factors[0].side != factors[1].side), Affine.of(0))
    found = Moment(ex.number(1), Affine.of(0))
    for f in factors:
        found = product(found, (yield (f,)))
    return found


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
    product = fm.multiply(phi.formula(), psi.formula())
    return _rectified(product) or from_formula(product, f"{phi.label} {psi.label}")


def _rectified(product: Formula) -> Activation | None:
    """Return ``z^a relu(z)^b step(z)^c`` as a power of relu, which it is but for a point."""
    if not isinstance(product, Product):
        return None
    bases = {fm.Z: 1, fm.apply(Relu(), fm.Z): 1, fm.apply(Step(), fm.Z): 0}
    if not all(base in bases and e.denominator == 1 and e > 0 for base, e in product.factors):
        return None
    if all(base == fm.Z for base, _ in product.factors):
        return None
    power = sum(bases[base] * int(e) for base, e in product.factors)
    if power > MAX_POWER:
        return None
    return (Step(), Relu())[power] if power < 2 else ReluPower(Constant.of(power))


def _gaussian(context: MomentContext, factors: Key) -> Rule:
    """Expectations of Gaussians and nonlinearities of Gaussians that hang together."""
    plain = [f for f in factors if f.activation is None]
    functions = [f for f in factors if f.activation is not None]
    gaussian = all(isinstance(context.form(f.entry), Gaussian) for f in plain)
    if not gaussian or not all(centred(context, f.entry) for f in functions):
        return (yield from general(context, factors))
    if len(plain) == 1 and not functions:
        return NOTHING
    if len(plain) == 2 and not functions:
        return (yield from covariance(context, plain[0], plain[1]))
    if plain:
        return (yield from _by_parts(context, factors, plain[0]))
    if len(functions) > 2:
        return (yield from general(context, factors))
    left = functions[0]
    q1, scale1 = yield from variance(context, left)
    assert left.activation is not None
    if len(functions) == 1:
        return Moment(ex.average(left.activation, q1), Affine.of(0))
    right = functions[1]
    assert right.activation is not None
    q2, scale2 = yield from variance(context, right)
    k = yield from between(context, left, right, scale1, scale2)
    if left.side > right.side:
        left, right, q1, q2 = right, left, q2, q1
    assert left.activation is not None
    assert right.activation is not None
    value = ex.dual(left.activation, right.activation, q1, k, q2)
    small = (scale1 + scale2) / 2
    if ex.is_zero(value) and small < 0:  # of this order, not nothing
        return nothing(Affine.of(small))
    return Moment(value, Affine.of(0))


def _with_jumps(context: MomentContext, factors: Key) -> Rule:
    """Gaussian factors beside functions that jump, whose derivatives have masses at points.

    A Gaussian g times a function of it, or of u = c g with a number c of the sample, is a function
    of it, ``g f(u) = u f(u) / c``, and no derivative is needed.
    """
    from tpc.ops.activations.polynomial import Polynomial as Powers

    functions = [f for f in factors if f.activation is not None]
    for g in factors:
        if g.activation is not None:
            continue
        for f in functions:
            found = proportional(context, f.entry, resolved(context, g.entry))
            if f.side != g.side or found is None:
                continue
            rest = list(factors)
            rest.remove(g)
            outer = yield _merged((*rest, Factor(*f.entry, f.side, Powers())))
            for e in found[1]:
                outer = product(outer, inverse((yield (Factor(*e, f.side),))))
            return scaled(outer, found[0] ** -1)
    return (yield from general(context, factors))


def _by_parts(context: MomentContext, factors: Key, g: Factor) -> Rule:
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
            if jumps(f.activation):
                return (yield from _with_jumps(context, factors))
            slope = f.activation.derivative()
            if slope.is_zero:
                continue
            level = slope.constant_value
            if level is not None:
                covariance = scaled(covariance, Coefficient.of(level))
            else:
                rest = (*rest, Factor(*f.entry, f.side, slope))
        remaining = yield rest
        parts.append(product(covariance, remaining))
    return total(parts)
