"""Kernels of outputs from sampled neurons: an output is a sum of readouts and biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpc.covariance.families import STAGE, Roles, arguments, roles
from tpc.covariance.kernel import output_modes
from tpc.covariance.neurons import needed
from tpc.covariance.tangents import Tangent, samples
from tpc.exact import Coefficient
from tpc.ops.base import MissingRule
from tpc.ops.param import PARAM

if TYPE_CHECKING:
    from tpc.covariance.neurons import Neurons
    from tpc.ir.node import Node

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Readout:
    """A term of the output: a product with a weight of its own, or a weight (``found`` None)."""

    coefficient: Coefficient
    node: Node
    found: Roles | None

    @property
    def name(self) -> str:
        """The weight."""
        return str(self.node.attrs["name"]) if self.found is None else self.found.name


@dataclass(frozen=True)
class Outputs:
    """The output of a program as readouts; ``modes`` say which of its axes kernels keep (F)."""

    output: Node
    modes: str
    readouts: tuple[Readout, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """The sizes of the axes that kernels keep."""
        dims = zip(self.output.type.dims, self.modes, strict=True)
        return tuple(int(dim.count) for dim, mode in dims if mode == "F")

    @property
    def values(self) -> tuple[Node, ...]:
        """What the readouts read."""
        return tuple(dict.fromkeys(r.found.value for r in self.readouts if r.found is not None))

    def kernels(
        self, neurons: Neurons, sampled: Sequence[tuple[Array, Tangent | None]]
    ) -> tuple[Array, Array]:
        """Return both kernels, (N, N) and the kept axes twice, from samples of ``values``."""
        table = dict(zip(self.values, sampled, strict=True))
        shape = (neurons.batch, neurons.batch, *self.kept, *self.kept)
        kernel, tangent = np.zeros(shape), np.zeros(shape)
        groups: dict[tuple[object, ...], list[Readout]] = {}
        for each in self.readouts:
            key = (each.node,) if each.found is None else (*each.found.key, each.found.out)
            groups.setdefault(key, []).append(each)
        for parts in groups.values():
            first = parts[0]
            var, step = neurons.variance(first.name), neurons.step(first.name)
            factors = [neurons.number(each.coefficient) for each in parts]
            if first.found is None:
                ones = sum(factors) ** 2 * self._constant(first.node, neurons.batch)
                kernel += var * ones
                tangent += step * ones
                continue
            stretch = neurons.stretch(first.found.summed_widths)
            var, step = var * stretch, step * stretch
            args = arguments(_combined(parts, factors, table, neurons.batch), first.found)
            gram = self._gram(args @ args.transpose(0, 2, 1), first, neurons.batch)
            kernel += var * gram
            tangent += step * gram
            moved = _moved(parts, factors, table, neurons) if var else None
            if moved is not None:
                tangent += var * self._gram(moved, first, neurons.batch)
        return kernel, tangent

    def _constant(self, node: Node, batch: int) -> Array:
        """Return the covariances of independent entries that are the same for all samples."""
        found: Array = np.ones((batch, batch))
        missing = self.output.type.rank - node.type.rank
        first = second = 2
        for axis, mode in enumerate(self.modes):
            if mode == "F":
                extent = int(self.output.type.dims[axis].count)
                own = np.eye(extent) if axis >= missing else np.ones((extent, extent))
                found = np.multiply.outer(found, own)
                first, second = first + 1, second + 2
        return _paired(found, len(self.kept))

    def _gram(self, grams: Array, readout: Readout, batch: int) -> Array:
        """Return inner products (groups, P, P) by samples and kept axes of the output."""
        found = readout.found
        assert found is not None
        dims = dict(zip(found.out, readout.node.type.dims, strict=True))
        places = [int(dims[label].count) for label in found.places]
        shared = [int(dims[label].count) for label in found.shared]
        grams = grams.reshape([*shared, batch, *places, batch, *places])
        names = {label: k for k, label in enumerate((*found.shared, *found.places))}
        count, last = len(names), 2 * len(names) + 2
        one = [names[label] for label in found.places]
        given: list[Any] = [
            grams,
            [
                *(names[label] for label in found.shared),
                last,
                *one,
                last + 1,
                *(count + k for k in one),
            ],
        ]
        result, free = [last, last + 1], last + 2
        missing = self.output.type.rank - len(found.out)
        for axis, mode in enumerate(self.modes):
            if mode != "F":
                continue  # copies, or an axis of one position, which the sum over it keeps
            extent = int(self.output.type.dims[axis].count)
            label = found.out[axis - missing] if axis >= missing else None
            if label in found.places:
                result += [names[label], count + names[label]]
                continue
            pair, free = [free, free + 1], free + 2
            if label is None:
                given += [np.ones((extent, extent)), pair]
            elif label in found.shared:
                same = np.eye(extent)
                given += [same, [names[label], pair[0]], same, [names[label], pair[1]]]
            else:
                given += [np.eye(extent), pair]
            result += pair
        return _paired(np.einsum(*given, result), len(self.kept))


def _paired(array: Array, count: int) -> Array:
    """Put (N, N, p1, q1, p2, q2, ...) in the order (N, N, p1, p2, ..., q1, q2, ...)."""
    order = (0, 1, *range(2, 2 + 2 * count, 2), *range(3, 3 + 2 * count, 2))
    return array.transpose(order)


def _combined(
    parts: Sequence[Readout],
    factors: Sequence[float],
    table: dict[Node, tuple[Array, Tangent | None]],
    batch: int,
) -> Array:
    """Return what one weight reads in all."""
    values = []
    for each, factor in zip(parts, factors, strict=True):
        assert each.found is not None
        x = table[each.found.value][0]
        full = x if each.found.value.type.batched else np.broadcast_to(x, (batch, *x.shape))
        values.append(factor * full)
    return np.asarray(sum(values))


def _moved(
    parts: Sequence[Readout],
    factors: Sequence[float],
    table: dict[Node, tuple[Array, Tangent | None]],
    neurons: Neurons,
) -> Array | None:
    """Return the sums of products (groups, P, P) of the tangent of what one weight reads."""
    found = parts[0].found
    assert found is not None
    x, tangent = table[found.value]
    if len(parts) == 1 and tangent is not None:
        exact = neurons.second_moments(found, x, tangent)
        if exact is not None:
            return factors[0] ** 2 * exact
    total: Array | None = None
    for each, factor in zip(parts, factors, strict=True):
        assert each.found is not None
        x, tangent = table[each.found.value]
        if tangent is not None:
            shape = (neurons.batch, *x.shape[each.found.value.type.batched :])
            moved = factor * np.broadcast_to(samples(tangent), shape)
            total = moved if total is None else total + moved
    if total is None:
        return None
    args = arguments(total, found)
    return args @ args.transpose(0, 2, 1)


def outputs(output: Node) -> Outputs:
    """Return an output as a sum of readouts.

    Raises:
        MissingRule: it is none, or a readout is used elsewhere in the program.
    """
    modes = output_modes(output)
    found = tuple(_readouts(output, Coefficient.of(1)))
    below = needed([each.found.value for each in found if each.found is not None])
    inner = {role.name for node in below if (role := roles(node)) is not None}
    inner |= {str(node.attrs["name"]) for node in below if node.op is PARAM}
    for each in found:
        if each.name in inner:
            raise MissingRule(each.node, STAGE, "a readout that is used elsewhere in the network")
    for one in found:
        for other in found:
            if one.name == other.name and not _alike(one, other):
                raise MissingRule(one.node, STAGE, "one weight used in two ways")
    return Outputs(output, modes, found)


def _alike(one: Readout, other: Readout) -> bool:
    if one.found is None or other.found is None:
        return one.node is other.node
    return (one.found.key, one.found.out) == (other.found.key, other.found.out)


def _readouts(node: Node, coefficient: Coefficient) -> list[Readout]:
    parts = node.op.addends(node)
    if parts is not None:
        return [each for c, x in parts for each in _readouts(x, coefficient * c)]
    found = roles(node)
    if found is None and not (node.op is PARAM and not node.type.sort):
        raise MissingRule(node, STAGE, "an output that is no sum of readouts")
    if node.type.sort:
        raise MissingRule(node, STAGE, "an output of growing size")
    return [Readout(coefficient, node, found)]
