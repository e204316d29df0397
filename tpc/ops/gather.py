"""Rows of a table looked up by integers, and the transpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import EvalContext, Op, OpTypeError, require_real, same_batch
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
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Gather(Op):
    """``result[i.., ..] = table[ids[i..], ..]``; entries of ``ids`` count from 1."""

    name = "gather"
    transparent = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        table, ids = operands
        require_real((table,), "look-up")
        check_ids(table.dims[0] if table.rank else None, table, ids)
        return TensorType((*ids.dims, *table.dims[1:]), same_batch(operands))

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        table, ids = node.operands
        return (scatter_add(cotangent, ids, table.type.dims[0]), None)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.same(node, sizes[0])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        """Return a row's entry: Gaussian, and equal where the tokens are."""
        from tpc.limit.contraction import lookup

        return lookup(node, index, context)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.leaves import lookup

        return lookup(left, right, modes, view)

    def independent(self, node: Node, axis: int) -> bool:
        return axis >= node.operands[1].type.rank

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        table, rows = arrays[0], arrays[1].astype(np.int64) - 1
        result: Array
        if not node.operands[0].type.batched:
            result = table[rows]
            return result
        samples = np.arange(table.shape[0]).reshape(-1, *(1,) * node.operands[1].type.rank)
        result = table[samples, rows]
        return result

    def flops(self, node: Node, context: EvalContext) -> int:
        """Moving entries costs no arithmetic."""
        return 0

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import looked_up

        return looked_up(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import gathered

        return gathered(node, walk)


class ScatterAdd(Op):
    """``result[v, ..] = sum of x[i.., ..] over the i.. with ids[i..] = v``: a gather's transpose.

    Attribute ``extent`` is the axis that ``ids`` index; ``sum_batch`` adds up the samples too (both
    operands are batched then).
    """

    name = "scatter_add"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        x, ids = operands
        require_real((x,), "scatter")
        check_ids(attrs["extent"], x, ids)
        if x.dims[: ids.rank] != ids.dims:
            raise OpTypeError(f"rows {x} for the indices {ids}", operand=0)
        batched = same_batch(operands) and not attrs["sum_batch"]
        return TensorType((attrs["extent"], *x.dims[ids.rank :]), batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (gather(cotangent, node.operands[1]), None)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.same(node, sizes[0])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.contraction import scattered

        return scattered(node, index, context)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        import numpy as np

        x, rows = arrays[0], arrays[1].astype(np.int64) - 1
        values, indices = node.operands
        shape = context.shape(node.type)
        if not node.type.batched:
            result = np.zeros(shape)
            np.add.at(result, rows, x)
            return result
        batch = x.shape[0] if values.type.batched else rows.shape[0]
        result = np.zeros((batch, *shape[1:]))
        samples = np.arange(batch).reshape(-1, *(1,) * indices.type.rank)
        if not indices.type.batched:
            rows = np.broadcast_to(rows, (batch, *rows.shape))
        np.add.at(result, (samples, rows), x)
        return result

    def flops(self, node: Node, context: EvalContext) -> int:
        """One addition for each entry of the operand."""
        count = 1
        for extent in context.shape(node.operands[0].type):
            count *= extent
        return count

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import looked_up

        return looked_up(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import scattered

        return scattered(node, walk)


GATHER = Gather()
SCATTER_ADD = ScatterAdd()


def check_ids(dim: Dim | None, table: TensorType, ids: TensorType) -> None:
    """Check that integers index an axis.

    Raises:
        OpTypeError: they are no integers, the axis is a width, or its size is not their bound.
    """
    if ids.below is None:
        raise OpTypeError(
            f"a look-up needs integers, but this is real: {ids}",
            operand=1,
            help="declare the input with its range: input ids : [T] in vocab",
        )
    if dim is None or dim.width:
        raise OpTypeError(
            f"a look-up goes along the first axis, which must be finite: {table}",
            operand=0,
            help="an embedding of a vocabulary is a param [vocab, n]",
        )
    if dim.count != ids.below:
        raise OpTypeError(
            f"the integers run from 1 to {ids.below}, but the axis that they index has {dim}",
            operand=1,
            help="make the two sizes equal",
        )


def gather(table: Node, ids: Node) -> Node:
    """Return the rows of ``table`` named by the integers ``ids`` (1-based)."""
    if table.op is SCALE:
        return scale(gather(table.operands[0], ids), table.attrs["coefficient"])
    return make(GATHER, table, ids)


def scatter_add(x: Node, ids: Node, extent: Dim) -> Node:
    """Return the rows ``x`` added up at the places ``ids`` of an axis ``extent``."""
    if x.op is SCALE:
        return scale(scatter_add(x.operands[0], ids, extent), x.attrs["coefficient"])
    return make(SCATTER_ADD, x, ids, extent=extent, sum_batch=False)
