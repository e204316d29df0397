"""Numbers of general expectations, with measured errors.

Grids (trapezoidal rule) for up to three Gaussians, halved until the change says that the tolerance
is met; random lattices for more, and where an integrand has kinks. A lattice is shifted at random
several times: everything computed from it has as many replicates, whose spread is its error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.limit.lowering import lowered
from tpc.runtime import lattice, tape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.limit.expectation import Expectation, Tape
    from tpc.ops.activations import Activation

    Array = NDArray[np.float64]

STEPS = {1: (1.0, 0.5, 0.25, 0.125, 0.0625), 2: (1.0, 0.5, 0.25, 0.125), 3: (1.0, 0.5)}
"""Steps of the grids by dimension, coarse to fine."""
QUICK = {1: STEPS[1], 2: (1.0, 0.7, 0.4, 0.2, 0.125), 3: (1.0, 0.7)}
"""The same for the tolerances of sampled kernels."""


@dataclass
class Rule:
    """How expectations are computed, and what came of it.

    ``tolerance`` is for grids, relative to the root mean square of the integrand; ``size`` is the
    number of points of a lattice. ``sampled`` says whether lattices were used, ``error`` is the
    largest that a grid left.
    """

    tolerance: float
    size: int
    sampled: bool = False
    error: float = 0.0
    quick: bool = False
    """Whether expectations without a closed form are taken on grids too, not by Hermite series."""
    kinked: set[Tape] = field(default_factory=set)
    """Tapes for which no grid met the tolerance."""


def root(covariance: Array) -> Array:
    """Return lower-triangular roots (P, k, k) of covariances; directions of no variance drop out.

    Rounding may leave a covariance indefinite by a little: pivots below ``1e-13`` of their
    variance count as zero.
    """
    size = covariance.shape[1]
    found = np.zeros_like(covariance)
    for j in range(size):
        own = found[:, j, :j]
        pivot = covariance[:, j, j] - (own * own).sum(axis=1)
        alive = pivot > 1e-13 * covariance[:, j, j]
        diagonal = np.sqrt(np.where(alive, pivot, 0.0))
        found[:, j, j] = diagonal
        if j + 1 < size:
            below = covariance[:, j + 1 :, j] - np.einsum("pic,pc->pi", found[:, j + 1 :, :j], own)
            inverse = np.where(alive, 1.0 / np.where(alive, diagonal, 1.0), 0.0)
            found[:, j + 1 :, j] = below * inverse[:, None]
    return found


def integrate(e: Expectation, scalars: list[Any], covariance: list[Any], rule: Rule) -> Array:
    """Return the expectation at P pairs, shape (P,), or (R, P) where it or its parts are sampled.

    ``scalars`` and ``covariance`` are the values of the operands, each of one of these shapes.
    """
    shape = np.broadcast_shapes(*(np.shape(v) for v in (*scalars, *covariance)), (1,))
    k = e.dimension
    if not k:
        return _without_gaussians(e.tape, scalars, shape)
    table = np.empty((*shape, k, k))
    values = iter(covariance)
    for i in range(k):
        for j in range(i, k):
            table[..., i, j] = table[..., j, i] = next(values)
    roots = root(table.reshape(-1, k, k))
    numbers = np.empty((*shape, len(scalars)))
    for i, v in enumerate(scalars):
        numbers[..., i] = v
    numbers = numbers.reshape(len(roots), -1)
    if k in STEPS and e.tape not in rule.kinked:
        found = _on_grids(e.tape, roots, numbers, rule, k)
        if found is not None:
            return found.reshape(shape)
        rule.kinked.add(e.tape)
    rule.sampled = True
    replicates = lattice.REPLICATES
    if len(shape) == 1:
        roots = np.broadcast_to(roots, (replicates, *roots.shape)).reshape(-1, k, k)
        numbers = np.broadcast_to(numbers, (replicates, *numbers.shape)).reshape(len(roots), -1)
        shape = (replicates, *shape)
    codes, constants = lowered(e.tape)
    nodes = lattice.lattice(k, rule.size)
    which = np.repeat(np.arange(replicates), len(roots) // replicates)
    weights = np.full(nodes.shape[2], 1.0 / nodes.shape[2])
    numbers = np.ascontiguousarray(numbers)
    mean, _ = tape.averages(
        codes, constants, np.ascontiguousarray(roots), numbers, which, nodes, weights
    )
    return mean.reshape(shape)


def _without_gaussians(code: Tape, scalars: list[Any], shape: tuple[int, ...]) -> Array:
    """Return the value of a tape of numbers: all Gaussians in it vanished with the width."""
    count = math.prod(shape)
    table = np.empty((*shape, len(scalars)))
    for i, v in enumerate(scalars):
        table[..., i] = v
    numbers = table.reshape(count, len(scalars))
    codes, constants = lowered(code)
    which, one = np.zeros(count, dtype=np.int64), np.ones(1)
    nodes, roots = np.zeros((1, 0, 1)), np.zeros((count, 0, 0))
    mean, _ = tape.averages(codes, constants, roots, numbers, which, nodes, one)
    return mean.reshape(shape)


def integrate_pair(
    phi: Activation, psi: Activation, at: tuple[Array, Array, Array], rule: Rule
) -> Array | None:
    """Return ``E[phi(u) psi(v)]`` on grids, None where they miss the tolerance.

    ``at`` are the variance of u, the covariance and the variance of v, of equal shapes.
    """
    code = (
        ("leaf", 0, ()),
        ("apply", phi, (0,)),
        ("leaf", 1, ()),
        ("apply", psi, (2,)),
        ("product", None, (1, 3)),
    )
    return _of_activations(code, (at[0], at[1], at[1], at[2]), 2, rule)


def integrate_one(phi: Activation, q: Array, rule: Rule) -> Array | None:
    """Return ``E[phi(u)]`` at variances q on grids, None where they miss the tolerance."""
    return _of_activations((("leaf", 0, ()), ("apply", phi, (0,))), (q,), 1, rule)


def _of_activations(code: Tape, entries: tuple[Array, ...], k: int, rule: Rule) -> Array | None:
    if code in rule.kinked:
        return None
    flat, place = np.unique(np.stack([e.ravel() for e in entries]), axis=1, return_inverse=True)
    roots = root(np.ascontiguousarray(flat.T).reshape(-1, k, k))
    found = _on_grids(code, roots, np.empty((len(roots), 0)), rule, k)
    if found is None:
        rule.kinked.add(code)
        return None
    return found[place.ravel()].reshape(entries[0].shape)


def _on_grids(code: Tape, roots: Array, numbers: Array, rule: Rule, k: int) -> Array | None:
    """Return expectations by the trapezoidal rule, None where the finest grid does not do."""
    codes, constants = lowered(code)
    value = np.zeros(len(roots))
    before = np.full(len(roots), np.nan)
    change = np.full(len(roots), np.inf)
    todo = np.arange(len(roots))
    worst, tolerance = 0.0, min(rule.tolerance, 0.1)
    for level, step in enumerate((QUICK if rule.quick else STEPS)[k]):
        # the coarse grid reaches far, so the change to a nearer one holds what that cuts off
        near = level == 1 and k > 1
        reach = min(lattice.REACH, math.sqrt(-2.0 * math.log(tolerance)) + 2.0)
        nodes, weights = lattice.grid(k, step, reach if near else lattice.REACH)
        which = np.zeros(len(todo), dtype=np.int64)
        mean, square = tape.averages(
            codes, constants, roots[todo], numbers[todo], which, nodes, weights
        )
        value[todo] = mean
        if level:
            size = np.sqrt(np.maximum(square, 0.0)) + 1e-300
            moved = np.abs(mean - before[todo]) / size
            # a grid twice as fine squares the error where the integrand is analytic
            faster = np.minimum(1.0, moved / np.maximum(change[todo], 1e-300))
            error = moved * (faster if level > 1 else 1.0) + 4e-16
            change[todo] = moved
            done = error <= rule.tolerance  # NaN is not
            worst = max(worst, float(error[done].max(initial=0.0)))
            before[todo] = mean
            todo = todo[~done]
        else:
            before[todo] = mean
        if not todo.size:
            rule.error = max(rule.error, worst)
            return value
    return None
