"""Programs beyond perceptrons: one for each construct of the language that limits must cover."""

RNN = """
width n
size d = 3, T = 3
input x : [T, d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
param W : [n, n] abc(0, 1/2, 0)
param b : [n] abc(-1/2, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    s = tanh(U @ x[1] + b)
    for t in 2..T:
        s = tanh(W @ s + U @ x[t] + b)
    return V @ s
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.2)
"""

RESIDUAL = """
width n
size d = 3
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
param A : [2*n, n] abc(0, 1/2, 0)
param B : [n, 2*n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = U @ x
    h = h + (1/2) * (B @ relu(A @ h))
    return V @ h
train:
    loss = squared_error(f(x), y)
    optimizer momentum(lr = 0.05, beta = 0.8)
"""

LAYER_NORM = """
width n
size d = 3
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
param W : [n, n] abc(0, 1/2, 0)
param g : [n] abc(-1/2, 1/2, 0) init one
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = g * layer_norm(relu(U @ x))
    return V @ tanh(W @ h)
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.1)
"""

ATTENTION = """
width n
size d = 3, T = 2
input x : [T, d]
target y : [1]
param E : [n, d] abc(-1/2, 1/2, 0)
param Q, K, R : [n, n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = E @ x
    s = einsum("t n, u n -> t u", Q @ h, K @ h) * n^-1
    h = h + einsum("t u, u n -> t n", softmax(s, axis = 2), R @ h)
    return V @ mean(tanh(h), axis = 1)
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.2)
"""

TIED = """
width n
size d = 3
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
param W : [n, n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = tanh(U @ x)
    return V @ tanh(W.T @ tanh(W @ h))
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.2)
"""

ADAM = """
width n
size d = 3
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 1/2)
param W : [n, n] abc(0, 1/2, 1)
param V : [1, n] abc(1/2, 1/2, 1/2)
def f(x) = V @ tanh(W @ tanh(U @ x))
train:
    loss = squared_error(f(x), y)
    optimizer adam(lr = 0.1)
"""

CROSS_ENTROPY = """
width n
size d = 3, k = 3
input x : [d]
target y : [k]
param U : [n, d] abc(-1/2, 1/2, 0)
param b : [n] abc(-1/2, 1/2, 0) init zero
param W : [n, n] abc(0, 1/2, 0)
param V : [k, n] abc(1/2, 1/2, 0) init zero
def f(x) = V @ tanh(W @ relu(U @ x + b))
train:
    loss = cross_entropy(f(x), y)
    optimizer sgd(lr = 0.5, decay = 0.1, clip = 1)
"""

ADAMW = ADAM.replace("adam(lr = 0.1)", "adamw(lr = 0.1)").replace(
    "abc(0, 1/2, 1)", "abc(0, 1/2, 1) decay 2 * n"
)

CONVOLUTION = """
width n
size d = 2, T = 3
input x : [T, d]
target y : [1]
param U : [2, n, d] abc(-1/2, 1/2, 0)
param W : [2, n, n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = tanh(conv1d(U, x, padding = same))
    h = tanh(conv1d(W, h, padding = same))
    return V @ mean(h, axis = 1)
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.2)
"""

IMAGES = """
width n
size d = 2
input x : [3, 3, d]
target y : [1]
param U : [2, 2, n, d] abc(-1/2, 1/2, 0)
param W : [2, 2, n, n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = relu(conv2d(U, x))
    h = h + tanh(conv2d(W, h, padding = circular))
    return V @ mean(h, axis = (1, 2))
train:
    loss = squared_error(f(x), y)
    optimizer momentum(lr = 0.05, beta = 0.8, decay = 0.1, clip = 1)
"""

STACK = """
width n
size d = 3, L = 2
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
param W : [L, n, n] abc(0, 1/2, 0)
param V : [1, n] abc(1/2, 1/2, 0)
def f(x):
    h = U @ x
    for l in 1..L:
        h = h + (1/2) * (W[l].T @ tanh(h))
    return V @ h
train:
    loss = squared_error(f(x), y)
    optimizer sgd(lr = 0.1)
"""

#: Programs by name, with the shapes of their inputs and targets.
PROGRAMS = {
    "rnn": (RNN, (3, 3), (1,)),
    "residual": (RESIDUAL, (3,), (1,)),
    "layer norm": (LAYER_NORM, (3,), (1,)),
    "attention": (ATTENTION, (2, 3), (1,)),
    "tied": (TIED, (3,), (1,)),
    "adam": (ADAM, (3,), (1,)),
    "adamw": (ADAMW, (3,), (1,)),
    "convolution": (CONVOLUTION, (3, 2), (1,)),
    "images": (IMAGES, (3, 3, 2), (1,)),
    "stack": (STACK, (3,), (1,)),
    "cross entropy": (CROSS_ENTROPY, (3,), (3,)),
}
