"""Tangents of sampled neurons: linear in independent Gaussians, of which they are averaged exactly.

A tangent of a neuron's values is ``sum_s d_s t_s + sum_k e_k (g_k . t)``: the Gaussians t_s are the
tangents of products of weights, gains and biases (*sources*); what ops do coordinate by coordinate
gives the slopes d, and means over the samples (*statistics*) are scalar products of t with their
gradients g, whose slopes are e. So the mean of ``(J t)(J t)^T`` over t, ``J Theta J^T``, takes a
few matrix products for all draws together. Ops that mix in other ways have their tangents sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tpc.ir.node import Node
from tpc.ir.types import TensorType
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.batch import BATCH_MEAN
from tpc.ops.multiply import MULTIPLY
from tpc.ops.power import POWER
from tpc.ops.scale import SCALE

Array = NDArray[np.float64]
Key = TypeVar("Key")
COORDINATEWISE = (ADD, APPLY, MULTIPLY, POWER, SCALE)


@dataclass(eq=False)
class Source:
    """A Gaussian t: the tangent of a product with a weight, or of a weight's own entries.

    ``covariance`` (P, P) is over samples and positions, of a product; ``variance`` that of every
    entry of a weight, which is the same for all samples. ``draw`` gives samples, where needed.
    """

    type: TensorType
    draw: Callable[[], Array]
    covariance: Array | None = None
    variance: float = 0.0

    @cached_property
    def drawn(self) -> Array:
        """The tangent as samples."""
        return self.draw()

    def law(self, like: TensorType, batch: int) -> Array | None:
        """Return the covariance over samples and positions of values of a type, None if unknown."""
        if self.covariance is not None:
            return self.covariance if self.type == like else None
        found = np.full((batch, batch), self.variance)
        missing = like.rank - self.type.rank
        for axis, dim in enumerate(like.dims):
            if dim.width:
                continue
            count = int(dim.count)
            own = axis >= missing and self.type.dims[axis - missing] == dim
            found = np.kron(found, np.eye(count) if own else np.ones((count, count)))
        return found


@dataclass(eq=False)
class Statistic:
    """A mean over samples; ``gradients`` (N, M) by source."""

    gradients: dict[Source, Array]

    @cached_property
    def drawn(self) -> Array:
        """Its tangent as samples (M,)."""
        parts = [
            (g * np.broadcast_to(s.drawn, g.shape)).sum(axis=0) for s, g in self.gradients.items()
        ]
        return np.asarray(sum(parts))


@dataclass(eq=False)
class Slopes:
    """A tangent: slopes by source and by statistic, in the shape of the value."""

    direct: dict[Source, Array] = field(default_factory=dict)
    means: dict[Statistic, Array] = field(default_factory=dict)

    def drawn(self) -> Array:
        """Return the tangent as samples."""
        direct = [d * np.broadcast_to(s.drawn, d.shape) for s, d in self.direct.items()]
        return np.asarray(sum(direct + [e * k.drawn for k, e in self.means.items()]))

    def averaged(self) -> Statistic:
        """Return the mean over the samples."""
        found: dict[Source, Array] = {}
        for source, d in self.direct.items():
            found[source] = d / len(d)
        for other, e in self.means.items():
            weight = e.mean(axis=0)
            for source, g in other.gradients.items():
                found[source] = found.get(source, 0.0) + weight * g
        return Statistic(found)

    def second_moments(self, type_: TensorType, batch: int) -> Array | None:
        """Return the sums over draws of the covariances over samples and positions, (P, P).

        None where the laws of the sources are not known for values of this type.
        """
        sources = dict.fromkeys([*self.direct, *(s for k in self.means for s in k.gradients)])
        laws = {source: source.law(type_, batch) for source in sources}
        places = type_.finite_count
        if any(law is None for law in laws.values()) or (self.means and places > 1):
            return None
        total: Array | float = 0.0
        means = {k: _rows(e, type_, batch) for k, e in self.means.items()}
        for source, law in laws.items():
            assert law is not None
            gradients = {k: k.gradients[source] for k in means if source in k.gradients}
            moved = {k: law @ g for k, g in gradients.items()}
            if source in self.direct:
                d = _rows(self.direct[source], type_, batch)
                total = total + (d @ d.T) * law
                for k, h in moved.items():
                    crossed = (d * h) @ means[k].T
                    total = total + crossed + crossed.T
            for k, g in gradients.items():
                weights = [(g * h).sum(axis=0) * means[other] for other, h in moved.items()]
                total = total + means[k] @ np.asarray(sum(weights)).T
        return np.asarray(total)


Tangent = Slopes | Array


def samples(tangent: Tangent) -> Array:
    """Return a tangent as samples."""
    return tangent.drawn() if isinstance(tangent, Slopes) else tangent


def pushed(
    node: Node,
    tangents: Mapping[int, Tangent],
    share: Callable[[int, Array], Array | None],
    shape: tuple[int, ...],
) -> Tangent | None:
    """Return the tangent of a node from those of its operands, by position.

    ``share`` is the pushforward of one operand; ``shape`` that of the value.
    """
    exact = all(isinstance(each, Slopes) for each in tangents.values())
    if exact and node.op is BATCH_MEAN and node.type.finite_count == 1:
        (given,) = tangents.values()
        assert isinstance(given, Slopes)
        return Slopes(means={given.averaged(): np.ones(shape)})
    if exact and node.op in COORDINATEWISE:
        found = Slopes()
        for position, given in tangents.items():
            assert isinstance(given, Slopes)
            for source, d in given.direct.items():
                _gather(found.direct, source, share(position, d), shape)
            for statistic, e in given.means.items():
                _gather(found.means, statistic, share(position, e), shape)
        return found if found.direct or found.means else None
    total: Array | None = None
    for position, given in tangents.items():
        part = share(position, samples(given))
        if part is not None:
            total = part if total is None else total + part
    return total


def _gather(table: dict[Key, Array], key: Key, part: Array | None, shape: tuple[int, ...]) -> None:
    if part is not None:
        part = np.broadcast_to(part, shape)
        table[key] = table[key] + part if key in table else part


def _rows(array: Array, type_: TensorType, batch: int) -> Array:
    """Return values of one width axis as (samples and positions, M)."""
    (axis,) = type_.width_axes
    moved = np.moveaxis(array, 1 + axis, -1)
    return moved.reshape(batch * type_.finite_count, -1)
