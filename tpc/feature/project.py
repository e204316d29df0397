"""Input axes that only matter through inner products, rotated into the span of the data.

A weight ``[n, d]`` with Gaussian entries looks the same in every orthonormal basis of its d inputs,
and an optimizer that is linear in gradients keeps that so. Where the graph does nothing with the
axis but contract it, add along it and hand gradients back to such weights, data may be given in
coordinates of their own span: at most as many as there are samples, the most important ones first
(TP4: the limit needs one Gaussian for each).

Which axes may be rotated is found from the graph: axes that meet in an op form a class, and a class
is spoilt as soon as an op looks at single positions of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tpc.ir.node import Node, walk
from tpc.ops.add import ADD
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE
from tpc.ops.contract import CONTRACT
from tpc.ops.index_map import IndexMap
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.ops.rate import RATE
from tpc.ops.scale import SCALE
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.optimizers import optimizers

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array

#: Ops that treat every position of every axis alike.
_PLAIN = (SCALE, RATE, PER_SAMPLE, BATCH_SUM, BATCH_MEAN, STOP_GRADIENT)
Axis = tuple[Node, int]


@dataclass(frozen=True)
class Rotation:
    """Orthonormal ``basis`` (r, d) for axes of inputs and weights, given as (name, axis) pairs."""

    inputs: tuple[tuple[str, int], ...]
    params: tuple[tuple[str, int], ...]
    basis: Array

    def applied(self, data: Mapping[str, Array]) -> dict[str, Array]:
        """Return data (samples first) in coordinates of the basis."""
        result = dict(data)
        for name, axis in self.inputs:
            if name in result:
                moved = np.moveaxis(result[name], axis + 1, -1) @ self.basis.T
                result[name] = np.moveaxis(moved, -1, axis + 1)
        return result


def rotations(
    module: Module,
    outputs: Sequence[Node],
    gradients: Mapping[str, Node],
    loss: Node | None,
    data: Sequence[Mapping[str, Array]],
) -> tuple[Rotation, ...]:
    """Return the rotations that leave the limit as it is, with bases of the span of ``data``.

    The first of the sets is the main one: its principal directions come first.
    """
    classes = _Classes(module, outputs, gradients, loss)
    found = []
    for inputs, params in classes.free():
        rows = [_rows(arrays, inputs) for arrays in data]
        found.append(Rotation(inputs, params, _basis(rows)))
    return tuple(found)


def _rows(arrays: Mapping[str, Array], inputs: Sequence[tuple[str, int]]) -> Array:
    parts = [
        np.moveaxis(arrays[name], axis + 1, -1).reshape(-1, arrays[name].shape[axis + 1])
        for name, axis in inputs
        if name in arrays
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0))


def _basis(rows: Sequence[Array]) -> Array:
    """Return an orthonormal basis of the span, the main set's principal directions first."""
    main = _directions(rows[0])
    others = [block for block in rows[1:] if block.size]
    if not others:
        return main
    rest = np.concatenate(others)
    for _ in range(2):
        rest = rest - (rest @ main.T) @ main
    scale = np.abs(np.concatenate(others)).max(initial=1e-300)
    return np.concatenate([main, _directions(rest, scale)])


def _directions(rows: Array, scale: float = 0.0) -> Array:
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    cut = 1e-12 * max(scale, values.max(initial=0.0)) * max(rows.shape)
    result: Array = directions[values > cut]
    return result


class _Classes:
    """Finite axes that meet in an op, as classes; those in ``spoilt`` are looked at one by one."""

    def __init__(
        self,
        module: Module,
        outputs: Sequence[Node],
        gradients: Mapping[str, Node],
        loss: Node | None,
    ) -> None:
        self.module = module
        self._parent: dict[Axis, Axis] = {}
        self._spoilt: set[Axis] = set()
        roots = [*outputs, *gradients.values(), *([] if loss is None else [loss])]
        self._order = list(walk(roots))
        for node in self._order:
            self._visit(node)
        for node in outputs:
            self._spoil(node)
        leaves = {node.attrs["name"]: node for node in self._order if node.op is PARAM}
        for name, gradient in gradients.items():
            for axis in range(gradient.type.rank if name in leaves else 0):
                self._unite((gradient, axis), (leaves[name], axis))

    def free(self) -> list[tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]]:
        """Return the inputs' and the weights' axes of every class that may be rotated."""
        spoilt = {self._find(axis) for axis in self._spoilt}
        members: dict[Axis, tuple[set[tuple[str, int]], set[tuple[str, int]]]] = {}
        for node in self._order:
            if node.op is not INPUT and node.op is not PARAM:
                continue
            for axis, dim in enumerate(node.type.dims):
                root = self._find((node, axis))
                if dim.width or root in spoilt:
                    continue
                pair = members.setdefault(root, (set(), set()))
                pair[node.op is PARAM].add((node.attrs["name"], axis))
        return [(tuple(sorted(i)), tuple(sorted(p))) for i, p in members.values() if i and p]

    def _visit(self, node: Node) -> None:
        if node.op is INPUT:
            spec = self.module.inputs[node.attrs["name"]]
            if spec.role == "noise" or spec.type.below is not None:
                self._spoil(node)
        elif node.op is PARAM:
            if not self._isotropic(node.attrs["name"]):
                self._spoil(node)
        elif node.op in _PLAIN:
            for axis in range(node.type.rank):
                self._unite((node, axis), (node.operands[0], axis))
        elif node.op is ADD and all(o.type.rank == node.type.rank for o in node.operands):
            for axis in range(node.type.rank):
                for operand in node.operands:
                    self._unite((node, axis), (operand, axis))
        elif node.op is CONTRACT:
            self._contract(node)
        elif isinstance(node.op, IndexMap) and len(node.operands) == 1 and "axis" in node.attrs:
            self._index(node)
        else:
            for each in (node, *node.operands):
                self._spoil(each)

    def _contract(self, node: Node) -> None:
        """Axes of one label meet; one that stands in both operands and stays is no contraction."""
        places: dict[int, list[Axis]] = {}
        for which, labels in zip(
            (*node.operands, node), (node.attrs[k] for k in ("left", "right", "out")), strict=True
        ):
            for axis, label in enumerate(labels):
                places.setdefault(label, []).append((which, axis))
        for met in places.values():
            for other in met[1:]:
                self._unite(met[0], other)
            if len(met) > 2:
                self._spoilt.add(met[0])

    def _index(self, node: Node) -> None:
        """Axes besides the one that is cut pass through."""
        (operand,) = node.operands
        cut, shift = node.attrs["axis"], operand.type.rank - node.type.rank
        self._spoilt.add((operand, cut))
        for axis in range(node.type.rank):
            if not shift and axis == cut:
                self._spoilt.add((node, axis))
            else:
                source = axis if axis < cut else axis + shift
                self._unite((node, axis), (operand, source))

    def _isotropic(self, name: str) -> bool:
        spec, line = self.module.params[name], self.module.optimizer_of(name)
        linear = line is None or optimizers()[line.name].kind == "linear"
        return linear and spec.init in ("normal", "zero")

    def _spoil(self, node: Node) -> None:
        self._spoilt.update((node, axis) for axis in range(node.type.rank))

    def _find(self, axis: Axis) -> Axis:
        path = []
        while (parent := self._parent.get(axis, axis)) != axis:
            path.append(axis)
            axis = parent
        for each in path:
            self._parent[each] = axis
        return axis

    def _unite(self, x: Axis, y: Axis) -> None:
        a, b = self._find(x), self._find(y)
        if a != b:
            self._parent[a] = b
