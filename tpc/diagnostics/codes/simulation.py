"""Training and finite-width execution: what cannot be run."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0920",
        "an optimizer that cannot train a weight",
        "Some optimizers work on weights of certain shapes only: muon replaces the singular values "
        "of a matrix by one, so a bias needs another optimizer line.",
    ),
    Code(
        "E0921",
        "an epsilon that is not solved for yet",
        "`eps = faithful` stands for the power of the width at which epsilon keeps the size of the "
        "gradients. It follows from the parametrization and has to be solved for before anything "
        "is trained at a finite width.",
    ),
    Code(
        "E0922",
        "an array of the wrong shape",
        "Arrays have the samples on the first axis, then the axes that the program declares: input "
        "`x : [T, d]` is an array (N, T, d). All arrays of a data set have the same N.",
    ),
    Code(
        "E0923",
        "an array of the wrong kind",
        "Inputs are real numbers (or integers, which become real); integer inputs are whole "
        "numbers. Text, objects, complex numbers and dates are not data.",
    ),
    Code(
        "E0924",
        "an array with values that are not allowed",
        "Entries must be finite. The entries of an integer input `ids : [T] in v` run from 1 to v.",
    ),
    Code(
        "E0925",
        "a width at which the program does not exist",
        "A width is a positive whole number, and every axis like `n/2` must have a whole number of "
        "positions.",
    ),
    Code(
        "E0926",
        "a run that does not fit",
        "The arrays of the run would need more memory than there is. Take a smaller width, smaller "
        "batches, or fewer test points.",
    ),
    Code(
        "E0927",
        "a run that is not defined",
        "Training needs a `train:` block, batches need sample numbers that exist, exponents need "
        "values, and what is recorded needs a name that the program has.",
    ),
    Code(
        "E0928",
        "a setting of the optimizer that is not carried out here",
        "`schedule = linear` and `decay_on = touched` are carried out at finite width and by the "
        "compiled steps of programs that look words up (`program.online()`). The other limits and "
        "exports would silently train another way, so they refuse.",
    ),
    Code(
        "E0929",
        "a program without a compiled online step",
        "A compiled online step trains on one sample at a time and writes only the rows that the "
        "sample looks up. Every weight that moves must be a table `[words, n]` that is only looked "
        "up by integer inputs, vectors may only be combined linearly, and the optimizer must be "
        "gradient descent without a bound on the norm.",
    ),
    Code(
        "E0938",
        "a program that few-shot rows do not follow",
        "In the kernel regime first-order MAML is carried out on rows of a kernel, with the "
        "cross-entropy of the output and with steps whose sizes the session is given. A network "
        "whose program has another loss, another optimizer than plain gradient descent, or a "
        "learning rate of its own other than one would be trained in another way than it says.",
    ),
)
