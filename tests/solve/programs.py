"""Programs whose maximal update is known, or known not to exist."""

from __future__ import annotations

HEAD = """\
width n
size d = 10, k = 3, r = 2
parametrization mup
input x : [d]
target y : [k]
"""


def program(body: str, optimizer: str = "sgd", loss: str = "cross_entropy(f(x), y)") -> str:
    return f"{HEAD}{body}\ntrain:\n    loss = {loss}\n    optimizer {optimizer}(lr = 0.1)\n"


def perceptron(optimizer: str = "sgd", depth: int = 3) -> str:
    return program(
        "param U : [n, d]\n"
        "param u : [n] init zero\n"
        f"param W[2..{depth}] : [n, n]\n"
        "param V : [k, n]\n"
        "def f(x):\n"
        "    z = relu(U @ x + u)\n"
        f"    for l in 2..{depth}:\n"
        "        z = relu(W[l] @ z)\n"
        "    return V @ z\n",
        optimizer,
    )


BODIES = {
    "zero branch": """
param U : [n, d]
param A : [n, n]
param B : [n, n] init zero
param V : [k, n]
def f(x):
    h = U @ x
    h = h + B @ relu(A @ h)
    return V @ relu(h)
""",
    "zero readout": """
param U : [n, d]
param W : [n, n]
param V : [k, n] init zero
def f(x) = V @ relu(W @ relu(U @ x))
""",
    "router": """
param U : [n, d]
param G : [r, n]
param A1, A2 : [n, n]
param V : [k, n]
def f(x):
    h = relu(U @ x)
    g = softmax(G @ h)
    return V @ (g[1] * relu(A1 @ h) + g[2] * relu(A2 @ h))
""",
    "scalar and gain": """
param U : [n, d]
param s : [] init one
param g : [n] init one
param W : [n, n]
param V : [k, n]
def f(x) = V @ (g * relu(s * (W @ relu(U @ x))))
""",
    "shared": """
param U : [n, d]
param W : [n, n]
param V : [k, n]
def f(x) = V @ relu(W @ relu(W @ relu(W @ relu(U @ x))))
""",
    "heads that grow in number": """
size e = 4
param U : [n, d]
param Q : [n, e, n]
param V : [k, n]
def f(x):
    h = relu(U @ x)
    q = einsum("h e n, n -> h e", Q, h)
    return V @ relu(sum(q, axis = 2))
""",
    "factors in the program": """
param U : [n, d]
param W : [n, n]
param V : [k, n]
def f(x) = n^(-1/2) * (V @ relu(n^(-1/2) * (W @ relu(U @ x))))
""",
}

LORA = """
param U : [n, d] frozen
param W1, W2 : [n, n] frozen
param A1, A2 : [r, n]
param B1, B2 : [n, r] init zero
param V : [k, n] frozen
def f(x):
    h = relu(U @ x)
    h = relu(W1 @ h + B1 @ (A1 @ h))
    h = relu(W2 @ h + B2 @ (A2 @ h))
    return V @ h
"""

ROOT_OF_WIDTH = """
param U : [n, d]
param Q, K, R : [n, n]
param V : [k, n]
def g(x):
    h = layer_norm(stack(U @ x, relu(U @ x)))
    s = einsum("t n, u n -> t u", Q @ h, K @ h) * n^(-1/2)
    return mean(einsum("t u, u n -> t n", softmax(s, axis = 2), R @ h), axis = 1)
def f(x) = V @ g(x)
"""

BOTTLENECK = """
param U : [n, d]
param A : [r, n]
param B : [n, r]
param V : [k, n]
def f(x) = V @ relu(B @ (A @ relu(U @ x)))
"""
