"""Names: what stands for what."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0201",
        "a name that is not defined",
        "A name is a local variable, an argument, a declaration of the program, or one of the "
        "language's functions and activations. Names are case-sensitive.",
        "def f(x) = V @ tahn(U @ x)",
        "def f(x) = V @ tanh(U @ x)",
    ),
    Code(
        "E0202",
        "declared twice",
        "A name stands for one thing in a program, and a function's arguments have names of their "
        "own. (A variable in a function may be assigned again, and an argument may hide a param.)",
        "param W : [n, n]\nparam W : [n, d]",
        "param W : [n, n]\nparam U : [n, d]",
    ),
    Code(
        "E0203",
        "not one width",
        "A program declares the axis that goes to infinity, once. Other wide axes are multiples of "
        "it, so that they grow together.",
        "width n\nwidth m\nparam W : [m, n]",
        "width n\nparam W : [4*n, n]",
    ),
    Code(
        "E0204",
        "used before it has a value",
        "Sizes and constants may use those declared above them, and variables those assigned "
        "above. Params and functions get their values last: no size is made of them.",
        "size h = 2*d, d = 3",
        "size d = 3, h = 2*d",
    ),
    Code(
        "E0205",
        "the wrong number of arguments",
        "Each argument of a function is given once, by position or by name. Settings of the "
        "language's own functions (`axis`, `window`, `rate`) are always given by name.",
        "z = softmax(s, 2)",
        "z = softmax(s, axis = 2)",
    ),
    Code(
        "E0206",
        "an argument that the function does not have",
        "The name, the word or the kind of this argument is not one that the function takes.",
        "z = mean(h, axes = 1)",
        "z = mean(h, axis = 1)",
    ),
    Code(
        "E0207",
        "a function that calls itself",
        "Functions are expanded where they are called, so none may lead back to itself.",
        "def g(h) = g(tanh(h))",
        "def g(h):\n    for t in 1..3:\n        h = tanh(h)\n    return h",
    ),
    Code(
        "E0210",
        "a call of what is no function",
        "Functions, activations and the language's functions are called. A weight acts by `@`, a "
        "product is written `*`, and an entry is taken with `[ ]`.",
        "z = W(x)",
        "z = W @ x",
    ),
    Code(
        "E0211",
        "a form that may not stand here",
        "Comparisons, `where`, `min`, `max` and `log` of a tensor stand in the formula of an `act` "
        "only, because there the compiler can differentiate them and integrate over Gaussians. "
        "Formulas act on one number: no tensors, no `@`. Tuples and texts are arguments only.",
        "z = where(h > 0, h, 0)",
        "act phi(u) = where(u > 0, u, 0)\n...\nz = phi(h)",
    ),
    Code(
        "E0212",
        "a property that values do not have",
        "A value has one property: its transpose `.T`.",
        "z = W.t @ h",
        "z = W.T @ h",
    ),
    Code(
        "E0213",
        "not an activation, or not its parameters",
        "`act phi = ...` names an activation: a built-in one, with its parameters if it takes "
        "some: `leaky_relu(0.2)`, `relu_power(2)`, `rbf(1)`, `hermite(3)`, `polynomial(0, 1, "
        "1/2)`. Parameters are numbers without a power of the width. A formula has one variable.",
        "act phi = leaky_relu(0.1, 0.2)",
        "act phi = leaky_relu(0.1)",
    ),
    Code(
        "E0214",
        "a function without a value",
        "A block ends with `return`, once and not inside of a loop.",
        "def f(x):\n    z = V @ tanh(U @ x)",
        "def f(x):\n    z = V @ tanh(U @ x)\n    return z",
    ),
    Code(
        "E0215",
        "lines after `return`",
        "Nothing after a `return` is reached.",
        "def f(x):\n    return z\n    z = U @ x",
        "def f(x):\n    z = U @ x\n    return z",
    ),
    Code(
        "E0216",
        "assigning a part of a value",
        "`s[t] = ...` builds a family, whose members are values of their own; the entries of a "
        "tensor cannot be changed. `stack(s)` makes a tensor of a family.",
        "s = U @ x\ns[1] = 0",
        "s[1] = U @ x\ns[2] = tanh(s[1])\nh = stack(s)",
    ),
    Code(
        "E0217",
        "nothing to compute",
        "A program means what its loss consumes, or, without `train:`, its function `f`.",
        "def g(x) = V @ tanh(U @ x)",
        "def f(x) = V @ tanh(U @ x)",
    ),
    Code(
        "E0218",
        "an argument of `f` that is no input",
        "Without `train:`, nothing says what `f` is applied to but the names of its arguments: "
        "they are inputs (or params) of the program.",
        "input x : [3]\ndef f(z) = V @ tanh(U @ z)",
        "input x : [3]\ndef f(x) = V @ tanh(U @ x)",
    ),
)
