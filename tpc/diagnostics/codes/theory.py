"""Theory: programs that are well formed, but have no infinite-width limit."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0501",
        "an activation that grows too fast",
        "In the limit a preactivation is Gaussian, and the theory needs the second moment of the "
        "activation under every Gaussian. It is infinite where the activation grows like exp(z^2) "
        "or faster: for a large enough variance the integral diverges, and at finite width single "
        "coordinates dominate. The master theorem asks for polynomial growth; `exp(z)` is still "
        "fine.",
        "act phi(z) = exp(z^2)",
        "act phi(z) = exp(-z^2)",
    ),
    Code(
        "E0502",
        "an activation that is undefined somewhere",
        "A preactivation takes every real value with positive probability. A logarithm or a root "
        "of what may be negative, or a division by what may be zero, has no value there, or no "
        "finite second moment.",
        "act phi(z) = log(z)",
        "act phi(z) = log(1 + z^2)",
    ),
    Code(
        "E0503",
        "a formula without a value",
        "A constant part of the formula is no real number, or the formula is nested too deeply.",
        "act phi(z) = z / (2 - 2)",
        "act phi(z) = z / 2",
    ),
)
