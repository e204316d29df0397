"""Constants, limits on unrolling, and values given from outside."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0701",
        "a constant with the width in a sum",
        "Constants are exact numbers times a power of the width, `0.1 * n^(-1/2)`. A sum of "
        "different powers has no exponent of its own; in the limit only the largest would count.",
        "z = (n + 1)^-1 * h",
        "z = n^-1 * h",
    ),
    Code(
        "E0702",
        "a constant without a value",
        "Division by zero, a root or logarithm of a negative number, or a number of absurdly many "
        "digits: constants are kept exactly.",
        "real eta = sqrt(-1)",
        "real eta = sqrt(2)",
    ),
    Code(
        "E0703",
        "a program that expands too far",
        "Loops are unrolled and functions expanded where they are called, so what they make up "
        "together must be finite and of reasonable size: a range has at most 100,000 values, a "
        "family 10,000 params, and the whole program 500,000 operations. A range cannot run to the "
        "width, which is infinite.",
        "for t in 1..n:",
        "for t in 1..T:",
    ),
    Code(
        "E0704",
        "an exponent as a value",
        "A declared `exponent` is an unknown of the family of programs. It occurs in `abc(...)` "
        "and in powers of the width, added to others and multiplied by rational numbers.",
        "exponent a\nz = a * h",
        "exponent a\nz = n^a * h",
    ),
    Code(
        "E0705",
        "another kind of number is needed",
        "Indices, axes and ends of ranges are integers; settings are numbers without a power of "
        "the width, or with one where that is said.",
        "z = x[1/2]",
        "z = x[1]",
    ),
    Code(
        "E0706",
        "a value from outside that does not fit",
        "`--set name=value` and `program.with_(name = value)` change sizes, constants, exponents, "
        "named activations and the parametrization: `d=10`, `eta=1/2`, `phi=tanh`, "
        "`parametrization=ntk`.",
    ),
)
