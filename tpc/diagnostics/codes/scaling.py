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
    Code(
        "E0934",
        "an exponent that the program does not have",
        "A slice of a phase diagram is drawn along two of the exponents that the program declares "
        "and leaves open. The others get values by name, each once, or come from a named "
        "parametrization that the program's exponents can express.",
    ),
    Code(
        "E0935",
        "a slice that is not a plane",
        "A picture shows two exponents; all others must have values. They come from --at, from the "
        "equalities of stability, or from a named parametrization (--through).",
    ),
    Code(
        "E0936",
        "no exponents to choose",
        "A phase diagram shows what a family of programs does. Its members differ in the values "
        "of exponents, which the program declares with `exponent a, b, c` and uses in abc(..), in "
        "learning rates or in powers of the width.",
    ),
    Code(
        "E0937",
        "an alignment that cannot be assumed",
        "How large a sum over the width becomes depends on how far a weight and what it reads are "
        "aligned: n^1/2 times its terms where they are not at all, n times where they are fully. "
        "An assumption names weights, families or roles, and an exponent from 1/2 to 1.",
    ),
)
