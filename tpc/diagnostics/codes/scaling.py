"""Classification: what has no width exponent."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0930",
        "exponents without values",
        "A program with `exponent` declarations is a family of programs. Its class depends on "
        "their values; without them only its region of stability can be given.",
    ),
    Code(
        "E0931",
        "no rule for width exponents",
        "Classifying follows sizes and signs through every operation. Some operations, such as a "
        "product of two weight matrices by themselves, take the program out of what the rules "
        "describe. Nothing is guessed: the program can be simulated instead.",
    ),
    Code(
        "E0932",
        "sizes that do not settle",
        "Training steps are followed until the exponents repeat. Here something grows from step to "
        "step without anything consuming it, so that they never do.",
    ),
    Code(
        "E0933",
        "a region in too many parts",
        "Where several terms may be the largest, the region of stability is cut into parts in "
        "which one of them is. Here there are more parts than are followed: give some exponents "
        "values.",
    ),
)
