"""Softmax over a finite axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import TensorType
from tpc.ops.add import add
from tpc.ops.axes import check_finite, restore
from tpc.ops.base import (
    Argument,
    EvalContext,
    Op,
    OpTypeError,
    option,
    require_real,
    same_batch,
    surface,
    value,
)
from tpc.ops.literal import Table, literal
from tpc.ops.multiply import multiply
from tpc.ops.repeat import repeat
from tpc.ops.scale import scale
from tpc.ops.sum import total

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Softmax(Op):
    """``s_i = m_i exp(x_i) / sum_j m_j exp(x_j)`` along finite ``axis``.

    The optional second operand is the mask m (zero: left out, anything else: kept), with the last
    axes of x. Where everything is masked the result is zero. The derivative
    ``g -> s (g - sum_j g_j s_j)`` flows to x only.
    """

    name = "softmax"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "softmax")
        x = operands[0]
        check_finite(x, (attrs["axis"],), "softmax")
        for mask in operands[1:]:
            if mask.rank > x.rank or mask.dims != x.dims[x.rank - mask.rank :]:
                raise OpTypeError(f"the mask {mask} does not match {x}", operand=1)
        return TensorType(x.dims, same_batch(operands))

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        axis = node.attrs["axis"]
        weighted = multiply(cotangent, node)
        mean = restore(total(weighted, (axis,)), (axis,), node.type)
        slope = add(weighted, scale(multiply(mean, node), -1))
        return (slope, *(None for _ in node.operands[1:]))

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.softmax(node, sizes[0])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        """Return the share of one score; scores and masks must be numbers in the limit."""
        from tpc.limit.forms import Share

        axis = node.attrs["axis"]
        x, *masks = node.operands
        places = [
            (*index[:axis], i, *index[axis + 1 :]) for i in range(x.type.dims[axis].concrete(1))
        ]
        return Share(
            index[axis],
            tuple((x, place) for place in places),
            tuple((mask, p[len(p) - mask.type.rank :]) for mask in masks for p in places),
        )

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        from tpc.ops.broadcast import align

        axis = node.attrs["axis"] + int(node.type.batched)
        x = align(arrays[0], node.operands[0].type, node.type)
        if len(arrays) > 1:
            kept = align(arrays[1], node.operands[1].type, node.type) != 0
            x = np.where(kept, x, -np.inf)
        top = x.max(axis=axis, keepdims=True)
        weights = np.exp(x - np.where(np.isfinite(top), top, 0.0))
        sums = weights.sum(axis=axis, keepdims=True)
        result: Array = weights / np.where(sums == 0.0, 1.0, sums)
        return result

    def flops(self, node: Node, context: EvalContext) -> int:
        """A maximum, a difference, an exponential, a sum and a quotient for each entry."""
        return 5 * super().flops(node, context)

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import mixed

        return mixed(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import settled_entry

        return settled_entry(node, walk)


SOFTMAX = Softmax()


@surface(
    value("x"),
    option("axis", "axis"),
    Argument("mask", "mask", required=False, choices=("causal",)),
    name="softmax",
)
def softmax_function(x: Node, axis: int | None = None, mask: str | Node | None = None) -> Node:
    """Softmax over one finite axis (the only axis needs no `axis`).

    `mask` leaves positions out: a 0/1 tensor that has the axes of x up to and including `axis`
    (matched from `axis` backwards), or `causal`: of scores `[.., t, u, ..]` with `axis` at u only
    u <= t are kept. A row in which nothing is kept is zero.
    """
    return softmax(x, the_axis(x, axis, "softmax"), mask)


def the_axis(x: Node, axis: int | None, name: str) -> int:
    """Return ``axis``, or the only axis where none is named.

    Raises:
        OpTypeError: none is named and there is not exactly one.
    """
    if axis is not None:
        return axis
    if x.type.rank == 1:
        return 0
    raise OpTypeError(f"`{name}` of {x.type}: over which axis?", operand=0, help="say it: axis = 1")


def softmax(x: Node, axis: int, mask: str | Node | None = None) -> Node:
    """Return the softmax of ``x`` over 0-based ``axis``.

    Raises:
        OpTypeError: the axis does not exist or is a width, or the mask does not fit.
    """
    check_finite(x.type, (axis,), "softmax")
    if mask is None:
        return make(SOFTMAX, x, axis=axis)
    chosen = _causal(x, axis) if isinstance(mask, str) else mask
    return make(SOFTMAX, x, _after(chosen, axis, x.type), axis=axis)


def _causal(x: Node, axis: int) -> Node:
    if axis == 0:
        raise OpTypeError(
            f"mask = causal needs an axis of queries before axis 1 of {x.type}",
            operand=0,
            help="scores are [queries, keys] with axis = 2",
        )
    check_finite(x.type, (axis - 1,), "softmax")
    queries, keys = (int(x.type.dims[k].count) for k in (axis - 1, axis))
    if queries != keys:
        raise OpTypeError(f"mask = causal of {queries} queries and {keys} keys", operand=0)
    rows = [float(u <= t) for t in range(queries) for u in range(keys)]
    return literal(Table.of((queries, keys), rows))


def _after(mask: Node, axis: int, x: TensorType) -> Node:
    """Repeat a mask along the axes after ``axis``, so that it matches x from the last one."""
    require_real((mask.type,), "softmax mask")
    until = axis + 1
    if mask.type.rank > until or mask.type.dims != x.dims[until - mask.type.rank : until]:
        raise OpTypeError(
            f"the mask {mask.type} does not match the axes of {x} up to axis {until}",
            operand=1,
            help="a mask has the axes of the scores up to the axis of the softmax",
        )
    rank = mask.type.rank
    return repeat(mask, tuple((rank + k - until, x.dims[k]) for k in range(until, x.rank)))
