"""Helpers of the tests: leaves, random values for them, evaluation, finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tpc.ir import Dim, Node, finite, make, walk, wide
from tpc.ops.base import EvalContext
from tpc.ops.input import INPUT, input_
from tpc.ops.param import PARAM, param
from tpc.simulate import execute

WIDTH = 4
BATCH = 3


def dims(*sizes: int | str) -> tuple[Dim, ...]:
    """``dims(2, "n", "2n")``: finite and width axes."""
    return tuple(
        finite(s) if isinstance(s, int) else wide(Fraction(s.removesuffix("n") or 1)) for s in sizes
    )


def x_(name: str, *sizes: int | str, below: int | None = None) -> Node:
    """A batched leaf."""
    return input_(name, dims(*sizes), below=below)


def w_(name: str, *sizes: int | str) -> Node:
    """An unbatched leaf."""
    return param(name, dims(*sizes))


def context(batch: int = BATCH, width: int = WIDTH, seed: int = 0) -> EvalContext:
    return EvalContext(width, batch, seed=seed)


def random_leaves(
    roots: Sequence[Node], seed: int = 0, batch: int = BATCH, width: int = WIDTH
) -> dict[Node, np.ndarray]:
    """Values for every leaf below ``roots``, away from zero."""
    random = np.random.default_rng(seed)
    found = {}
    for node in walk(roots):
        if node.op in (INPUT, PARAM):
            shape = node.type.shape(width, batch)
            if node.type.below is not None:
                found[node] = random.integers(1, node.type.below + 1, shape)
            else:
                signs = random.choice([-1.0, 1.0], shape)
                found[node] = signs * random.uniform(0.3, 1.5, shape)
    return found


def run(root: Node, leaves: dict[Node, np.ndarray], batch: int = BATCH, width: int = WIDTH):
    return execute([root], leaves, context(batch, width))[0]


def numeric_gradient(
    root: Node, leaf: Node, leaves: dict[Node, np.ndarray], step: float = 1e-5, **kw: int
) -> np.ndarray:
    """Central differences of a scalar root with respect to a leaf."""
    base = leaves[leaf]
    result = np.zeros(base.shape)
    for position in np.ndindex(base.shape):
        values = []
        for sign in (1, -1):
            moved = np.array(base)
            moved[position] += sign * step
            values.append(float(run(root, leaves | {leaf: moved}, **kw)))
        result[position] = (values[0] - values[1]) / (2 * step)
    return result


__all__ = [
    "BATCH",
    "WIDTH",
    "context",
    "dims",
    "make",
    "numeric_gradient",
    "random_leaves",
    "run",
    "w_",
    "x_",
]
