"""Images and sequences at another resolution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tpc.ops.axes import check_finite
from tpc.ops.base import OpTypeError, keyword, option, surface, value
from tpc.ops.contract import contract
from tpc.ops.literal import Table, literal
from tpc.ops.patches import each_axis

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(
    value("x"),
    keyword("to", "integers"),
    option("method", "word", "bilinear", ("bilinear", "nearest")),
)
def resize(x: Node, to: tuple[int, ...], method: str = "bilinear") -> Node:
    """Interpolate the axes in front of the channels: `resize(img, to = (16, 16))`.

    Pixels are cells (half-pixel centres, as in TensorFlow 2 and PyTorch without `align_corners`);
    shrinking does not smooth first. `bilinear` weighs the two nearest cells of each axis,
    `nearest` takes the cell that holds the centre.
    """
    count = x.type.rank - 1
    if count < 1:
        raise OpTypeError(f"`resize` works on the axes in front of the channels: {x.type}")
    check_finite(x.type, range(count), "resize")
    for axis, extent in enumerate(each_axis(to, count, "resize")):
        if extent < 1:
            raise OpTypeError("`resize` to a size below one")
        matrix = _matrix(int(x.type.dims[axis].count), extent, method)
        labels = tuple(range(x.type.rank))
        new = (*labels[:axis], 100, *labels[axis + 1 :])
        x = contract(literal(matrix), x, (100, axis), labels, new)
    return x


def _matrix(old: int, new: int, method: str) -> Table:
    rows = [[0.0] * old for _ in range(new)]
    for position, row in enumerate(rows):
        centre = (position + 0.5) * old / new
        if method == "nearest":
            row[min(int(centre), old - 1)] = 1.0
            continue
        left = math.floor(centre - 0.5)
        weight = centre - 0.5 - left
        row[max(left, 0)] += 1.0 - weight
        row[min(left + 1, old - 1)] += weight
    return Table.of((new, old), [entry for row in rows for entry in row])
