"""Normalisations by the spread of few values: which means exist.

With d degrees of freedom the variance s^2 of a batch is smaller than t with a probability like
t^(d/2): the mean of 1/s^2 is finite for d > 2 only, and its variance for d > 4.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tpc.ir.node import walk
from tpc.ops.add import ADD
from tpc.ops.batch import BATCH_MEAN
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.ir.types import TensorType

Array = NDArray[np.float64]
ENOUGH = 5
"""Degrees of freedom from which on averages of 1/s^2 settle."""
_ROUNDING = 1e-10


class NormalisationError(ArithmeticError):
    """A batch norm of ``batch`` values whose variance has ``freedom`` degrees of freedom only."""

    def __init__(self, batch: int, freedom: int, what: str) -> None:
        samples = f"1 {what}" if batch == 1 else f"{batch} {what}s"
        kind = "degree" if freedom == 1 else "degrees"
        what = f"batch norm of {samples}, whose variance s^2 has {freedom} {kind} of freedom"
        if freedom == 0:
            why = "there is nothing to divide by"
        elif freedom <= 2:
            why = "the tangent kernel needs the mean of 1/s^2, which is infinite"
        else:
            why = "averages of 1/s^2 do not settle, as the mean of 1/s^4 is infinite"
        super().__init__(f"{what}: {why}")
        self.freedom = freedom


class NotFiniteError(ArithmeticError):
    """Something divides by zero, or overflows."""

    def __init__(self) -> None:
        super().__init__("the kernel of these samples is not finite: something divides by zero")


def centred(node: Node) -> tuple[Node, tuple[int, ...] | None] | None:
    """Return y and axes of ``mean of y^2`` over axes, or samples (None), to a negative power.

    None for other nodes. Where a constant is added below the power (eps) it is another node.
    """
    if node.op is not POWER or node.attrs["exponent"] >= 0 or node.type.sort != 1:
        return None
    mean = _mean_below(node.operands[0])
    square = None if mean is None else mean.operands[0]
    if mean is None or square is None or square.op is not POWER:
        return None
    if square.attrs["exponent"] != Fraction(2):
        return None
    return square.operands[0], mean.attrs.get("axes")


def _mean_below(node: Node) -> Node | None:
    """Return the mean over samples or finite axes that a value is but for factors, or None."""
    while node.op in (SCALE, REPEAT):
        node = node.operands[0]
    if node.op is SUM:
        x = node.operands[0].type
        return None if any(x.dims[axis].width for axis in node.attrs["axes"]) else node
    return node if node.op is BATCH_MEAN else None


def divides_neurons(module: Module) -> bool:
    """Whether a program divides by averages of a single neuron's values, as batch norm does."""
    for node in walk([module.output.node]):
        if node.op is POWER and node.attrs["exponent"] < 0 and node.type.sort == 1:
            below = node.operands[0]
            parts = below.operands if below.op is ADD else (below,)
            if any(_mean_below(part) is not None for part in parts):
                return True
    return False


def freedom(y: Array, square: float) -> int:
    """Return the rank of values (places, B, draws) over B: the least over the places.

    ``square`` is the mean square of the values before their mean was taken off: what is left below
    rounding of it is nothing.
    """
    columns = y[..., : max(64, 4 * y.shape[1])]
    sizes = np.linalg.eigvalsh(columns @ columns.transpose(0, 2, 1))
    nothing = 1e-24 * square * columns.shape[-1] * y.shape[1]
    return int((sizes > np.maximum(_ROUNDING * sizes[:, -1:], nothing)).sum(axis=1).min())


def require_enough(
    y: Array, type_: TensorType, axes: tuple[int, ...] | None, square: float, tangent: bool
) -> None:
    """Refuse a normalisation whose mean squares, or those of its derivative, do not exist.

    ``y`` (N, ...) are centred values of a type, over ``axes``, or over the samples (None).

    Raises:
        NormalisationError: with the number of values and their degrees of freedom.
    """
    over = [0] if axes is None else [1 + axis for axis in axes]
    (wide,) = (1 + axis for axis in type_.width_axes)
    rest = [k for k in range(y.ndim) if k not in (*over, wide)]
    moved = y.transpose([*rest, *over, wide])
    count = int(np.prod([y.shape[k] for k in over], dtype=int))
    found = freedom(moved.reshape(-1, count, y.shape[wide]), square) if count > 1 else 0
    if found == 0 or (tangent and found < ENOUGH):
        raise NormalisationError(count, found, "sample" if axes is None else "position")
