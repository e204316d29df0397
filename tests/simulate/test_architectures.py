"""Gradients of whole networks against finite differences; inner steps; noise; kernels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from programs import HALF, dims, module, options, perceptron, spec

from tpc.differentiate import gradient
from tpc.exact import Constant
from tpc.ir import Module, OptimizerSpec, walk
from tpc.ops import functions
from tpc.ops.activations import activation
from tpc.ops.add import add
from tpc.ops.apply import apply
from tpc.ops.base import EvalContext
from tpc.ops.contract import matmul
from tpc.ops.gather import gather
from tpc.ops.index import index
from tpc.ops.input import INPUT, input_
from tpc.ops.mean import average
from tpc.ops.multiply import multiply
from tpc.ops.param import param
from tpc.ops.rate import rate, step_coefficient
from tpc.ops.scale import scale
from tpc.ops.sum import total
from tpc.simulate import empirical_kernel, execute, initial_weights, peak_entries, simulate
from tpc.simulate.training import Network
from tpc.unroll import training_step

SGD = (OptimizerSpec("sgd", options(lr="0.1")),)


def fn(name, *args, **kw):
    function = functions()[name]
    named = dict(zip([a.name for a in function.arguments], args, strict=False))
    return function.build(**named, **kw)


def rnn() -> Module:
    x, y = input_("x", dims(4, 3)), input_("y", dims(1))
    U, W, b, V = (
        param("U", dims("n", 3)),
        param("W", dims("n", "n")),
        param("b", dims("n")),
        param("V", dims(1, "n")),
    )
    s = apply(activation("erf"), add(matmul(U, index(x, 0, 0)), b))
    for t in range(1, 4):
        s = apply(activation("erf"), add(add(matmul(W, s), matmul(U, index(x, 0, t))), b))
    f = matmul(V, s)
    return _trained(f, fn("mse", f, y), U=(0, 0, 0), W=(HALF, 0, 0), b=(0, 0, 0), V=(HALF, 0, 0))


def convnet() -> Module:
    x, y = input_("x", dims(5, 4, 2)), input_("y", dims(3))
    K1, K2, V = (
        param("K1", dims(3, 3, "n", 2)),
        param("K2", dims(2, 3, "n", "n")),
        param("V", dims(3, "n")),
    )
    z = apply(activation("tanh"), fn("conv2d", K1, x, padding="same"))
    z = fn("avg_pool", z, window=(2,), padding="same")
    z = apply(activation("tanh"), fn("conv2d", K2, z, padding="circular"))
    f = matmul(V, average(z, (0, 1)))
    loss = fn("cross_entropy", f, y)
    return _trained(f, loss, K1=(0, 0, 0), K2=(0, HALF, 0), V=(HALF, HALF, 0))


def transformer() -> Module:
    ids, y = input_("ids", dims(4), below=6), input_("y", dims(3), below=None)
    E, Q, K, R, V = (
        param("E", dims(6, "n")),
        param("Q", dims("n", "n")),
        param("K", dims("n", "n")),
        param("R", dims("n", "n")),
        param("V", dims(3, "n")),
    )
    h = gather(E, ids)
    g = fn("layer_norm", h)
    scores = scale(fn("einsum", "t n, u n -> t u", (matmul(Q, g), matmul(K, g))), 1, -1)
    mixed = fn(
        "einsum",
        "t u, u n -> t n",
        (fn("softmax", scores, axis=1, mask="causal"), matmul(R, g)),
    )
    h = add(h, apply(activation("gelu"), mixed))
    f = matmul(V, average(fn("rms_norm", h), (0,)))
    loss = fn("mse", f, y)
    hidden = (0, HALF, 0)
    return _trained(f, loss, E=(0, 0, 0), Q=hidden, K=hidden, R=hidden, V=(HALF, HALF, 0))


def _trained(f, loss, **specs) -> Module:
    return module({"f": f}, specs, loss=loss, optimizers=SGD)


def data_of(program: Module, count: int = 3, width: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    found = {}
    for name, each in program.inputs.items():
        shape = each.type.shape(width, count)
        if each.type.below is not None:
            found[name] = random.integers(1, each.type.below + 1, shape)
        else:
            found[name] = random.normal(size=shape)
    return found


@pytest.mark.parametrize("build", [rnn, convnet, transformer, perceptron])
def test_gradients_are_finite_differences(build) -> None:
    program, width = build(), 4
    network, data = Network(program, width, 0), data_of(program)
    step = training_step(program)
    found = dict(
        zip(step.gradients, network.evaluate([*step.gradients.values()], data, 3), strict=True)
    )
    random = np.random.default_rng(0)
    start = dict(network.weights)
    for name, computed in found.items():
        direction = random.normal(size=computed.shape)
        values = []
        for sign in (1, -1):
            network.weights = start | {name: start[name] + sign * 1e-5 * direction}
            values.append(float(network.evaluate([step.loss], data, 3)[0]))
        slope = (values[0] - values[1]) / 2e-5
        assert (computed * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("build", [rnn, convnet, transformer])
def test_training_lowers_the_loss(build) -> None:
    program = build()
    sim = simulate(program, data_of(program, width=8), width=8, steps=10)
    assert sim.loss[0, -1] < sim.loss[0, 0]


def maml(second_order: bool = False) -> Module:
    """One inner step on a support set, the loss on a query set; each sample is a task."""
    xs, xq = input_("xs", dims(4, 3)), input_("xq", dims(5, 3))
    ys, yq = input_("ys", dims(4, 2)), input_("yq", dims(5, 2))
    U, V = param("U", dims("n", 3)), param("V", dims(2, "n"))
    cut = (lambda node: node) if second_order else functions()["stop_gradient"].build

    def f(x, U, V):
        return matmul(V, apply(activation("tanh"), matmul(U, x)))

    inner = fn("mse", f(xs, U, V), ys)
    gU, gV = gradient(inner, [U, V], per_sample=True)
    Ua = add(U, scale(cut(rate(gU, "U")), Constant.of(Fraction(-2, 5))))
    Va = add(V, scale(cut(rate(gV, "V")), Constant.of(Fraction(-2, 5))))
    out = f(xq, Ua, Va)
    return module(
        {"f": out},
        {"U": spec("U", U, (-HALF, HALF, 0)), "V": spec("V", V, (HALF, HALF, 0))},
        loss=fn("mse", out, yq),
        optimizers=SGD,
        targets=("ys", "yq"),
    )


def test_inner_steps_are_each_tasks_own() -> None:
    """The adapted network of a task is what plain training on that task alone would give."""
    program, width = maml(), 6
    data = data_of(program, count=3)
    weights = initial_weights(program, width, 0)
    sim = simulate(program, data, width=width)
    for task in range(3):
        U, V = weights["U"], weights["V"]
        x, y = data["xs"][task], data["ys"][task]
        a = np.tanh(x @ U.T)
        df = 2 * (a @ V.T - y) / y.size
        dV, dU = df.T @ a, ((df @ V) * (1 - a**2)).T @ x
        # W moves by mult^2 n^(-2a - c) dL/dW: n for U (a = -1/2) and 1/n for V (a = 1/2)
        Ua, Va = U - 0.4 * width * dU, V - 0.4 / width * dV
        expected = np.tanh(data["xq"][task] @ Ua.T) @ Va.T
        np.testing.assert_allclose(sim.f[0, 0, task], expected, rtol=1e-10)


@pytest.mark.parametrize("second_order", [False, True])
def test_meta_gradients(second_order: bool) -> None:
    program, width = maml(second_order), 4
    network, data = Network(program, width, 0), data_of(program)
    step = training_step(program)
    (computed,) = network.evaluate([step.gradients["U"]], data, 3)
    start, direction = dict(network.weights), np.random.default_rng(0).normal(size=computed.shape)
    values = []
    for sign in (1, -1):
        network.weights = start | {"U": start["U"] + sign * 1e-5 * direction}
        values.append(float(network.evaluate([step.loss], data, 3)[0]))
    slope = (values[0] - values[1]) / 2e-5
    matches = (computed * direction).sum() == pytest.approx(slope, rel=1e-5)
    assert matches == second_order  # first-order MAML drops the second derivatives


def test_rates_come_from_the_table_of_params() -> None:
    program = perceptron("mup")
    assert str(step_coefficient(program.params["U"])) == "n"
    assert str(step_coefficient(program.params["V"])) == "n^-1"
    node = rate(param("U", dims("n", 3)), "U")
    weights = initial_weights(program, 5, 0)
    context = EvalContext(5, 1, program.params)
    (found,) = execute([node], {node.operands[0]: weights["U"]}, context)
    np.testing.assert_allclose(found, 5 * weights["U"])


def test_noise_is_fresh_at_each_step_and_reproducible() -> None:
    z, V, x = input_("z", dims(3)), param("V", dims(1, 3)), input_("x", dims(3))
    f = matmul(V, add(x, z))
    program = module(
        {"f": f}, {"V": spec("V", V, (0, 0, 0))}, loss=total(f, (0,)), optimizers=SGD, noise=("z",)
    )
    data = {"x": np.zeros((2, 3))}
    one, two = (simulate(program, data, width=1, steps=3, seeds=(0, 1)) for _ in range(2))
    np.testing.assert_array_equal(one.f, two.f)
    assert len(np.unique(one.loss)) == 6


def test_dropout_draws_at_each_step_and_for_predictions() -> None:
    x, V = input_("x", dims(20)), param("V", dims(1, 20))
    f = matmul(V, fn("dropout", x, rate=Constant.of(HALF), site=0))
    still = (OptimizerSpec("sgd", options(lr=0)),)
    specs = {"V": replace(spec("V", V, (0, 0, 0)), init="one")}
    program = module({"f": f}, specs, loss=total(f, (0,)), optimizers=still)
    data = {"x": np.ones((2, 20))}
    sim = simulate(program, data, width=1, steps=3)
    assert len(np.unique(sim.loss)) == 3
    assert len(np.unique(sim.f)) > 3
    np.testing.assert_array_equal(sim.f, simulate(program, data, width=1, steps=3).f)


def test_the_empirical_tangent_kernel() -> None:
    """Against the derivative of one step of training: df = - lr K (f - y)."""
    program, width = perceptron("ntk", loss="squared_error"), 32
    data = {"x": np.random.default_rng(0).normal(size=(4, 3)), "y": np.zeros((4, 2))}
    tiny = replace(program, optimizers=(OptimizerSpec("sgd", options(lr="0.000001")),))
    sim = simulate(tiny, data, width=width, steps=1, seeds=(3,))
    kernel = empirical_kernel(program, data, width=width, kind="ntk", seeds=(3,))
    assert kernel.samples.shape == (1, 4, 4, 2, 2)
    moved = (sim.f[0, 1] - sim.f[0, 0]) / -1e-6
    expected = np.einsum("nmcd,md->nc", kernel.mean, sim.f[0, 0])
    np.testing.assert_allclose(moved, expected, rtol=1e-3)


def test_the_empirical_kernel_of_outputs() -> None:
    program = perceptron("ntk", phi="identity")
    x = np.random.default_rng(0).normal(size=(3, 3))
    kernel = empirical_kernel(program, {"x": x}, {"x": x[:2]}, width=64, seeds=range(200))
    assert kernel.samples.shape == (200, 3, 2, 2, 2)
    expected = x @ x[:2].T
    gap = np.abs(kernel.mean[..., 0, 0] - expected) / kernel.error[..., 0, 0]
    assert gap.max() < 4
    assert np.abs(kernel.mean[..., 0, 1] / kernel.error[..., 0, 1]).max() < 4


def test_values_are_freed_after_their_last_use() -> None:
    x = input_("x", dims(10))
    node = x
    for _ in range(50):
        node = apply(activation("tanh"), node)
    assert peak_entries([node], EvalContext(1, 1)) == 20


def test_inner_nodes_may_be_bound() -> None:
    x = input_("x", dims(2))
    z = multiply(x, x)
    (found,) = execute([add(z, z)], {z: np.ones((1, 2))}, EvalContext(1, 1))
    np.testing.assert_array_equal(found, 2 * np.ones((1, 2)))
    with pytest.raises(LookupError, match="input x has no value"):
        execute([z], {}, EvalContext(1, 1))


def test_constant_outputs_have_a_row_for_each_point() -> None:
    V = param("V", dims(2))
    x = input_("x", dims(2))
    program = module({"f": V, "g": x}, {"V": spec("V", V, (0, 0, 0))})
    assert [n.op for n in walk([program.output.node])].count(INPUT) == 0
    assert simulate(program, {"x": np.ones((3, 2))}, width=1).f.shape == (1, 1, 3, 2)
