"""Solving for the maximal update."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0940",
        "no point of maximal update",
        "Every weight is given the largest initial values and updates that keep its own output at "
        "order one. Here something blows up all the same, because the program multiplies values "
        "of order one into one that grows with the width: attention scores over the width that "
        "are divided by its root are of order one at initialisation, but of size n^(1/2) once "
        "training has aligned queries and keys. The power of the width has to change there; no "
        "parametrization of the weights can stand in for it.",
        's = einsum("t n, u n -> t u", Q @ h, K @ h) * n^(-1/2)',
        's = einsum("t n, u n -> t u", Q @ h, K @ h) * n^-1',
    ),
    Code(
        "E0941",
        "a weight that is not maximally updated",
        "At the point that was found this weight's update moves its own output by less than order "
        "one (or by more), and its exponents are stated, so that they were not changed. Or it "
        "never gets a gradient at all: everything that multiplies it on the way to the loss is "
        "zero and stays so.",
    ),
    Code(
        "E0942",
        "a function that sees a constant at initialisation",
        "A readout of few numbers, such as the bottleneck of an autoencoder, has to begin at "
        "n^(-1/2) for its changes to be of order one. What is made of those numbers vanishes at "
        "initialisation, and functions of it see a constant, until training has moved them.",
        "z = A @ h\nh2 = relu(B @ z)",
        "z = A @ h\nh2 = relu(B @ z + bias)",
    ),
    Code(
        "E0943",
        "a gauge that a weight cannot have",
        "A gauge moves powers of the width between the multiplier of a weight, its initial size "
        "and its learning rate. A weight that is both embedding and readout has one multiplier for "
        "both: only the gauge of table 8 with the readout's n^-1 written in the program has room "
        "for it. Exponents that the program states are not moved, and where steps are relative to "
        "the weight no gauge changes its rate.",
    ),
    Code(
        "E0944",
        "exponents that do not settle",
        "The exponents of maximal update are found by measuring and mending, until nothing is left "
        "to mend. Here that went round in circles: the sizes of some weights depend on each other "
        "so that no choice puts all of them at order one.",
    ),
)
