"""Normalisations by the spread of few values: which means exist.

With d degrees of freedom the variance s^2 of a batch is smaller than t with a probability like
t^(d/2): the mean of 1/s^2 is finite for d > 2 only, and its variance for d > 4.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tpc.ops.batch import BATCH_MEAN
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE

if TYPE_CHECKING:
    from tpc.ir.node import Node

Array = NDArray[np.float64]
ENOUGH = 5
"""Degrees of freedom from which on averages of 1/s^2 settle."""
_ROUNDING = 1e-10


class NormalisationError(ArithmeticError):
    """A batch norm of ``batch`` samples whose variance has ``freedom`` degrees of freedom only."""

    def __init__(self, batch: int, freedom: int) -> None:
        samples = "1 sample" if batch == 1 else f"{batch} samples"
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


def centred(node: Node) -> Node | None:
    """Return the y of ``mean over the batch of y^2`` to a negative power, None for other nodes.

    Where a constant is added below the power (eps) it is another node.
    """
    if node.op is not POWER or node.attrs["exponent"] >= 0:
        return None
    below = node.operands[0]
    while below.op in (SCALE, REPEAT):
        below = below.operands[0]
    if below.op is not BATCH_MEAN:
        return None
    square = below.operands[0]
    if square.op is not POWER or square.attrs["exponent"] != Fraction(2):
        return None
    return square.operands[0]


def freedom(y: Array, square: float) -> int:
    """Return the rank over samples of values (N, ..., draws): the least over positions.

    ``square`` is the mean square of the values before their mean was taken off: what is left below
    rounding of it is nothing.
    """
    batch = len(y)
    columns = y[..., : max(64, 4 * batch)]
    places = np.moveaxis(columns.reshape(batch, -1, columns.shape[-1]), 1, 0)
    sizes = np.linalg.eigvalsh(places @ places.transpose(0, 2, 1))
    nothing = 1e-24 * square * columns.shape[-1] * batch
    return int((sizes > np.maximum(_ROUNDING * sizes[:, -1:], nothing)).sum(axis=1).min())


def require_enough(batch: int, y: Array, square: float, tangent: bool) -> None:
    """Refuse a normalisation whose mean squares, or those of its derivative, do not exist.

    Raises:
        NormalisationError: with the batch and its degrees of freedom.
    """
    found = freedom(y, square) if batch > 1 else 0
    if found == 0 or (tangent and found < ENOUGH):
        raise NormalisationError(batch, found)
