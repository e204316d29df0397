"""Kernel limits: what has none, and what is not supported yet."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0960",
        "no such kind of limit",
        "Kernel limits are `nngp`, the covariance of the outputs at initialisation, and `ntk`, the "
        "tangent kernel that governs training in the kernel regime.",
    ),
    Code(
        "E0961",
        "samples that do not fit the inputs of a program",
        "A kernel is evaluated on arrays of shape (N, *input shape), one per input, without NaN or "
        "infinity; several inputs are given as a mapping from their names. Samples of different "
        "lengths are given as a list: each is taken by the program at its own size, no larger than "
        "the one that the program states, under the same weights. The output must not have the "
        "length as an axis, and the scales of the weights must not hang on it.",
    ),
    Code(
        "E0962",
        "an expectation that misses its tolerance",
        "Expectations without a closed form are Hermite series with a measured tail. For "
        "nonlinearities with kinks the series is slow where two inputs are nearly collinear; the "
        "error is then reported instead of a wrong number.",
    ),
    Code(
        "E0963",
        "a program without this kernel limit",
        "The kernel diverges, an exponent has no value, scalars that stay random (sums over the "
        "width divided by its root) have a mean, or share weights with each other or with the "
        "output, so that no law of them is known, or the derivation needs "
        "correlations that are not supported: what a weight owes to its transpose through random "
        "scores, or through rows that are looked up in a large table.",
    ),
    Code(
        "E0964",
        "an op without a rule for kernel limits",
        "Every op states what its entries are in the limit. This one does not, for the values it "
        "is applied to here. Classification and finite-width simulation have rules of their own.",
    ),
    Code(
        "E0965",
        "a learning rate that diverges",
        "In the kernel regime gradient descent multiplies the error along every eigenvector of the "
        "kernel by 1 - rate * eigenvalue; beyond 2 / (largest eigenvalue) that grows.",
    ),
    Code(
        "E0966",
        "kernels and targets that do not fit",
        "Predictions take the kernel of the N training samples (N, N), its rows for the test "
        "samples (M, N) and targets (N, k), without NaN or infinity.",
    ),
    Code(
        "E0967",
        "no training under a fixed kernel",
        "In the kernel regime the outputs move by the tangent kernel times the derivative of the "
        "loss. That describes gradient descent, with momentum or without, at one learning rate for "
        "each weight, on a loss that is a function of the output. Other optimizers (adam, sign), "
        "weight decay and bounds on gradients change the initial weights or the kernel itself.",
    ),
    Code(
        "E0968",
        "a kernel whose linear system is not solved",
        "Conjugate gradients stop where the residual |(K + ridge I) x - y| / |y| is below the "
        "tolerance, or does not fall any more: the system is then too badly conditioned for their "
        "accuracy, and no number is reported. A ridge improves the condition.",
    ),
    Code(
        "E0969",
        "gradient flow that is not integrated",
        "Gradient flow under a program's own loss is a differential equation, solved with a bound "
        "on the error of every step, up to finite times. Losses without curvature bounds can make "
        "it leave the range of numbers.",
    ),
    Code(
        "E0979",
        "a kernel that has no stand-alone module",
        "Kernels with closed forms and Hermite series, and expectations over several correlated "
        "Gaussians by grids and lattices, are compiled to a module of their own. Kernels that are "
        "averages over random numbers or over sampled neurons are evaluated by tpc.",
    ),
    Code(
        "E0970",
        "an unfinished kernel of something else",
        "A kernel is written to NAME.part, band by band, with what it belongs to beside it; a "
        "killed run is taken up with --resume. Its program, data, type of numbers and tolerance "
        "must be the same: bands of two kernels do not make one.",
    ),
    Code(
        "E0981",
        "two batches of samples that depend on each other",
        "Batch norm over the samples of the data makes every output a function of the whole batch. "
        "The kernel is that of the samples that are given together, and there is none between two "
        "such sets: evaluate their union as one batch and take a part of the result.",
    ),
    Code(
        "E0982",
        "a normalisation of so few values that its derivative has no mean square",
        "The tangent kernel of batch norm needs the mean of 1/s^2, where s^2 is the variance of a "
        "batch. It is infinite where that has two degrees of freedom or less, and averages over "
        "random networks never settle where it has four or less, since 1/s^4 has no mean. A "
        "constant under the root (eps) bounds both.",
    ),
    Code(
        "E0983",
        "too many numbers that stay random together",
        "Attention scores over the root of the width, bottlenecks and learned scalars stay random "
        "at infinite width. Kernels are averages over their joint law for all samples that are "
        "evaluated together, whose covariance is factored: it has a row for every such number of "
        "every sample.",
    ),
)
