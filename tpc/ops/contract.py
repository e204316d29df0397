"""Contraction of two tensors: ``W @ x``, ``dot``, ``einsum``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import EvalContext, Op, OpTypeError, require_real, same_batch
from tpc.ops.fill import constant, is_zero
from tpc.ops.scale import SCALE, scale
from tpc.ops.transpose import TRANSPOSE
from tpc.products import matrix_product

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

Labels = tuple[int, ...]
_BATCH = -1


class Contract(Op):
    """``out = sum over contracted labels of left * right``, an einsum of two operands.

    Attributes ``left``, ``right`` and ``out`` label the axes with integers; a label that is in both
    operands but not in ``out`` is summed over (a plain sum also over a width). The batch axis is an
    implicit label: kept, unless ``sum_batch`` is true, which sums the samples' products.
    Every label of an operand occurs in it once, and stands in the other operand or in ``out``.
    """

    name = "contract"
    takes_matrices = True
    sums_positions = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, "@")
        left, right, out = attrs["left"], attrs["right"], attrs["out"]
        dims: dict[int, Dim] = {}
        for position, (labels, operand) in enumerate(zip((left, right), operands, strict=True)):
            if len(set(labels)) != len(labels) or len(labels) != operand.rank:
                raise OpTypeError(f"{len(labels)} labels for {operand}", operand=position)
            for label, dim in zip(labels, operand.dims, strict=True):
                if dims.setdefault(label, dim) != dim:
                    raise OpTypeError(
                        f"an axis of {dims[label]} meets an axis of {dim}", operand=position
                    )
        if not set(left) ^ set(right) <= set(out) <= set(dims) or len(set(out)) != len(out):
            raise OpTypeError("a label stands alone in one operand and is not in the result")
        if attrs["sum_batch"] and not all(operand.batched for operand in operands):
            raise OpTypeError("a contraction over the samples needs two batched operands")
        batched = same_batch(operands) and not attrs["sum_batch"]
        return TensorType(tuple(dims[label] for label in out), batched)

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x, y = node.operands
        left, right, out = node.attrs["left"], node.attrs["right"], node.attrs["out"]
        return (
            contract(cotangent, y, out, right, left),
            contract(x, cotangent, left, out, right),
        )

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        left, right, out = node.attrs["left"], node.attrs["right"], node.attrs["out"]
        return context.contraction(node, sizes[0], sizes[1], left, right, out)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.contraction import contraction

        return contraction(node, index, context)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.contraction import contraction

        return contraction(left, right, modes, view)

    def independent(self, node: Node, axis: int) -> bool:
        from tpc.limit.contraction import weight_below

        label = node.attrs["out"][axis]
        sides = zip(node.operands, (node.attrs["left"], node.attrs["right"]), strict=True)
        return any(weight_below(x) is not None and label in labels for x, labels in sides)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        left, right, out = node.attrs["left"], node.attrs["right"], node.attrs["out"]
        if node.operands[0].type.batched:
            left = (_BATCH, *left)
        if node.operands[1].type.batched:
            right = (_BATCH, *right)
        if node.type.batched:
            out = (_BATCH, *out)
        return _product(arrays[0], arrays[1], left, right, out)

    def describe(self, attrs: Mapping[str, Any]) -> str:
        """Return the labels as in an einsum, a letter for each."""
        left, right, out = (
            "".join(chr(ord("a") + label) if label < 26 else f"<{label}>" for label in attrs[side])
            for side in ("left", "right", "out")
        )
        return f"{left},{right}->{out}" + (" sum_batch" if attrs["sum_batch"] else "")

    def flops(self, node: Node, context: EvalContext) -> int:
        x, y = node.operands
        extents: dict[int, int] = {}
        for operand, labels in ((x, node.attrs["left"]), (y, node.attrs["right"])):
            for label, dim in zip(labels, operand.type.dims, strict=True):
                extents[label] = dim.concrete(context.width)
        count = 2 * (context.batch or 1) if x.type.batched or y.type.batched else 2
        for extent in extents.values():
            count *= extent
        return count

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.contraction import contraction

        return contraction(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.products import contraction

        return contraction(node, walk)


CONTRACT = Contract()


def contract(
    x: Node, y: Node, left: Labels, right: Labels, out: Labels, *, sum_batch: bool = False
) -> Node:
    """Return the contraction of ``x`` and ``y``.

    Scales move out, transpositions are absorbed into the labels (``W.T @ x`` contracts W itself),
    a zero stays zero, and labels are renumbered.
    """
    if x.op is TRANSPOSE:
        left = _before(left, x.attrs["order"])
        return contract(x.operands[0], y, left, right, out, sum_batch=sum_batch)
    if y.op is TRANSPOSE:
        right = _before(right, y.attrs["order"])
        return contract(x, y.operands[0], left, right, out, sum_batch=sum_batch)
    if is_zero(x) or is_zero(y):
        dims = dict(zip((*left, *right), (*x.type.dims, *y.type.dims), strict=True))
        return constant(0, tuple(dims[label] for label in out))
    for one, other, swapped in ((x, y, False), (y, x, True)):
        if one.op is SCALE:
            inner = one.operands[0]
            pair = (other, inner) if swapped else (inner, other)
            product = contract(*pair, left, right, out, sum_batch=sum_batch)
            return scale(product, one.attrs["coefficient"])
    names: dict[int, int] = {}
    for label in (*left, *right):
        names.setdefault(label, len(names))
    return make(
        CONTRACT,
        x,
        y,
        left=tuple(names[label] for label in left),
        right=tuple(names[label] for label in right),
        out=tuple(names[label] for label in out),
        sum_batch=sum_batch,
    )


def _before(labels: Labels, order: tuple[int, ...]) -> Labels:
    """Return the labels of a tensor from those of its transpose."""
    result = [0] * len(labels)
    for label, axis in zip(labels, order, strict=True):
        result[axis] = label
    return tuple(result)


def matmul(w: Node, x: Node) -> Node:
    """Return ``W @ x``: the last axes are contracted; x's other axes come first, then W's.

    Raises:
        OpTypeError: an operand has no axis, or the last axes differ.
    """
    require_real((w.type, x.type), "@")
    for position, operand in enumerate((w, x)):
        if not operand.type.rank:
            raise OpTypeError(
                "`@` contracts last axes, but this is a scalar",
                operand=position,
                help="multiply by a scalar with *",
            )
    if w.type.dims[-1] != x.type.dims[-1]:
        raise OpTypeError(
            f"`@` contracts the last axis of {w.type} with the last axis of {x.type}: "
            f"{w.type.dims[-1]} against {x.type.dims[-1]}",
            operand=1,
            help=_matmul_help(w.type, x.type),
        )
    left = tuple(range(w.type.rank))
    summed = left[-1]
    right = tuple(range(w.type.rank, w.type.rank + x.type.rank - 1))
    return contract(w, x, left, (*right, summed), (*right, *left[:-1]))


def inner(x: Node, y: Node) -> Node:
    """Return the inner product over the last axis of two values of equal axes.

    Raises:
        OpTypeError: the axes differ, or there are none.
    """
    if x.type.dims != y.type.dims or not x.type.rank:
        raise OpTypeError(
            f"`dot` takes two values of equal axes, not {x.type} and {y.type}",
            operand=1,
            help="matrices act with @; other contractions are written with einsum",
        )
    labels = tuple(range(x.type.rank))
    return contract(x, y, labels, labels, labels[:-1])


def _matmul_help(w: TensorType, x: TensorType) -> str:
    if w.dims[0] == x.dims[-1]:
        return "the first axis of the left side fits: transpose it with .T"
    if x.rank > 1 and x.dims[0] == w.dims[-1]:
        return "the first axis of the right side fits: contract it with einsum, or swap the sides"
    return "make the two axes equal, or name them in an einsum"


def _product(x: Array, y: Array, left: Labels, right: Labels, out: Labels) -> Array:
    """Contract as one (stacked) matrix product, so that BLAS does the work."""
    shared = [label for label in left if label in right]
    stacked = [label for label in shared if label in out]
    summed = [label for label in shared if label not in out]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    if rows and columns and out.index(columns[0]) < out.index(rows[0]):
        return _product(y, x, right, left, out)  # the result is then contiguous in its own order
    extent = dict(zip(left, x.shape, strict=True)) | dict(zip(right, y.shape, strict=True))
    matrix = matrix_product(
        _matrix(x, left, stacked, rows, summed), _matrix(y, right, stacked, summed, columns)
    )
    order = stacked + rows + columns
    result = matrix.reshape([extent[label] for label in order])
    return result.transpose([order.index(label) for label in out])


def _matrix(
    array: Array, labels: Labels, stacked: list[int], first: list[int], second: list[int]
) -> Array:
    extent = dict(zip(labels, array.shape, strict=True))
    moved = array.transpose([labels.index(label) for label in (*stacked, *first, *second)])

    def size(group: list[int]) -> int:
        count = 1
        for label in group:
            count *= extent[label]
        return count

    return moved.reshape([*(extent[label] for label in stacked), size(first), size(second)])
