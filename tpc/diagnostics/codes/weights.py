"""Weights: families, exponents, initialisation."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0401",
        "no such member of a family",
        "A family `W[2..L]` has the members that its ranges say, each a weight of its own, and is "
        "indexed by one integer for each range. A family of values has the members that were "
        "assigned.",
        "param W[2..3] : [n, n]\nz = W[1] @ h",
        "param W[1..3] : [n, n]\nz = W[1] @ h",
    ),
    Code(
        "E0402",
        "an exponent that is not rational",
        "Exponents of the width are rational numbers, or affine forms in declared exponents: the "
        "region of stable training is then a polyhedron with rational vertices.",
        "param W : [n, n] abc(0, sqrt(2)/2, 0)",
        "param W : [n, n] abc(0, 1/2, 0)",
    ),
    Code(
        "E0403",
        "not three exponents",
        "`abc(a, b, c)`: the network uses `W = n^-a w`, the trainable w begins with standard "
        "deviation `n^-b` (times `init`'s), and its learning rate is the optimizer's times `n^-c`.",
        "param W : [n, n] abc(0, 1/2)",
        "param W : [n, n] abc(0, 1/2, 0)",
    ),
    Code(
        "E0404",
        "exponents mixed with powers of n",
        "How a weight scales is said in one way: by `abc(a, b, c)`, or by powers of n in `init`, "
        "`mult` and `lr`. Mixed, nobody can tell whether `n^-1` replaces `a` or comes on top.",
        "param W : [n, n] abc(0, 1/2, 0) mult n^-1",
        "param W : [n, n] abc(1, 1/2, 0)",
    ),
    Code(
        "E0405",
        "a number that must be positive",
        "Standard deviations, gains and learning rates are positive, multipliers are not zero. A "
        "weight that begins at zero is `init zero`, one that never moves is `frozen`.",
        "param V : [1, n] init normal(0)",
        "param V : [1, n] init zero",
    ),
    Code(
        "E0406",
        "modifiers that contradict each other",
        "Each modifier stands once, and a frozen param has no learning rate.",
        "param W : [n, n] frozen lr 0.1",
        "param W : [n, n] frozen",
    ),
    Code(
        "E0407",
        "no such initialisation",
        "`init normal(s)` draws w with standard deviation s; `init fan_in(g)` takes `sqrt(g / F)`, "
        "F the product of the finite sizes of the contracted axes; `init zero` and `init one` "
        "speak of the weight itself.",
        "param W : [n, n] init he",
        "param W : [n, n] init fan_in(2)",
    ),
    Code(
        "E0408",
        "no such parametrization",
        "Named parametrizations are `standard`, `ntk`, `mean_field` and `mup`.",
        "parametrization mupp",
        "parametrization mup",
    ),
    Code(
        "E0409",
        "a param without a scaling",
        "What a network becomes as its width grows depends on how each weight is scaled. Name a "
        "parametrization for the whole program, which fills in what params leave out, or say it "
        "for this param, by exponents or by constants and powers of n.",
        "param W : [n, n]",
        "param W : [n, n] abc(0, 1/2, 0)",
    ),
    Code(
        "E0410",
        "a param that is never used",
        "The weight takes no part in what the program computes. This is a warning: results are "
        "those of the program without it.",
        "param Q : [n, n]\ndef f(x) = V @ tanh(U @ x)",
        "def f(x) = V @ tanh(U @ x)",
    ),
    Code(
        "E0411",
        "a bias that begins at random",
        "A param without `init` is drawn from N(0, 1), whatever it is used for. That is what the "
        "theory's papers do with biases, and not what most libraries do.",
        "param b : [n]",
        "param b : [n] init zero",
    ),
)
