"""Permutation of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.base import OpTypeError, require_real
from tpc.ops.index_map import IndexMap
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Transpose(IndexMap):
    """Axis i of the result is axis ``order[i]`` of the operand (width axes too)."""

    name = "transpose"
    takes_matrices = True
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        (x,) = operands
        require_real(operands, "transpose")
        order = attrs["order"]
        if sorted(order) != list(range(x.rank)):
            raise OpTypeError(f"{order} does not permute the axes of {x}", operand=0)
        return TensorType(tuple(x.dims[axis] for axis in order), x.batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        order = node.attrs["order"]
        return (transpose(cotangent, tuple(order.index(axis) for axis in range(len(order)))),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        widths = node.operands[0].type.width_axes
        order = [axis for axis in node.attrs["order"] if axis in widths]
        return sizes[0] if order == sorted(order) else context.transposed(sizes[0])

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.moves import transposed

        return transposed(left, right, modes, view)

    def independent(self, node: Node, axis: int) -> bool:
        return node.operands[0].op.independent(node.operands[0], node.attrs["order"][axis])

    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        order = node.attrs["order"]
        return arrays[0].transpose(*range(lead), *(axis + lead for axis in order))

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import transposed

        return transposed(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import transposed

        return transposed(node, walk)


TRANSPOSE = Transpose()


def transpose(x: Node, order: tuple[int, ...]) -> Node:
    """Return ``x`` with its axes in another order; two transpositions merge."""
    if order == tuple(range(x.type.rank)):
        return x
    if x.op is TRANSPOSE:
        return transpose(x.operands[0], tuple(x.attrs["order"][axis] for axis in order))
    if x.op is SCALE:
        return scale(transpose(x.operands[0], order), x.attrs["coefficient"])
    return make(TRANSPOSE, x, order=order)


def swap_last(x: Node) -> Node:
    """Return ``x.T``: the last two axes are exchanged.

    Raises:
        OpTypeError: there are fewer than two.
    """
    rank = x.type.rank
    if rank < 2:
        raise OpTypeError(
            f"`.T` exchanges the last two axes, but this is {x.type}",
            operand=0,
            help="the inner product of two vectors is dot(u, v)",
        )
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))
