"""Types of values: which axes a tensor has, and which of them are widths.

A value is sorted by the number of its width axes (TP1-TP4): a scalar has none, a vector one, a
matrix two. Finite axes (tokens, pixels, classes, time) only index: a ``[T, n]`` tensor is T
vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Dim:
    """One axis: ``count`` positions, or ``count * n`` positions when ``width`` is true.

    ``count`` is a positive integer for a finite axis and a positive Fraction for a width axis.
    """

    count: Fraction
    width: bool = False

    def concrete(self, width: int) -> int:
        """Return the number of positions at network width ``width`` (at least one)."""
        return max(1, int(self.count * width)) if self.width else int(self.count)

    def __str__(self) -> str:
        if not self.width:
            return str(self.count)
        return "n" if self.count == 1 else f"{self.count}*n"


def finite(count: int) -> Dim:
    """Return a finite axis of ``count`` positions."""
    return Dim(Fraction(count))


def wide(count: Fraction | int = 1) -> Dim:
    """Return a width axis of ``count * n`` positions."""
    return Dim(Fraction(count), width=True)


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a value.

    ``dims`` are the axes of one sample. ``batched`` says that the value differs from sample to
    sample: it then carries one more, leading axis, which is never counted in ``dims``. ``below``
    is None for real tensors; integer tensors have entries ``1..below``.
    """

    dims: tuple[Dim, ...] = ()
    batched: bool = False
    below: int | None = None

    @property
    def rank(self) -> int:
        """Number of axes of one sample."""
        return len(self.dims)

    @property
    def sort(self) -> int:
        """Number of width axes: 0 scalar, 1 vector, 2 matrix."""
        return sum(dim.width for dim in self.dims)

    @property
    def width_axes(self) -> tuple[int, ...]:
        """Positions of the width axes."""
        return tuple(i for i, dim in enumerate(self.dims) if dim.width)

    @property
    def finite_count(self) -> int:
        """Product of the sizes of the finite axes."""
        product = 1
        for dim in self.dims:
            if not dim.width:
                product *= int(dim.count)
        return product

    def shape(self, width: int, batch: int | None = None) -> tuple[int, ...]:
        """Return the array shape at a width, with the batch axis in front if the value has one."""
        dims = tuple(dim.concrete(width) for dim in self.dims)
        if not self.batched:
            return dims
        if batch is None:
            raise ValueError("a batched value needs the number of samples")
        return (batch, *dims)

    def __str__(self) -> str:
        inside = ", ".join(str(dim) for dim in self.dims)
        text = f"[{inside}]"
        if self.below is not None:
            text += f" in {self.below}"
        return f"batch {text}" if self.batched else text


SCALAR = TensorType()
