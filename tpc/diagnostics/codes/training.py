"""Training: the loss, gradients inside of a program, optimizers."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0601",
        "two training blocks",
        "A program has at most one `train:` block. Several losses are added up in one, and several "
        "optimizers are lines of one.",
        "train:\n    loss = mse(f(x), y)\n    ...\ntrain:\n    loss = mse(g(x), y)\n    ...",
        "train:\n    loss = mse(f(x), y) + mse(g(x), y)\n    ...",
    ),
    Code(
        "E0602",
        "no loss",
        "The block assigns `loss`: any scalar expression. It is averaged over the batch.",
        "train:\n    optimizer sgd(lr = 0.1)",
        "train:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 0.1)",
    ),
    Code(
        "E0603",
        "a loss that is not a scalar",
        "The loss of one sample has no axes. Reduce it by one of the losses (`mse`, "
        "`cross_entropy`, `logistic`, `squared_error`), by `mean` or by `sum`.",
        "loss = (f(x) - y)^2",
        "loss = mean((f(x) - y)^2)",
    ),
    Code(
        "E0604",
        "no optimizer",
        "The update rule is part of the program: what a network becomes depends on it.",
        "train:\n    loss = mse(f(x), y)",
        "train:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 0.1)",
    ),
    Code(
        "E0605",
        "a loss that moves nothing",
        "The loss depends on no param, or on frozen ones only: training would change nothing.",
        "loss = mse(y, y)",
        "loss = mse(f(x), y)",
    ),
    Code(
        "E0606",
        "a gradient by what is no param",
        "`grad(loss, W)` is the gradient by a param, or by what earlier inner steps made of one. "
        "It carries that weight's own width scaling of the learning rate, which other values have "
        "not.",
        "g = grad(loss_s, x)",
        "Wa = W - 0.1 * grad(loss_s, W)",
    ),
    Code(
        "E0607",
        "a gradient of what is no scalar",
        "`grad(loss, W)` is the gradient of a scalar: the first argument has no axes.",
        "g = grad(f(x), W)",
        "g = grad(mse(f(x), y), W)",
    ),
    Code(
        "E0608",
        "no such optimizer",
        "The language reference lists the optimizers and their settings.",
        "optimizer adamm(lr = 0.001)",
        "optimizer adam(lr = 0.001)",
    ),
    Code(
        "E0609",
        "a setting that the optimizer does not take",
        "Settings are given by name, each once; `lr` is needed by every optimizer.",
        "optimizer sgd(0.1)",
        "optimizer sgd(lr = 0.1)",
    ),
    Code(
        "E0610",
        "an optimizer for what is no param",
        "After `for` stand params of the program: a weight, a family, or a member of one.",
        "optimizer muon(lr = 0.02) for f",
        "optimizer muon(lr = 0.02) for W",
    ),
    Code(
        "E0611",
        "two optimizers for one param",
        "Each param is moved by one optimizer: the line that names it, or the one line without "
        "`for`, which takes the rest.",
        "optimizer adam(lr = 0.001)\noptimizer sgd(lr = 0.1)",
        "optimizer adam(lr = 0.001) for W\noptimizer sgd(lr = 0.1)",
    ),
    Code(
        "E0612",
        "a param that no optimizer moves",
        "Every optimizer line names its params, and this one is not among them. A param that is "
        "not meant to move is `frozen`.",
        "optimizer muon(lr = 0.02) for W",
        "optimizer muon(lr = 0.02) for W\noptimizer adam(lr = 0.001)",
    ),
    Code(
        "E0613",
        "an optimizer that cannot move this param",
        "Some update rules are made for weights of a certain form: muon orthogonalises matrices.",
        "param b : [n]\n...\noptimizer muon(lr = 0.02)",
        "optimizer muon(lr = 0.02) for W\noptimizer adam(lr = 0.001)",
    ),
)
