"""Shapes: axes, their sizes, and widths."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0301",
        "a contraction of axes that differ",
        "`W @ x` contracts the last axis of W with the last axis of x. A weight is declared with "
        "its output first: `[n, d]` maps d numbers to the width. `W.T` exchanges the last two "
        "axes, and `einsum` contracts any others.",
        "param U : [d, n]\nz = U @ x       # x : [d]",
        "param U : [n, d]\nz = U @ x",
    ),
    Code(
        "E0302",
        "elementwise operations on axes that differ",
        "Axes are matched from the last one. A missing axis is repeated, but an axis of size 1 is "
        "never stretched, since that is more often a mistake than meant. Scalars combine with "
        "anything.",
        "z = W @ h + x       # [n] and [d]",
        "z = W @ h + U @ x",
    ),
    Code(
        "E0303",
        "arguments that do not fit",
        "The function takes values of other axes, or of other entries, than these. The message is "
        "the function's own; the language reference lists every function.",
        "loss = mse(f(x), y)       # [2] and [3]",
        "target y : [2]",
    ),
    Code(
        "E0304",
        "an index out of range",
        "Positions and axes count from 1, and ranges include both ends: `x[1..3]` has three "
        "entries. There is no position 0, and no counting from the end.",
        "z = x[0]",
        "z = x[1]",
    ),
    Code(
        "E0305",
        "a width where a finite axis must be",
        "The coordinates of a width are exchangeable and go to infinity: none of them can be "
        "named, and no data have them. A width is reduced by `@`, `mean` or `dot`.",
        "z = h[1]       # h : [n]",
        "z = mean(h, axis = 1)",
    ),
    Code(
        "E0306",
        "not an axis",
        "An axis is a size, a positive integer, or a positive rational multiple of the width: `d`, "
        "`n`, `4*n`, `n/2`. All wide axes are proportional.",
        "param W : [n, n^2]",
        "param W : [n, 4*n]",
    ),
    Code(
        "E0307",
        "an axis that is too large",
        "Finite axes are carried through every kernel of the limit, so they have at most 10^9 "
        "positions, and a tensor has at most 10^9 entries besides its widths. What is meant to "
        "grow is the width.",
        "size d = 10^12",
        "size d = 784",
    ),
    Code(
        "E0308",
        "an exponent that is not rational",
        "A tensor is raised to rational powers only; other powers are written with `exp` and `log` "
        "in the formula of an activation.",
        "z = h^sqrt(2)",
        "act phi(u) = exp(sqrt(2) * log(1 + u^2))",
    ),
    Code(
        "E0309",
        "an axis below 1",
        "Axes count from 1, the first. There is no counting from the end: in a program the number "
        "of axes is known where it is written.",
        "z = softmax(s, axis = -1)",
        "z = softmax(s, axis = 2)",
    ),
    Code(
        "E0310",
        "a tensor is needed",
        "An operation was given what is no tensor: a family without an index, a function that is "
        "not applied, a word.",
        "z = W @ h       # param W[1..3] : [n, n]",
        "z = W[1] @ h",
    ),
    Code(
        "E0311",
        "a param with more than two width axes",
        "Vectors have random variables as limits, and matrices the laws of random matrices. There "
        "is no such theory here for tensors with three growing axes.",
        "param W : [n, n, n]",
        "param W[1..3] : [n, n]",
    ),
)
