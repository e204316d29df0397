"""Arrays over pairs of positions, and the steps that compute them.

For a pair of samples (x, x') and a node with axes of extents e1, e2, ... an array has, axis by
axis, the dimensions that its *modes* say:

* ``D``: one, of the pairs p = q;
* ``F``: two, (p, q), all pairs, p of x and q of x';
* ``S``: none, the pairs p = q are summed; ``A``: none, all pairs are summed.

An extent of one where the axis is longer means that the array is constant along it. A width axis
counts its blocks; it is D or S.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tpc.ir.node import Node

    Numbers = NDArray[np.float64]

Shape = tuple[int, ...]


class Step:
    """One computation: arrays in, arrays out.

    ``inputs`` hold a row for every pair of samples (for every sample in a ``single`` step),
    ``sides`` a row for every sample, which pairs look up. Outputs have one shape each, the leading
    axis left out.
    """

    def __init__(
        self,
        inputs: Sequence[Array],
        sides: Sequence[Array],
        shapes: Sequence[Shape],
        single: bool,
    ) -> None:
        self.inputs = tuple(inputs)
        self.sides = tuple(sides)
        self.single = single
        self.outputs = tuple(Array(self, part, shape) for part, shape in enumerate(shapes))

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        """Compute the outputs, which are contiguous and hold rubbish before."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Array:
    """An output of a step: numbers of ``shape`` for every pair of samples, or every sample."""

    step: Step
    part: int
    shape: Shape

    @property
    def single(self) -> bool:
        """Whether it belongs to one sample."""
        return self.step.single

    @property
    def size(self) -> int:
        """The number of entries per pair."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


@dataclass(frozen=True)
class Block:
    """What a step may look at besides its inputs.

    ``rows`` and ``columns`` number the samples of each pair in the tables ``left`` and ``right`` of
    single arrays; ``data`` are the samples themselves (single steps only).
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    left: dict[Array, Numbers]
    right: dict[Array, Numbers]
    data: dict[str, Any]
    tolerance: float
    kept: dict[Any, Any] = field(default_factory=dict)
    """What steps keep for the next blocks of the same samples; ``lock`` guards it."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Quantity:
    """``n^power * factor * array``."""

    array: Array
    factor: float = 1.0
    power: Fraction = Fraction(0)

    def times(self, factor: float, power: Fraction = Fraction(0)) -> Quantity:
        """Return it times ``factor * n^power``."""
        return Quantity(self.array, self.factor * factor, self.power + power)

    def moved(self, array: Array) -> Quantity:
        """Return another array with the same factor: the image under a linear map."""
        return Quantity(array, self.factor, self.power)


@dataclass(frozen=True)
class Value:
    """A covariance and its tangent, None where they vanish."""

    kernel: Quantity | None = None
    tangent: Quantity | None = None

    @property
    def is_zero(self) -> bool:
        """Whether both vanish."""
        return self.kernel is None and self.tangent is None


def extents(node: Node) -> Shape:
    """Return the positions along every axis; those of a width axis are its blocks."""
    return tuple(dim.concrete(1) for dim in node.type.dims)


def pair_shape(sizes: Shape, modes: str) -> Shape:
    """Return the dimensions of an array over pairs of positions."""
    found: list[int] = []
    for size, mode in zip(sizes, modes, strict=True):
        found += [size] * {"D": 1, "F": 2}.get(mode, 0)
    return tuple(found)


def slot(modes: str, axis: int) -> int:
    """Return which dimension of an array an axis begins at."""
    return sum({"D": 1, "F": 2}.get(mode, 0) for mode in modes[:axis])


def unreduced(modes: str) -> str:
    """Return the modes with nothing summed yet."""
    return modes.replace("S", "D").replace("A", "F")
