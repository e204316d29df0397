"""What ops refuse, and that they say how to mend it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from cases import f
from graphs import w_, x_

from tpc.exact import Constant
from tpc.ops.add import add
from tpc.ops.base import OpTypeError
from tpc.ops.contract import matmul
from tpc.ops.gather import gather
from tpc.ops.index import index
from tpc.ops.multiply import multiply
from tpc.ops.power import power
from tpc.ops.slice import slice_
from tpc.ops.transpose import swap_last

ids = x_("ids", 3, below=5)

BAD = {
    "axes differ": (lambda: add(x_("x", 2, 3), x_("y", 2)), "matched from the last"),
    "size one is not stretched": (lambda: multiply(x_("x", 2, 3), x_("y", 1)), "matched"),
    "integers add": (lambda: add(ids, ids), "integer input"),
    "integers in a power": (lambda: power(ids, Fraction(2)), "integer input"),
    "contraction mismatch": (lambda: matmul(w_("W", "n", "n"), x_("x", 3)), "n against 3"),
    "widths differ": (lambda: matmul(w_("W", "n", "4n"), x_("x", "n")), r"4\*n against n"),
    "scalar contracted": (lambda: matmul(w_("W", "n", "n"), x_("x")), "scalar"),
    "transpose of a vector": (lambda: swap_last(x_("x", 3)), "last two axes"),
    "width indexed": (lambda: index(x_("x", "n"), 0, 0), "is a width"),
    "index out of range": (lambda: index(x_("x", 3), 0, 3), "position 4"),
    "no such axis": (lambda: index(x_("x", 3), 1, 0), "no axis 2"),
    "empty range": (lambda: slice_(x_("x", 3), 0, 2, 2), "3..2"),
    "look-up by reals": (lambda: gather(w_("U", 5, "n"), x_("x", 3)), "needs integers"),
    "look-up in a width": (lambda: gather(w_("U", "n", 5), ids), "must be finite"),
    "look-up bound": (lambda: gather(w_("U", 4, "n"), ids), "run from 1 to 5"),
    "softmax over a width": (lambda: f("softmax", x_("x", "n")), "is a width"),
    "softmax of which axis": (lambda: f("softmax", x_("x", 2, 3)), "which axis"),
    "causal without queries": (
        lambda: f("softmax", x_("x", 3), axis=0, mask="causal"),
        "axis of queries",
    ),
    "causal not square": (
        lambda: f("softmax", x_("x", 2, 3), axis=1, mask="causal"),
        "2 queries and 3 keys",
    ),
    "mask does not match": (
        lambda: f("softmax", x_("x", 2, 3), axis=1, mask=x_("m", 2)),
        "does not match",
    ),
    "sum over no axis": (lambda: f("sum", x_("x", 2), axis=(1,)), "no axis 2"),
    "axis twice": (lambda: f("mean", x_("x", 2, 2), axis=(0, 0)), "named twice"),
    "stack of different": (lambda: f("stack", (x_("x", 2), x_("y", 3))), "equal axes"),
    "stack of nothing": (lambda: f("stack", ()), "of nothing"),
    "concat mismatch": (
        lambda: f("concat", (x_("x", 2, 3), x_("y", 2, 4)), axis=0),
        "axis 2 is 3 and 4",
    ),
    "concat of width and size": (
        lambda: f("concat", (x_("x", "n"), x_("y", 4)), axis=0),
        "axis 1 is n and 4",
    ),
    "flatten two widths": (lambda: f("flatten", w_("W", "n", "n")), "two width axes"),
    "window too large": (lambda: f("patches", x_("x", 3, 1), window=(4,)), "does not fit"),
    "window of zero": (lambda: f("patches", x_("x", 3, 1), window=(0,)), "positive"),
    "window over a width": (lambda: f("avg_pool", x_("x", "n", 3), window=(2,)), "is a width"),
    "too many windows": (
        lambda: f("patches", x_("x", 3, 1), window=(2, 2)),
        "1 axes to cut, but 2 numbers",
    ),
    "kernel axes": (lambda: f("conv2d", w_("K", 3, "n", 2), x_("x", 4, 4, 2)), "takes a kernel"),
    "kernel channels": (
        lambda: f("conv1d", w_("K", 3, "n", 2), x_("x", 4, 3)),
        "reads 2 channels",
    ),
    "einsum without arrow": (lambda: f("einsum", "a b", (x_("x", 2, 3),)), "->"),
    "einsum count": (lambda: f("einsum", "a, b -> a", (x_("x", 2),)), "2 values, but 1"),
    "einsum axes": (lambda: f("einsum", "ab -> ab", (x_("x", 2, 3),)), "names 1 axes"),
    "einsum sizes": (
        lambda: f("einsum", "a, a -> a", (x_("x", 2), x_("y", 3))),
        "axis a is 2 and 3",
    ),
    "einsum result": (lambda: f("einsum", "a -> b", (x_("x", 2),)), "in no operand"),
    "einsum diagonal": (lambda: f("einsum", "a a -> a", (x_("x", 2, 2),)), "twice"),
    "einsum symbols": (lambda: f("einsum", "a* -> a", (x_("x", 2),)), "no name of an axis"),
    "dot of different": (lambda: f("dot", x_("x", 2), x_("y", 3)), "equal axes"),
    "layer_norm of a scalar": (lambda: f("layer_norm", x_("x")), "scalar"),
    "batch_norm of a constant": (lambda: f("batch_norm", w_("w", 3)), "same for all"),
    "batch_norm over a width": (lambda: f("batch_norm", x_("x", "n"), axis=(0,)), "is a width"),
    "dropout rate": (lambda: f("dropout", x_("x", 2), rate=Constant.of(1)), "rate of 1"),
    "mse axes": (lambda: f("mse", x_("f", 2), x_("y", 3)), "equal axes"),
    "cross_entropy classes": (
        lambda: f("cross_entropy", x_("f", 4), x_("y", below=5)),
        "logits",
    ),
    "cross_entropy of a scalar": (lambda: f("cross_entropy", x_("f"), x_("y")), "scalar"),
    "logistic axes": (lambda: f("logistic", x_("f", 2), x_("y")), "equal axes"),
    "one_hot of reals": (lambda: f("one_hot", x_("x", 2)), "takes integers"),
    "resize to nothing": (lambda: f("resize", x_("x", 2, 1), to=(0,)), "below one"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_with_a_clear_message(name: str) -> None:
    build, message = BAD[name]
    with pytest.raises(OpTypeError, match=message):
        build()
