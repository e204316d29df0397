"""Programs in which finitely many numbers stay random: their kernels are averages over these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tpc
from tpc.conditional.build import conditional
from tpc.conditional.cut import cut
from tpc.conditional.limit import ConditionalLimit
from tpc.conditional.quotients import quotients
from tpc.conditional.recursion import ByEntries
from tpc.conditional.steps import moved, pushed, with_steps
from tpc.ir.module import InputSpec, NamedValue
from tpc.limit import Limit
from tpc.limit.interpret import interpret
from tpc.limit.kernels import derive
from tpc.ops.input import input_
from tpc.simulate.kernel import empirical_kernel

HEAD = """
width n
size d = 3, T = 2, k = 2
parametrization ntk
input x : {x}
param U : [n, d]
param V : [{outputs}, n]
"""
SEQUENCE, VECTOR = "[T, d]", "[d]"
BLOCK = """
param Q, K, R : [n, n]
def f(x):
    h = einsum("n d, t d -> t n", U, x)
    s = einsum("t n, u n -> t u", Q @ h, K @ h) * n^(-1/2)
    z = h + einsum("t u, u n -> t n", softmax(s, axis = 2), R @ h)
    return V @ {phi}(z)[1]
"""
CASES = {
    "linear": (VECTOR, "param A : [k, n]\nparam B : [n, k]\ndef f(x) = V @ (B @ (A @ (U @ x)))\n"),
    "bottleneck": (
        VECTOR,
        "param A : [k, n]\nparam b : [k]\nparam B : [n, k]\n"
        "def f(x) = V @ relu(B @ (A @ relu(U @ x) + b))\n",
    ),
    "lora": (
        VECTOR,
        "param W : [n, n]\nparam A : [k, n]\nparam B : [n, k]\n"
        "def f(x):\n    h = relu(U @ x)\n    return V @ relu(W @ h + B @ (A @ h))\n",
    ),
    "zero adapter": (
        VECTOR,
        "param W : [n, n]\nparam A : [k, n] init zero\nparam B : [n, k]\n"
        "def f(x):\n    h = relu(U @ x)\n    return V @ relu(W @ h + B @ (A @ h))\n",
    ),
    "zero router": (
        VECTOR,
        "param R : [k, n] init zero\nparam A, B : [n, n]\n"
        "def f(x):\n"
        "    h = erf(U @ x)\n"
        "    g = softmax(R @ h)\n"
        "    return V @ (g[1] * erf(A @ h) + g[2] * erf(B @ h))\n",
    ),
    "finite layers": (
        VECTOR,
        "param A : [k, n]\nparam C : [k, k]\nparam B : [n, k]\n"
        "def f(x) = V @ erf(B @ sin(C @ erf(A @ erf(U @ x))))\n",
    ),
    "mixer": (
        SEQUENCE,
        "param M : [T, T]\nparam W : [n, n]\n"
        "def f(x):\n"
        '    h = erf(einsum("n d, t d -> t n", U, x))\n'
        '    return V @ relu(W @ einsum("t u, u n -> t n", M, h))[1]\n',
    ),
    "router": (
        VECTOR,
        "param R : [k, n]\nparam A, B : [n, n]\n"
        "def f(x):\n"
        "    h = erf(U @ x)\n"
        "    g = softmax(R @ h)\n"
        "    return V @ (g[1] * erf(A @ h) + g[2] * erf(B @ h))\n",
    ),
    "scalar": (
        VECTOR,
        "param a : [1]\nparam W : [n, n]\ndef f(x) = V @ erf(a[1] * (W @ relu(U @ x)))\n",
    ),
    "gate": (
        VECTOR,
        "param Q, K, A : [n, n]\n"
        "def f(x):\n"
        "    h = relu(U @ x)\n"
        "    return V @ relu(sum((Q @ h) * (K @ h)) * n^(-1/2) * (A @ h) + h)\n",
    ),
    "block": (SEQUENCE, BLOCK.format(phi="relu")),
    "block behind a norm": (
        SEQUENCE,
        BLOCK.format(phi="relu").replace("Q @ h, K @ h", "Q @ rms_norm(h), K @ rms_norm(h)"),
    ),
    "two blocks": (
        SEQUENCE,
        """
param Q, K, R, P, G, S : [n, n]
def f(x):
    h = einsum("n d, t d -> t n", U, x)
    s = einsum("t n, u n -> t u", Q @ h, K @ h) * n^(-1/2)
    z = h + einsum("t u, u n -> t n", softmax(s, axis = 2), R @ h)
    r = einsum("t n, u n -> t u", P @ z, G @ z) * n^(-1/2)
    y = z + einsum("t u, u n -> t n", softmax(r, axis = 2), S @ z)
    return V @ erf(y)[1]
""",
    ),
    "squashed": (VECTOR, "def f(x) = tanh(V @ relu(U @ x))\n"),
}


def program(name: str, outputs: int = 1) -> tpc.Program:
    inputs, body = CASES[name]
    return tpc.compile(text=HEAD.format(x=inputs, outputs=outputs) + body)


def samples(name: str, count: int = 2, scale: float = 0.5) -> np.ndarray:
    shape = (2, 3) if CASES[name][0] == SEQUENCE else (3,)
    return scale * np.random.default_rng(3).standard_normal((count, *shape))


def interpreted(limit: Limit, x: np.ndarray) -> np.ndarray:
    """Evaluate a limit at all pairs without compiling it."""
    rows, columns = np.divmod(np.arange(len(x) ** 2), len(x))
    found = interpret(limit.kernels.entries, {"x": x[rows]}, {"x": x[columns]}, 1e-6)
    return found[0].reshape(len(x), len(x))


def within(found: tuple[np.ndarray, np.ndarray], expected: np.ndarray) -> bool:
    value, error = found
    return bool(np.all(np.abs(value - expected) < 5 * error + 1e-9))


def test_linear_bottleneck_is_a_product() -> None:
    """``f = v.B A U x`` is linear: every weight has the same share of the NTK, the NNGP."""
    x = samples("linear")
    exact = 2 * x @ x.T  # two scalars
    assert not isinstance(program("linear").limit("nngp"), ConditionalLimit)  # a sum of mixtures
    for kind, factor in (("nngp", 1), ("ntk", 4)):
        found = conditional(program("linear").module, kind)
        assert found is not None
        assert within(found.with_errors(x, sampling=1e-2), factor * exact)


def test_one_random_number_is_an_integral() -> None:
    """One scalar a: erf(a g) for Gaussians g, by quadrature over a."""
    x = samples("scalar")
    gram = x @ x.T
    norm = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    angle = np.arccos(np.clip(gram / norm, -1, 1))
    relu = norm * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    own = np.diag(relu)
    nngp, ntk = np.zeros((2, 2)), np.zeros((2, 2))
    nodes = np.arange(-9, 9, 0.1) + 0.05  # trapezoidal: exact but for exp(-2 pi 0.3 / 0.1)
    weights = np.exp(-(nodes**2) / 2)
    for a, w in zip(nodes, weights / weights.sum(), strict=True):
        for i, j in np.ndindex(2, 2):
            s = a * a * np.array([[own[i], relu[i, j]], [relu[i, j], own[j]]])
            wide = np.eye(2) + 2 * s  # erf'(u) erf'(v) adds 2 to both precisions
            slopes = 4 / np.pi / np.sqrt(np.linalg.det(wide))
            value = 2 / np.pi * np.arcsin(2 * s[0, 1] / np.sqrt(wide[0, 0] * wide[1, 1]))
            below = a * a * (np.pi - angle[i, j]) / (2 * np.pi) * gram[i, j]
            by_a = (s @ np.linalg.inv(wide))[0, 1] / (a * a)
            nngp[i, j] += w * value
            ntk[i, j] += w * (value + slopes * (s[0, 1] + below + by_a))
    for kind, expected in (("nngp", nngp), ("ntk", ntk)):
        found = conditional(program("scalar").module, kind)
        assert found is not None
        assert within(found.with_errors(x, sampling=2e-3), expected)


def test_random_scores_are_averaged() -> None:
    """Attention whose output is linear in the values has an exact covariance, as an average too."""
    text = HEAD.format(x=SEQUENCE, outputs=1) + BLOCK.format(phi="")
    exact = tpc.compile(text=text).limit("nngp")
    found = conditional(exact.module, "nngp")
    assert found is not None
    assert not isinstance(exact, ConditionalLimit)
    x = samples("block")
    assert within(found.with_errors(x, sampling=3e-3), interpreted(exact, x))


def test_differences_are_derivatives() -> None:
    """Differences of the covariance against the covariance of the derivative, derived."""
    text = HEAD.format(x=SEQUENCE, outputs=1) + BLOCK.format(phi="erf")
    module = tpc.compile(text=text).module
    found = cut(module)
    (scalars,) = found.scalars
    kernel = conditional(module, "nngp")
    assert kernel is not None
    output = found.module.output.node
    step = input_("t", scalars.leaf.type.dims)
    derivative = replace(
        found.module,
        inputs={**found.module.inputs, "t": InputSpec("t", step.type)},
        outputs=(NamedValue("f", pushed(output, [(scalars.leaf, step)])),),
    )
    rng = np.random.default_rng(0)
    points = {"x": rng.standard_normal((4, 2, 3)) / 2, "s": rng.standard_normal((4, 2, 2))}
    steps = {"s": rng.standard_normal((4, 2, 2))}
    rows, columns = np.array([0, 0, 2]), np.array([0, 1, 3])
    apart = quotients(ByEntries(kernel.behind.kernels, 1e-12), points, steps, 1e-3, rows, columns)
    whole = ByEntries(derive(derivative, "nngp"), 1e-12)
    expected = whole.pairs({**points, "t": steps["s"]}, rows, columns)
    np.testing.assert_allclose(apart.slope, expected, rtol=1e-5, atol=1e-8)


def test_steps_give_tangent_kernels() -> None:
    """The NTK of a perceptron is the covariance of its derivative along random steps."""
    module = program("squashed").module
    (scalars,) = cut(module).scalars  # the readout V @ relu(U @ x)
    stepped = replace(
        module,
        params=with_steps(module),
        outputs=(NamedValue("f", moved(module, scalars.node)),),
    )
    plain = replace(module, outputs=(NamedValue("f", scalars.node),))
    x = {"x": samples("squashed")}
    rows, columns = np.array([0, 0, 1]), np.array([0, 1, 1])
    one, two = (
        ByEntries(derive(each, kind), 1e-12).pairs(x, rows, columns)
        for each, kind in ((stepped, "nngp"), (plain, "ntk"))
    )
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_levels() -> None:
    found = cut(program("two blocks").module)
    assert [(s.name, s.shape, s.level) for s in found.scalars] == [
        ("s", (2, 2), 1),
        ("r", (2, 2), 2),
    ]
    value = program("two blocks").limit("nngp").evaluate(samples("two blocks"), sampling=2e-2)
    assert np.linalg.eigvalsh(value).min() > 0


def test_numbers_that_outgrow_their_noise_are_not_cut() -> None:
    """A norm divides by the root of a sum of squares: of size n, give or take the root of n."""
    found = cut(program("block behind a norm").module)
    assert [(s.name, s.shape) for s in found.scalars] == [("s", (2, 2))]


def test_the_face_of_a_limit() -> None:
    x = samples("bottleneck", 3)
    found = program("bottleneck").limit("nngp")
    assert isinstance(found, ConditionalLimit)
    value, error = found.with_errors(x, sampling=5e-3)
    assert np.all(error < 5e-3 * np.sqrt(np.outer(np.diag(value), np.diag(value))))
    np.testing.assert_array_equal(found.evaluate(x, sampling=5e-3), value)
    between = found.evaluate(x, x[:2] + 1e-9, sampling=5e-3)
    assert np.all(np.abs(between - value[:, :2]) < 5 * error[:, :2] + 2e-2 * value.max())
    own = found.evaluate(x, diagonal=True, sampling=5e-3)
    np.testing.assert_allclose(own, np.diag(value), rtol=3e-2)
    given = found.draws(x, 40)
    assert given.shape == (40, 3, 3)
    assert np.linalg.eigvalsh(given).min() > -1e-9
    both = program("bottleneck").kernels(x, sampling=2e-2)
    assert both["nngp"].shape == both["ntk"].shape == (3, 3)


def test_two_sets_are_drawn_together() -> None:
    text = HEAD.format(x=VECTOR, outputs=2) + CASES["bottleneck"][1]
    text = text.replace("input x : [d]", "input x : [d]\ntarget y : [2]")
    found = tpc.compile(text=text + "train:\n    loss = mse(f(x), y)\n    optimizer sgd(lr = 1)\n")
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((5, 3)), "y": rng.standard_normal((5, 2))}
    test = {"x": np.concatenate([data["x"][:1], rng.standard_normal((2, 3))])}
    guess = found.predict(data, test, kind="nngp", ridge=1e-8, covariance=True)
    np.testing.assert_allclose(guess.mean[0], data["y"][0], atol=1e-5)  # seen in training
    assert guess.deviation[0, 0] < 1e-3
    for refused in (
        lambda: found.predict(data, test, kind="ntk"),
        lambda: found.limit("ntk").train(data, 2),
        lambda: found.flow(data, [1.0]),
    ):
        with pytest.raises(tpc.TpcError, match="E0967"):
            refused()


def test_what_is_printed() -> None:
    nngp, ntk = (program("block").limit(kind) for kind in ("nngp", "ntk"))
    text = nngp.text()
    assert "s (2 x 2 numbers of every sample): jointly Gaussian with mean zero" in text
    assert "Cov[s[1,1], s[1,1]] = <x[1, :], x[1, :]'> <x[1, :], x[1, :]'>" in text
    assert "f is a mixture of Gaussians, and this is its covariance" in text
    assert "given s, averaged over them" in text
    assert "random at infinite width: this is its mean" in ntk.text()
    assert "tangent kernel of s:" in ntk.text()
    assert "Theta[s[1,1], s[1,1]]" in ntk.text()
    for each in (nngp, ntk):
        latex = each.latex()
        assert latex.count("{") == latex.count("}")
        assert r"\mathrm{Cov}_{\mathtt{s[1,1], s[1,2]}}" in latex
        assert each.markdown().startswith("### ")
        said = each.to_json()
        assert said["scalars"] == [{"name": "s", "axes": [2, 2], "level": 1}]
        assert any(law["name"].startswith("Cov[") for law in said["laws"])


REFUSED = {
    "by the readout": (
        "param B : [n, k]\ndef f(x) = (V @ relu(B @ tanh(V @ relu(U @ x)[1:2])))[1]",
        "nngp",
        "readout V",
    ),
    "twice": (
        "param M : [k, k]\nparam A : [k, n]\nparam B : [n, k]\n"
        "def f(x) = V @ (B @ sin(M @ sin(M @ sin(A @ (U @ x)))))",
        "nngp",
        "made by the same weights",
    ),
    "no readout": (
        "param A : [k, n]\nparam W : [n, k]\n"
        "def f(x):\n    z = relu(W @ (A @ (U @ x)))\n    return mean(z * z)",
        "ntk",
        "the output is not a sum of readouts",
    ),
    "jumps": (
        "param A : [k, n]\nparam B : [n, k]\ndef f(x) = V @ sign(B @ (A @ (U @ x)))",
        "ntk",
        "jumps",
    ),
    "stopped": (
        "param A : [k, n]\nparam B : [n, k]\n"
        "def f(x) = V @ relu(B @ stop_gradient(sin(A @ (U @ x))))",
        "ntk",
        "stop_gradient",
    ),
    "with a mean that grows": (
        "param A : [n, n]\n"
        "def f(x):\n    h = U @ x\n    return V @ relu(dot(A @ h, A @ h) * n^(-1/2) * h)",
        "nngp",
        "divide inner products by n",
    ),
    "masks inside of a nonlinearity": (
        "param A : [k, n]\nparam B : [n, k]\n"
        "def f(x) = V @ relu(dropout(B @ sin(A @ (U @ x)), rate = 1/4) + 1)",
        "nngp",
        "sampled neurons",
    ),
    "many": (
        "param A : [200, n]\nparam B : [n, 200]\ndef f(x) = V @ relu(B @ (A @ (U @ x)))",
        "nngp",
        "200 numbers of one sample stay random",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    body, kind, words = REFUSED[name]
    text = HEAD.format(x=VECTOR, outputs=1) + body
    if name == "by the readout":
        text = text.replace("V : [1, n]", "V : [2, n]").replace("[1:2]", "")
    with pytest.raises(tpc.TpcError, match=words):
        tpc.compile(text=text).limit(kind)


def test_bounds_that_are_not_met() -> None:
    found = program("bottleneck").limit("nngp")
    with pytest.raises(tpc.TpcError, match="E0962"):
        found.evaluate(samples("bottleneck"), sampling=1e-7)
    with pytest.raises(tpc.TpcError, match="E0983"):
        found.evaluate(np.ones((1001, 3)))
    with pytest.raises(tpc.TpcError, match="x holds no samples"):
        found.evaluate(np.ones((0, 3)))
    with pytest.raises(tpc.TpcError, match="E0979"):
        _ = found.source
    with pytest.raises(tpc.TpcError, match="E0960"):
        program("bottleneck").limit("ntk").draws(samples("bottleneck"))  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("name", CASES)
def test_finite_networks_approach_the_average(name: str, kind: str) -> None:
    outputs = 32 if kind == "nngp" and name != "squashed" else 1  # copies, given the scalars
    found = conditional(program(name).module, kind)
    assert found is not None
    x = samples(name)
    value, error = (each.reshape(2, 2) for each in found.with_errors(x, sampling=5e-3))
    scale = np.abs(value).max()
    for width, seeds in ((64, 600), (256, 150), (1024, 24)):
        finite = empirical_kernel(
            program(name, outputs).module,
            {"x": x},
            width=width,
            kind=kind,
            seeds=range(width, width + seeds),
        ).samples
        each = np.einsum("snmkk->snm", finite.reshape(seeds, 2, 2, outputs, outputs)) / outputs
        spread = np.hypot(each.std(axis=0, ddof=1) / np.sqrt(seeds), error)
        assert np.all(np.abs(each.mean(axis=0) - value) < 5 * spread + 4 / width * scale)


def test_a_norm_of_random_multiples_keeps_their_signs() -> None:
    """``s z / |s z|`` is the sign of s times ``z / |z|``: E sign sign = 2 / pi arcsin."""
    body = (
        "param Q, A : [n, n]\nparam v : [n]\n"
        "def f(x):\n    h = U @ x\n    return V @ layer_norm((v @ (Q @ h)) * (A @ h))"
    )
    found = tpc.compile(text=HEAD.format(x=VECTOR, outputs=1) + body).limit("nngp")
    x = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.6, 0.0, 0.8]])
    rho = x @ x.T
    assert within(found.with_errors(x), rho * 2 / np.pi * np.arcsin(rho))
