"""What random weights make of sampled values: Gaussians with the covariance of the arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpc.covariance.contraction import MOVES
from tpc.covariance.draws import root
from tpc.limit.contraction import weight_below
from tpc.ops.base import MissingRule
from tpc.ops.contract import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tpc.ir.node import Node

    Array = NDArray[np.float64]

STAGE = "limit"
Labels = tuple[int, ...]


@dataclass(frozen=True)
class Roles:
    """What the labels of a contraction of a weight and a value are.

    ``shared`` are kept and in both (the weight has another part at each), ``summed`` are
    contracted, ``places`` the value's own, ``copies`` the weight's own.
    """

    holder: Node
    value: Node
    of_weight: Labels
    of_value: Labels
    out: Labels
    shared: Labels
    summed: Labels
    places: Labels
    copies: Labels

    @property
    def name(self) -> str:
        """The weight."""
        return str(weight_below(self.holder).attrs["name"])  # type: ignore[union-attr]

    @property
    def key(self) -> tuple[Any, ...]:
        """What two contractions have in common where their results are jointly Gaussian."""
        axes = {label: k for k, label in enumerate(self.of_weight)}
        groups = (self.shared, self.summed, self.copies)
        return (self.holder, *(tuple(axes[label] for label in group) for group in groups))

    @property
    def summed_widths(self) -> int:
        """How many width axes are contracted."""
        dims = dict(zip(self.of_weight, self.holder.type.dims, strict=True))
        return sum(dims[label].width for label in self.summed)


def roles(node: Node) -> Roles | None:
    """Return the roles of the labels where a node contracts a weight with a value, else None.

    Raises:
        MissingRule: a product of two weights, or of a weight that is repeated or padded.
    """
    if node.op is not CONTRACT:
        return None
    slots = [k for k, x in enumerate(node.operands) if weight_below(x) is not None]
    if not slots:
        return None
    if len(slots) == 2:
        raise MissingRule(node, STAGE, "a product of two weights")
    (slot,) = slots
    holder, value = node.operands[slot], node.operands[1 - slot]
    below = holder
    while below.operands:
        if below.op.name not in MOVES:
            raise MissingRule(node, STAGE, "a weight repeated or padded")
        below = below.operands[0]
    sides, out = (node.attrs["left"], node.attrs["right"]), node.attrs["out"]
    of_weight, of_value = sides[slot], sides[1 - slot]
    both = [label for label in of_weight if label in of_value]
    return Roles(
        holder,
        value,
        of_weight,
        of_value,
        out,
        tuple(label for label in both if label in out),
        tuple(label for label in both if label not in out),
        tuple(label for label in of_value if label not in of_weight),
        tuple(label for label in of_weight if label not in of_value),
    )


def arguments(x: Array, found: Roles) -> Array:
    """Return a value as (shared positions, samples and places, contracted entries)."""
    batched = x.ndim > len(found.of_value)
    order = [found.of_value.index(label) for label in (*found.shared, *found.places, *found.summed)]
    split = len(found.shared), len(found.shared) + len(found.places)
    if batched:
        order = [1 + k for k in order]
        order.insert(split[0], 0)
        split = split[0], split[1] + 1
    moved = x.transpose(order)
    sizes = [int(np.prod(moved.shape[a:b], dtype=int)) for a, b in ((0, split[0]), split)]
    return moved.reshape(*sizes, -1)


@dataclass
class Family:
    """The products of one weight: jointly Gaussian, with the covariance of the arguments.

    A product that comes later is drawn given the earlier ones, which are kept where ``keep`` says
    that there will be more.
    """

    keep: bool
    _given: list[Array] = field(default_factory=list)
    _found: list[Array] = field(default_factory=list)

    def draw(
        self,
        x: Array | None,
        copies: int,
        noise: Callable[[int], Array],
        covariance: Array | None = None,
    ) -> Array:
        """Return products (P, copies, M) of arguments (P, D); ``noise(rows)`` is (rows, M).

        Where nothing else is drawn of the family, the products' ``covariance`` (P, P) will do.
        """
        if covariance is None:
            assert x is not None
            covariance = x @ x.T
        mean: Array | float = 0.0
        if self._given and x is not None:
            old, values = np.concatenate(self._given), np.concatenate(self._found)
            between = x @ old.T
            inverse = np.linalg.pinv(old @ old.T, rcond=1e-12, hermitian=True)
            weights = between @ inverse
            mean = np.tensordot(weights, values, axes=1)
            covariance = covariance - weights @ between.T
        factor = root(covariance)
        rank = factor.shape[1]
        fresh = noise(rank * copies)
        found = np.empty((len(covariance), copies, fresh.shape[1]))
        for k in range(copies):
            found[:, k] = factor @ fresh[k * rank : (k + 1) * rank]
        found += mean
        if self.keep and x is not None:
            self._given.append(x)
            self._found.append(found)
        return found
