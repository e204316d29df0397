"""Values and numbers: what rules hand to each other, and arithmetic on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.covariance.arrays import Array, Quantity, Shape, Value
from tpc.covariance.steps import Multiply
from tpc.limit.moment import power_of
from tpc.ops.repeat import repeat

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.node import Node

STAGE = "limit"
NOTHING = Value()


@dataclass(frozen=True)
class Number:
    """A value that does not vary with the weights: ``quantity`` (None: zero) for every sample.

    ``noise`` is the power of the width of what it was rounded by, None for nothing at all.
    """

    quantity: Quantity | None
    noise: Fraction | None = None


def times(a: Quantity | None, b: Quantity | None) -> Quantity | None:
    """Return the product of two quantities, None for zero."""
    if a is None or b is None:
        return None
    shape = joint_shape([a.array, b.array])
    product = Multiply([a.array, b.array], shape).outputs[0]
    return Quantity(product, a.factor * b.factor, a.power + b.power)


def both(value: Value, function: Any) -> Value:
    """Return the image of kernel and tangent; shared arrays are mapped once."""
    kernel, tangent = function(value.kernel), None
    if value.tangent is not None:
        if value.kernel is not None and value.tangent.array is value.kernel.array:
            ratio = value.tangent.factor / value.kernel.factor
            tangent = kernel.times(ratio, value.tangent.power - value.kernel.power)
        else:
            tangent = function(value.tangent)
    return Value(kernel, tangent)


def scaled(value: Value, coefficient: Coefficient) -> Value:
    """Return a value times a coefficient."""
    if coefficient.is_zero:
        return NOTHING
    factor, power = coefficient.constant.value, power_of(coefficient.power)
    return Value(
        None if value.kernel is None else value.kernel.times(factor, power),
        None if value.tangent is None else value.tangent.times(factor, power),
    )


def joint_shape(arrays: Sequence[Array]) -> Shape:
    """Return the shape to which arrays broadcast."""
    return tuple(max(column) for column in zip(*(a.shape for a in arrays), strict=True))


def padded(node: Node, like: Node) -> Node:
    """Return an operand repeated along the axes that it lacks in front."""
    missing = like.type.rank - node.type.rank
    return repeat(node, tuple((k, like.type.dims[k]) for k in range(missing)))
