"""Elementwise broadcasting: axes are matched from the last one, sizes are never stretched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.ir.types import TensorType
from tpc.ops.base import OpTypeError, require_real, same_batch

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ops.base import Array


def infer_elementwise(operands: Sequence[TensorType], name: str) -> TensorType:
    """Return the type of an elementwise combination.

    Raises:
        OpTypeError: two operands differ on a shared axis, or one is an integer tensor.
    """
    require_real(operands, name)
    longest = max(operands, key=lambda operand: operand.rank)
    for position, operand in enumerate(operands):
        if operand.rank and operand.dims != longest.dims[-operand.rank :]:
            raise OpTypeError(
                f"`{name}` combines {longest} and {operand}: "
                "axes are matched from the last one and must be equal",
                operand=position,
            )
    return TensorType(longest.dims, same_batch(operands))


def align(array: Array, operand: TensorType, result: TensorType) -> Array:
    """Insert axes after the batch axis so that NumPy broadcasts as the language does."""
    missing = result.rank - operand.rank
    if missing and operand.batched:
        return array.reshape(array.shape[0], *(1,) * missing, *array.shape[1:])
    return array


def unbroadcast(cotangent: Node, operand: TensorType) -> Node:
    """Sum a cotangent over the axes along which the operand was repeated."""
    from tpc.ops.sum import total

    extra = cotangent.type.rank - operand.rank
    return total(cotangent, tuple(range(extra))) if extra else cotangent
