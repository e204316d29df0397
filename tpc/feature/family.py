"""Matrices at the positions of finite axes: a kernel of a convolution, a stack of layers.

Every position has a matrix of its own, independent of the others at initialisation, so nothing new
happens in the limit: a product with the whole is a sum, over the axes that are summed, of products
with single matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.matrix import Matrix
from tpc.feature.value import Value
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from fractions import Fraction

    from tpc.ir.node import Node


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """``matrices`` at all positions of finite axes of extents ``shape``, row-major."""

    shape: tuple[int, ...]
    matrices: tuple[Matrix, ...]

    def items(self) -> Iterator[tuple[tuple[int, ...], Matrix]]:
        """Pairs of a position and its matrix."""
        return zip(np.ndindex(self.shape), self.matrices, strict=True)

    def mapped(self, function: Callable[[Matrix], Matrix]) -> Family:
        """Return the family with a function applied to every matrix."""
        return Family(self.shape, tuple(function(matrix) for matrix in self.matrices))

    def joined(self, other: Family, function: Callable[[Matrix, Matrix], Matrix]) -> Family:
        """Return a function of the matrices at equal positions."""
        pairs = zip(self.matrices, other.matrices, strict=True)
        return Family(self.shape, tuple(function(x, y) for x, y in pairs))

    def scaled(self, factor: float, power: Fraction | int = 0) -> Family:
        """Return ``factor * n^power`` times the family."""
        return self.mapped(lambda matrix: matrix.scaled(factor, power))

    def __add__(self, other: Family) -> Family:
        return self.joined(other, lambda x, y: x + y)


#: What a node is in the limit.
Operand = Value | Matrix | Family


def family(shape: Sequence[int], matrices: Sequence[Matrix]) -> Matrix | Family:
    """Return a family, or its only matrix where there is no finite axis."""
    return Family(tuple(shape), tuple(matrices)) if shape else matrices[0]


def members(operand: Matrix | Family) -> tuple[Matrix, ...]:
    """Return all matrices."""
    return operand.matrices if isinstance(operand, Family) else (operand,)


def rearranged(node: Node, operands: Sequence[Matrix | Family]) -> Matrix | Family | None:
    """Return matrices moved along finite axes; None where positions of a width move too.

    ``node`` is an index map whose result has two width axes.
    """
    assert isinstance(node.op, IndexMap)
    which, place = node.op.sources(node)
    here = tuple(slice(None) if not dim.width else 0 for dim in node.type.dims)
    which, place = which[here], place[here]
    found = []
    shape = members(operands[0])[0].shape
    for k, flat in zip(which.ravel(), place.ravel(), strict=True):
        if k < 0:
            found.append(Matrix(shape))
            continue
        dims = node.operands[k].type.dims
        extents = [dim.concrete(1) for dim in dims]
        where = np.unravel_index(flat, extents)
        if any(int(at) for at, dim in zip(where, dims, strict=True) if dim.width):
            return None
        position = [int(at) for at, dim in zip(where, dims, strict=True) if not dim.width]
        found.append(_member(operands[int(k)], position))
    return family(which.shape, found)


def spread(node: Node, operand: Matrix | Family) -> Matrix | Family:
    """Return matrices repeated along new finite axes."""
    new = {axis for axis, _ in node.attrs["axes"]}
    finite = [(axis, dim) for axis, dim in enumerate(node.type.dims) if not dim.width]
    shape = [int(dim.count) for _, dim in finite]
    found = []
    for position in np.ndindex(*shape):
        pairs = zip(finite, position, strict=True)
        found.append(_member(operand, [at for (axis, _), at in pairs if axis not in new]))
    return family(shape, found)


def _member(operand: Matrix | Family, position: Sequence[int]) -> Matrix:
    if isinstance(operand, Matrix):
        return operand
    return operand.matrices[int(np.ravel_multi_index(tuple(position), operand.shape))]
