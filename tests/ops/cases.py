"""A graph for every op and every function of the language."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from graphs import dims, w_, x_

from tpc.exact import Coefficient, Constant
from tpc.ir import Node
from tpc.ops import functions
from tpc.ops.activations import activation
from tpc.ops.add import add
from tpc.ops.apply import apply
from tpc.ops.batch import batch_mean, batch_sum, per_sample
from tpc.ops.contract import contract, matmul
from tpc.ops.fill import fill
from tpc.ops.gather import gather, scatter_add
from tpc.ops.index import index
from tpc.ops.literal import Table, literal
from tpc.ops.multiply import multiply
from tpc.ops.part import part
from tpc.ops.place import place
from tpc.ops.power import divide, power
from tpc.ops.repeat import repeat
from tpc.ops.reshape import reshape
from tpc.ops.scale import scale
from tpc.ops.slice import slice_
from tpc.ops.transpose import swap_last, transpose
from tpc.ops.windows import fold, layout, windows


def f(name: str, *args: object, **kw: object) -> Node:
    """Call a function of the language with positional values and keywords."""
    function = functions()[name]
    named = dict(zip([argument.name for argument in function.arguments], args, strict=False))
    return function.build(**named, **kw)


tanh = activation("tanh")
third = Constant.of(Fraction(1, 3))

OPS: dict[str, Callable[[], Node]] = {
    "add": lambda: add(x_("x", 2, "n"), w_("w", "n")),
    "add of samples": lambda: add(w_("w", 2, 3), x_("x", 3)),
    "multiply": lambda: multiply(x_("x", 2, "n"), w_("w", "n")),
    "multiply with samples": lambda: multiply(w_("w", 3, 2), x_("x", 2)),
    "multiply with itself": lambda: multiply(x_("x", 2), x_("x", 2)),
    "divide": lambda: divide(w_("w", 2, 2), x_("x", 2)),
    "scale": lambda: scale(x_("x", "n"), Coefficient.width(Fraction(-1, 2)) * third),
    "apply": lambda: apply(tanh, x_("x", 2, "n")),
    "power": lambda: power(x_("x", 3), Fraction(3)),
    "root": lambda: power(power(x_("x", 3), Fraction(2)), Fraction(3, 2)),
    "inverse root": lambda: power(power(w_("w", 3), Fraction(2)), Fraction(-1, 2)),
    "fill": lambda: add(x_("x", 2), fill(Coefficient(third), dims(2))),
    "literal": lambda: multiply(x_("x", 2), literal(Table.of((2,), [0.5, -2.0]))),
    "sum": lambda: f("sum", x_("x", 2, "n", 3), axis=(0, 2)),
    "repeat": lambda: repeat(x_("x", 2), ((0, dims("n")[0]), (2, dims(3)[0]))),
    "matmul": lambda: matmul(w_("w", "n", 3), x_("x", 2, 3)),
    "matmul of weights": lambda: matmul(w_("w", "n", 3), w_("v", 2, 3)),
    "matmul of samples": lambda: matmul(x_("a", "n", 3), x_("x", 2, 3)),
    "matmul transposed": lambda: matmul(swap_last(w_("w", "n", 3)), x_("x", 2, "n")),
    "outer product": lambda: contract(x_("a", 2), w_("b", "n"), (0,), (1,), (1, 0)),
    "stacked product": lambda: contract(x_("a", 2, 3), x_("b", 2, 3), (0, 1), (0, 1), (0,)),
    "contraction over samples": lambda: contract(
        x_("a", 2, "n"), x_("b", "n"), (0, 1), (1,), (0,), sum_batch=True
    ),
    "batch_sum": lambda: multiply(batch_sum(x_("x", 2)), x_("x", 2)),
    "batch_sum of a constant": lambda: batch_sum(w_("w", 2)),
    "batch_mean": lambda: multiply(batch_mean(x_("x", 2)), x_("x", 2)),
    "per_sample": lambda: per_sample(x_("x", 2)),
    "transpose": lambda: transpose(x_("x", 2, "n", 3), (2, 0, 1)),
    "index": lambda: index(x_("x", 2, 3, "n"), 1, 2),
    "slice": lambda: slice_(x_("x", 2, 4), 1, 1, 3),
    "place": lambda: place(x_("x", 2, 3), 1, 2, dims(6)[0]),
    "part": lambda: part(x_("x", "3n", 2), 0, dims("n", "2n"), 1),
    "reshape": lambda: reshape(x_("x", 2, 3, "n"), ((1, dims(2)), (2, dims("3n")))),
    "windows": lambda: windows(x_("x", 2, 5), 1, layout(5, 3, 2, 1, "same")),
    "windows wrapped": lambda: windows(x_("x", 5, 2), 0, layout(5, 3, 1, 2, "circular")),
    "fold": lambda: fold(x_("x", 3, 3, 2), 0, layout(5, 3, 2, 1, "same")),
    "gather": lambda: gather(w_("w", 5, "n"), x_("ids", 2, below=5)),
    "gather from samples": lambda: gather(x_("t", 5, 2), x_("ids", 3, below=5)),
    "scatter_add": lambda: scatter_add(x_("x", 3, 2), x_("ids", 3, below=5), dims(5)[0]),
    "scatter_add of a weight": lambda: scatter_add(
        w_("x", 3, 2), x_("ids", 3, below=5), dims(5)[0]
    ),
    "scatter_add over samples": lambda: batch_sum(
        scatter_add(x_("x", 3, 2), x_("ids", 3, below=5), dims(5)[0])
    ),
    "stack then index": lambda: multiply(
        index(f("stack", (x_("x", 2), w_("w", 2))), 1, 0),
        index(f("stack", (x_("x", 2), w_("w", 2))), 0, 1),
    ),
}

FUNCTIONS: dict[str, Callable[[], Node]] = {
    "mean": lambda: f("mean", x_("x", 2, "n"), axis=(1,)),
    "mean of all": lambda: f("mean", x_("x", 2, "n"), axis=None),
    "dot": lambda: f("dot", x_("u", 2, "n"), x_("v", 2, "n")),
    "einsum": lambda: f("einsum", "t n, u n -> u t", (x_("q", 2, "n"), x_("k", 3, "n"))),
    "einsum of one": lambda: f("einsum", "a b c -> c a", (x_("q", 2, 3, "n"),)),
    "einsum of three": lambda: f(
        "einsum", "a b, b c, c -> a", (x_("q", 2, 3), w_("w", 3, "n"), x_("k", "n"))
    ),
    "stack": lambda: f("stack", (x_("x", 2), w_("w", 2), x_("x", 2))),
    "concat": lambda: f("concat", (x_("x", 2, 3), w_("w", 2, 1)), axis=1),
    "concat of widths": lambda: f("concat", (x_("x", "n"), w_("w", "2n")), axis=0),
    "flatten": lambda: f("flatten", x_("x", 2, 3, "n")),
    "softmax": lambda: f("softmax", x_("x", 3), axis=None),
    "softmax of rows": lambda: f("softmax", x_("x", 2, 3, "n"), axis=1),
    "softmax causal": lambda: f("softmax", x_("x", 2, 3, 3), axis=2, mask="causal"),
    "softmax causal, vectors": lambda: f("softmax", x_("x", 3, 3, "n"), axis=1, mask="causal"),
    "logsumexp": lambda: f("logsumexp", x_("x", 2, 3), axis=1),
    "log_softmax": lambda: f("log_softmax", x_("x", 3, 2), axis=0),
    "layer_norm": lambda: f("layer_norm", x_("x", 2, "n")),
    "layer_norm of two": lambda: f("layer_norm", x_("x", 2, 3, 2), axis=(0, 2), eps=third),
    "rms_norm": lambda: f("rms_norm", x_("x", 2, 3), axis=(0,)),
    "batch_norm": lambda: f("batch_norm", x_("x", 2)),
    "batch_norm of an axis": lambda: f("batch_norm", x_("x", 3, "n"), axis=(0,), eps=third),
    "patches": lambda: f("patches", x_("x", 4, 3, 2), window=(2,), padding="same"),
    "conv1d": lambda: f("conv1d", w_("K", 3, "n", 2), x_("x", 5, 2), padding="same", stride=(2,)),
    "conv2d": lambda: f("conv2d", w_("K", 2, 3, "n", 2), x_("x", 3, 4, 2), padding="circular"),
    "conv2d dilated": lambda: f("conv2d", w_("K", 2, 2, 1, 1), x_("x", 4, 4, 1), dilation=(2, 1)),
    "conv2d_transpose": lambda: f(
        "conv2d_transpose", w_("K", 3, 3, 2, 1), x_("x", 2, 2, 1), stride=(2,), padding="same"
    ),
    "avg_pool": lambda: f("avg_pool", x_("x", 3, 5, 2), window=(2,), padding="same"),
    "sum_pool": lambda: f("sum_pool", x_("x", 4, 2), window=(3,), stride=(1,)),
    "resize": lambda: f("resize", x_("x", 3, 2, 1), to=(5, 3)),
    "dropout": lambda: f("dropout", x_("x", 4), rate=third, site=1),
    "mse": lambda: f("mse", x_("f", 2), x_("y", 2)),
    "squared_error": lambda: f("squared_error", x_("f", 2), x_("y", 2)),
    "cross_entropy": lambda: f("cross_entropy", x_("f", 2, 3), x_("y", 2, 3)),
    "cross_entropy of classes": lambda: f("cross_entropy", x_("f", 2, 3), x_("y", 2, below=3)),
    "logistic": lambda: f("logistic", x_("f", 2), x_("y", 2)),
    "sum of all": lambda: f("sum", x_("x", 2, "n"), axis=None),
    "one_hot": lambda: multiply(f("one_hot", x_("y", 2, below=3)), x_("x", 3)),
}

CASES = OPS | FUNCTIONS
