"""Axes merged into one, or one split into several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import OpTypeError, require_real
from tpc.ops.fill import FILL, fill
from tpc.ops.index_map import IndexMap
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.ir.node import Node
    from tpc.ops.base import Array


class Reshape(IndexMap):
    """Consecutive axes merged, in row-major order, or the inverse.

    ``groups`` pairs the axes of the operand with those of the result: (number of operand axes,
    dims of the result). On one side of a group there is a single axis; a width and finite axes
    merge into a width as many times as large.
    """

    name = "reshape"
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "reshape")
        result: list[Dim] = []
        start = 0
        for count, dims in attrs["groups"]:
            old = x.dims[start : start + count]
            if len(old) != count or merged(old) != merged(dims) or min(count, len(dims)) > 1:
                raise OpTypeError(f"{x} cannot be split or merged like this", operand=0)
            result += dims
            start += count
        if start != x.rank:
            raise OpTypeError(f"{x} has more axes than are split or merged", operand=0)
        return TensorType(tuple(result), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        groups, start = [], 0
        for count, dims in node.attrs["groups"]:
            groups.append((len(dims), node.operands[0].type.dims[start : start + count]))
            start += count
        return (reshape(cotangent, tuple(groups)),)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.moves import reshaped

        return reshaped(left, right, modes, view)

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        (x,) = arrays
        shape, start = list(x.shape[:lead]), lead
        for count, dims in node.attrs["groups"]:
            old = x.shape[start : start + count]
            shape += [old[0]] if (count, len(dims)) == (1, 1) else _extents(old, dims)
            start += count
        return x.reshape(shape)


RESHAPE = Reshape()

Groups = tuple[tuple[int, tuple[Dim, ...]], ...]


def reshape(x: Node, groups: Groups) -> Node:
    """Return ``x`` with axes merged or split (see :class:`Reshape`).

    Raises:
        OpTypeError: the groups do not fit the axes.
    """
    if all(count == 1 and len(dims) == 1 for count, dims in groups):
        return x
    if x.op is SCALE:
        return scale(reshape(x.operands[0], groups), x.attrs["coefficient"])
    if x.op is FILL:
        return fill(x.attrs["coefficient"], tuple(dim for _, dims in groups for dim in dims))
    return make(RESHAPE, x, groups=groups)


def merged(dims: Sequence[Dim]) -> Dim:
    """Return the axis into which ``dims`` merge.

    Raises:
        OpTypeError: two of them are widths.
    """
    count = Fraction(1)
    for dim in dims:
        count *= dim.count
    widths = sum(dim.width for dim in dims)
    if widths > 1:
        raise OpTypeError("two width axes do not merge into one", operand=0)
    return Dim(count, bool(widths))


def _extents(old: Sequence[int], dims: Sequence[Dim]) -> list[int]:
    total = 1
    for extent in old:
        total *= extent
    finite = 1
    for dim in dims:
        finite *= 1 if dim.width else int(dim.count)
    return [total // finite if dim.width else int(dim.count) for dim in dims]
