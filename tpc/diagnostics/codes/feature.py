"""Feature-learning limits: what has none, and what cannot be evaluated."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0950",
        "a value that diverges with the width",
        "A nonlinearity, a softmax, a loss or an output consumes a value that grows like a "
        "positive power of the width. The program is unstable at these exponents and has no limit; "
        "`tpc classify` says where this starts and why.",
    ),
    Code(
        "E0951",
        "a value that stays random in the limit",
        "The inner product of unrelated vectors is a sum of many small terms of random "
        "sign: by the central limit theorem it is Gaussian, not a number that all wide networks "
        "agree on. The output of a network with a large random readout is an example. "
        "Feature-learning limits are computed where such values vanish: with a smaller initial "
        "readout (maximal update, mean field, `init zero`).",
    ),
    Code(
        "E0952",
        "a program without a rule for its feature-learning limit",
        "An operation, an optimizer or a combination of them is not covered yet. Nothing is "
        "guessed: finite widths (`tpc simulate`) always work.",
    ),
    Code(
        "E0953",
        "a tolerance that is out of reach",
        "The limit is an average over samples, whose error falls like the inverse square root of "
        "their number. The number that would be needed is beyond what is allowed.",
    ),
    Code(
        "E0954",
        "a saved state that does not belong to the run",
        "Long runs keep their state in a file, from which the same run continues after an "
        "interruption with the same result. It belongs to one program, its data and what was asked "
        "of it; the state of another run is neither continued nor overwritten.",
    ),
)
