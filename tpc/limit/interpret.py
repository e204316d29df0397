"""Kernel recursions evaluated directly, expression by expression, for lists of pairs.

Slower than generated code by far, but every expectation is taken by the most careful method: it
serves the few pairs for which a series converges too slowly, and tests as an oracle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.limit import expressions as ex
from tpc.limit.dual import Dual, DualAccuracyError
from tpc.limit.expectation import Expectation
from tpc.limit.integrate import Rule, integrate, integrate_one, integrate_pair
from tpc.limit.series import series_expectation
from tpc.runtime.gram import input_slice, softmax_share
from tpc.runtime.lattice import SIZES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.ops.activations import Activation

    Array = NDArray[np.float64]

Samples = Mapping[str, Any]


def interpret(
    roots: tuple[ex.Expression, ...], left: Samples, right: Samples, tolerance: float
) -> list[Array]:
    """Return the values (P,) of cross expressions at P pairs: ``left[i]`` with ``right[i]``.

    Raises:
        DualAccuracyError: an expectation missed the tolerance.
    """
    order = list(ex.walk(roots))
    rule = Rule(tolerance, SIZES[-1])
    own = [single_values(order, data, rule, side) for side, data in enumerate((left, right))]
    values = values_of(order, (left, right), (own[0], own[1]), rule)
    if rule.sampled:
        return [v.mean(axis=0) if v.ndim > 1 else v for v in (values[e] for e in roots)]
    return [values[e] for e in roots]


def single_values(
    order: list[ex.Expression], data: Samples, rule: Rule, side: int | None = None
) -> dict[ex.Expression, Array]:
    """Return what cross expressions need of single samples, N values each, by expression.

    Of those on one ``side`` only, where it is given.
    """
    needed = [e.inner for e in order if isinstance(e, ex.At) and side in (None, e.side)]
    singles = list(ex.walk(needed))
    return values_of(singles, (data, data), (), rule)


def values_of(
    order: Sequence[ex.Expression],
    data: tuple[Samples, Samples],
    own: tuple[dict[ex.Expression, Array], ...],
    rule: Rule,
) -> dict[ex.Expression, Array]:
    """Return the values of expressions, operands first: arrays (P,), or (R, P) where sampled.

    ``own`` are the values of single-input expressions at both samples of every pair.
    """
    values: dict[ex.Expression, Array] = {}
    for e in order:
        if isinstance(e, ex.At):
            values[e] = own[e.side][e.inner]
        elif e.cross or not own or isinstance(e, ex.Number):
            values[e] = _value(e, values, data, rule)
    return values


def _value(
    e: ex.Expression,
    values: dict[ex.Expression, Array],
    data: tuple[Samples, Samples],
    rule: Rule,
) -> Array:
    match e:
        case ex.Number(value=value):
            return np.asarray(value.value)
        case ex.Gram(left=a, right=b):
            x, y = input_slice(data[0], a.name, a.place), input_slice(data[1], b.name, b.place)
            if a.tokens:
                return np.asarray((x == y).sum(axis=1), dtype=np.float64)
            return np.asarray(np.einsum("nm,nm->n", x, y))
        case ex.Sum(constant=constant, terms=terms):
            total = np.asarray(constant.value)
            for term, weight in terms:
                total = total + weight.value * values[term]
            return total
        case ex.Product(factors=factors):
            found = values[factors[0]]
            for factor in factors[1:]:
                found = found * values[factor]
            return np.asarray(found)
        case ex.Dual(phi=phi, psi=psi):
            return _dual(phi, psi, (values[e.left], values[e.k], values[e.right]), rule)
        case ex.Average(phi=phi, q=q):
            return _average(phi, values[q], rule)
        case Expectation(scalars=scalars, covariance=covariance):
            return integrate(e, [values[o] for o in scalars], [values[o] for o in covariance], rule)
        case ex.Value(place=place):
            return input_slice(data[0], place.name, place.place)[:, 0]
        case ex.Applied(phi=phi, inner=inner):
            return np.asarray(phi.numpy(values[inner]))
        case ex.Root(inner=inner, exponent=exponent):
            return np.asarray(values[inner] ** float(exponent))
        case ex.Share(position=position, scores=scores, masks=masks):
            return softmax_share(position, [values[s] for s in scores], [values[m] for m in masks])
    raise TypeError(f"not an expression: {e!r}")


def _dual(phi: Activation, psi: Activation, at: tuple[Array, Array, Array], rule: Rule) -> Array:
    q1, k, q2 = np.broadcast_arrays(*_within(at))
    if phi == psi and phi.dual_form() is not None:
        return Dual(phi).expectation(q1, k, q2, tolerance=rule.tolerance)
    if rule.quick:
        found = integrate_pair(phi, psi, (q1, k, q2), rule)
        if found is not None:
            return found
    if phi == psi:
        return Dual(phi).expectation(q1, k, q2, tolerance=rule.tolerance)
    value, error = series_expectation(phi, q1, k, q2, rule.tolerance, psi)
    if not error <= rule.tolerance:
        raise DualAccuracyError(phi, rule.tolerance, error, psi)
    return value


def _within(at: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Put covariances back between the bounds that rounding may have crossed."""
    q1, k, q2 = at
    bound = np.sqrt(q1) * np.sqrt(q2)
    return q1, np.clip(k, -bound, bound), q2


def _average(phi: Activation, q: Array, rule: Rule) -> Array:
    q = np.atleast_1d(q)
    if rule.quick:
        found = integrate_one(phi, q, rule)
        if found is not None:
            return found
    from tpc.runtime.hermite import averages

    wide = phi.growth.kind != "polynomial"
    return averages(phi.numpy, q.ravel(), phi.kinks(), wide).reshape(q.shape)
