"""Syntax: text that is no program."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0101",
        "something else was expected",
        "The line reads as the beginning of a statement, but cannot go on like this. The message "
        "says what may stand at the marked place. Each line is read on its own, so other lines are "
        "checked too.",
        "x = V tanh(h)",
        "x = V @ tanh(h)",
    ),
    Code(
        "E0102",
        "a character without a meaning",
        "Outside of comments and texts a program has names, numbers, brackets and the operators "
        "`+ - * / ^ @ = < > <= >= .. . , :`. Letters of any alphabet may stand in names. Text that "
        "was copied from a document often has dashes, quotation marks or spaces that only look "
        "like the ASCII ones.",
        "z = einsum('a b, b -> a', W, x)",
        'z = einsum("a b, b -> a", W, x)',
    ),
    Code(
        "E0103",
        "a bracket that is never closed",
        "A line goes on while a bracket is open. Where one is never closed, the statement is taken "
        "to end where the next one begins, so that the rest of the program is still checked.",
        "z = tanh(W @ x\nreturn V @ z",
        "z = tanh(W @ x)\nreturn V @ z",
    ),
    Code(
        "E0104",
        "a closing bracket that closes nothing",
        "Every `)` closes a `(` and every `]` a `[`, the last opened one first.",
        "z = tanh(W @ x))",
        "z = tanh(W @ x)",
    ),
    Code(
        "E0105",
        "tabs",
        "Blocks are made by indentation with spaces only: how wide a tab is depends on the editor. "
        "`tpc fmt` indents by four spaces.",
        "def f(x):\n\treturn V @ x",
        "def f(x):\n    return V @ x",
    ),
    Code(
        "E0106",
        "a header without a block",
        "`def f(x):`, `for t in 1..T:` and `train:` open a block: the lines below them that are "
        "indented further.",
        "def f(x):\nreturn V @ x",
        "def f(x):\n    return V @ x",
    ),
    Code(
        "E0107",
        "an indented line that belongs to nothing",
        "Only the lines of a block are indented further than the line before, and a block follows "
        "a line that ends in `:`. A long statement goes on in the next line inside brackets.",
        "z = tanh(W @ x)\n    z = tanh(W @ z)",
        "z = tanh(W @ x)\nz = tanh(W @ z)",
    ),
    Code(
        "E0108",
        "indentation between two blocks",
        "A line that leaves a block is indented exactly like the block that it returns to.",
        "def f(x):\n    for t in 1..3:\n        z = z + x[t]\n      return z",
        "def f(x):\n    for t in 1..3:\n        z = z + x[t]\n    return z",
    ),
    Code(
        "E0109",
        "not yet in the language",
        "`block` (functions with params of their own), `constant` and `import` are kept for later "
        "versions. What they will say can be written out today.",
        "block B[1..3](h):\n    h = tanh(A @ h)",
        "param A[1..3] : [n, n]\ndef block(h, A) = tanh(A @ h)",
    ),
    Code(
        "E0110",
        "an empty program",
        "A program declares a width and has a function `f` or a `train:` block. The file has "
        "neither; it may have been saved before it was written, or be another file.",
        "# nothing yet",
        "width n\ninput x : [3]\nparam U : [n, 3] init normal(1)\n"
        "param V : [1, n] init normal(n^(-1/2))\ndef f(x) = V @ tanh(U @ x)",
    ),
    Code(
        "E0111",
        "not UTF-8",
        "Programs are text in UTF-8 (ASCII is UTF-8). The file has bytes that are not: it was "
        "saved in another encoding, or is no text.",
    ),
    Code(
        "E0112",
        "a NUL character",
        "A text has no NUL characters: this is a binary file, or text in UTF-16.",
    ),
    Code(
        "E0113",
        "nested too deeply",
        "Expressions, and calls of functions that call functions, may be nested up to a fixed "
        "depth. Nobody reads what goes beyond; it is written by a program, which can name "
        "intermediate values as well. Sums and products of any length are no nesting.",
        "z = tanh(tanh(tanh(... 200 of them ...)))",
        "for t in 1..200:\n    z = tanh(z)",
    ),
    Code(
        "E0114",
        "a program that is too long",
        "Programs of more than four million characters are not read. Families of params and loops "
        "say in one line what repeats.",
    ),
    Code(
        "E0115",
        "a statement in the wrong place",
        "Declarations, functions and `train:` stand at the top of a program, not indented. "
        "Assignments and loops stand in functions and in `train:`, `return` in functions only, "
        "`optimizer` in `train:` only. A `noise` may be declared at the top or in `train:`.",
        "train:\n    return mse(f(x), y)",
        "train:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 0.1)",
    ),
    Code(
        "E0116",
        "a text that is never closed",
        "A text in double quotes ends on the line where it begins.",
        'z = einsum("a b, b -> a, W, x)',
        'z = einsum("a b, b -> a", W, x)',
    ),
    Code(
        "E0117",
        "another language",
        "This is understood, but written differently here: powers are `^`, ranges `1..3` include "
        "both ends, conditions are `where(z > 0, a, b)` in the formula of an activation, and there "
        "are neither `if` nor `while`: what a program computes does not depend on its data.",
        "z = x[0:3] ** 2",
        "z = x[1..3]^2",
    ),
    Code(
        "E0118",
        "a number out of range",
        "Numbers are kept exactly, so they have at most 400 digits and lie between 1e-300 and "
        "1e300.",
        "real eta = 1e999999",
        "real eta = 1e-3",
    ),
    Code(
        "E0119",
        "many errors",
        "Only the first errors are shown; the others may come from the same cause.",
    ),
)
