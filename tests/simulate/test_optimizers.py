"""Optimizers against formulas written by hand; unrolled training against execution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from programs import options, perceptron

from tpc.diagnostics import TpcError
from tpc.exact import Coefficient, Constant
from tpc.ir import Module, OptimizerSpec, walk
from tpc.ir.verify import verify
from tpc.ops.base import EvalContext
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.optimizers import optimizers
from tpc.simulate import execute, initial_weights, simulate
from tpc.unroll import unroll

RANDOM = np.random.default_rng(11)
X, Y = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 2))
GRADIENTS = RANDOM.normal(size=(4, 3, 5))
WEIGHT = RANDOM.normal(size=(3, 5))


def directions(name: str, gradients=GRADIENTS, weight=WEIGHT, **given: float) -> list[np.ndarray]:
    """What the optimizer does with a sequence of gradients, at a fixed weight."""
    optimizer = optimizers()[name]
    numbers = {o.name: o.default.value_at(1) for o in optimizer.options if o.default is not None}
    state, found = optimizer.start(weight.shape), []
    for step, gradient in enumerate(gradients, start=1):
        result, state = optimizer.direction(gradient, weight, state, step, numbers | given)
        found.append(result)
    return found


def test_every_optimizer_of_the_language_exists() -> None:
    assert set(optimizers()) == {
        *("sgd", "momentum", "adam", "adamw", "sign", "lion"),
        *("adagrad", "rmsprop", "adafactor", "muon"),
    }
    assert [o.name for o in optimizers().values() if not o.scale_free] == ["momentum", "sgd"]
    for optimizer in optimizers().values():
        assert optimizer.documentation
        assert {"lr", "decay", "clip"} <= {option.name for option in optimizer.options}


def test_linear_ones() -> None:
    np.testing.assert_array_equal(directions("sgd"), GRADIENTS)
    last = sum(0.9 ** (3 - s) * GRADIENTS[s] for s in range(4))
    np.testing.assert_allclose(directions("momentum")[-1], last)


def test_adam_is_the_papers_formula() -> None:
    t = 4
    m = sum(0.1 * 0.9 ** (t - s) * GRADIENTS[s - 1] for s in range(1, t + 1)) / (1 - 0.9**t)
    v = sum(0.001 * 0.999 ** (t - s) * GRADIENTS[s - 1] ** 2 for s in range(1, t + 1))
    v = v / (1 - 0.999**t)
    np.testing.assert_allclose(directions("adam", eps=1e-3)[-1], m / (np.sqrt(v) + 1e-3))
    np.testing.assert_allclose(directions("adamw")[-1], m / np.sqrt(v))
    np.testing.assert_allclose(directions("adam")[0], np.sign(GRADIENTS[0]))


def test_sign_lion_adagrad_rmsprop() -> None:
    np.testing.assert_array_equal(directions("sign"), np.sign(GRADIENTS))
    m = 0.01 * (0.99**2 * GRADIENTS[0] + 0.99 * GRADIENTS[1] + GRADIENTS[2])
    np.testing.assert_array_equal(directions("lion")[-1], np.sign(0.9 * m + 0.1 * GRADIENTS[3]))
    root = np.sqrt((GRADIENTS**2).sum(axis=0))
    np.testing.assert_allclose(directions("adagrad")[-1], GRADIENTS[-1] / root)
    v = sum(0.01 * 0.99 ** (3 - s) * GRADIENTS[s] ** 2 for s in range(4))
    np.testing.assert_allclose(directions("rmsprop")[-1], GRADIENTS[-1] / np.sqrt(v))


def test_adafactor() -> None:
    first, second = directions("adafactor")[:2]
    rms = np.sqrt((WEIGHT**2).mean())
    r, s = (GRADIENTS[0] ** 2).mean(axis=1), (GRADIENTS[0] ** 2).mean(axis=0)
    u = GRADIENTS[0] / np.sqrt(np.outer(r, s) / r.mean())
    u /= max(1, np.sqrt((u**2).mean()))
    np.testing.assert_allclose(first, u * rms)
    beta = 1 - 2**-0.8
    r = beta * r + (1 - beta) * (GRADIENTS[1] ** 2).mean(axis=1)
    s = beta * s + (1 - beta) * (GRADIENTS[1] ** 2).mean(axis=0)
    u = GRADIENTS[1] / np.sqrt(np.outer(r, s) / r.mean())
    u /= max(1, np.sqrt((u**2).mean()))
    np.testing.assert_allclose(second, u * rms)
    vector = directions("adafactor", GRADIENTS[:, 0], WEIGHT[0])[0]
    np.testing.assert_allclose(vector, np.sign(GRADIENTS[0, 0]) * np.sqrt((WEIGHT[0] ** 2).mean()))


def test_muon_orthogonalises() -> None:
    first = directions("muon")[0]
    np.testing.assert_allclose(first @ first.T, np.eye(3), atol=1e-12)
    p, _, q = np.linalg.svd(GRADIENTS[0], full_matrices=False)
    np.testing.assert_allclose(first, p @ q)
    thin = np.outer([1.0, 2, 0], [0, 1.0, 0, 0, 2])
    unit = directions("muon", [thin])[0]  # a rank-one gradient stays of rank one
    np.testing.assert_allclose(unit, thin / np.linalg.norm(thin), atol=1e-12)
    assert not directions("muon", [thin * 0])[0].any()


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_no_gradient_means_no_step(name: str) -> None:
    for direction in directions(name, np.zeros((3, 3, 5))):
        np.testing.assert_array_equal(direction, 0)


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_scale_free_ones_ignore_the_size_of_gradients(name: str) -> None:
    one, two = directions(name), directions(name, 1e-3 * GRADIENTS)
    if optimizers()[name].scale_free:
        np.testing.assert_allclose(one, two, atol=1e-12)
    else:
        np.testing.assert_allclose(1e-3 * np.array(one), two)


def line(name: str, **given: object) -> OptimizerSpec:
    return OptimizerSpec(name, options(**{"lr": "0.05", **given}))


LINES = {name: line(name) for name in optimizers()} | {
    "sgd with decay": line("sgd", decay="0.1"),
    "adam with decay and eps": line(
        "adam", decay="0.1", eps=Coefficient.width(-1) * Constant.of(1)
    ),
    "adamw with decay": line("adamw", decay="0.3"),
    "sgd clipped": line("sgd", clip="0.01"),
    "adam clipped": line("adam", clip="0.01", eps="0.001"),
    "muon with decay": line("muon", decay="0.1"),
}


def run_unrolled(program: Module, width: int, steps: int, seed: int = 0):
    graph = unroll(program, steps)
    roots = [w for weights in graph.weights for w in weights.values()]
    roots += [o for outputs in graph.outputs for o in outputs.values()]
    roots += list(graph.losses)
    verify(roots)
    weights, data = initial_weights(program, width, seed), {"x": X, "y": Y}
    bound = {}
    for node in walk(roots):
        if node.op is PARAM:
            bound[node] = weights[node.attrs["name"]]
        elif node.op is INPUT:
            bound[node] = data[node.attrs["name"]]
    context = EvalContext(width, len(X), program.params, seed)
    f = execute([outputs["f"] for outputs in graph.outputs], bound, context)
    return np.stack(f), np.array(execute(graph.losses, bound, context)), graph


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("scaling", ["standard", "ntk"])
def test_unrolled_training_is_execution(name: str, scaling: str) -> None:
    program = perceptron(scaling, LINES[name])
    path, losses, _ = run_unrolled(program, 6, 4)
    sim = simulate(program, {"x": X, "y": Y}, width=6, steps=4)
    np.testing.assert_allclose(sim.f[0], path, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(sim.loss[0], losses, rtol=1e-8)


def test_unrolled_gradient_descent_has_no_update_nodes() -> None:
    for name in ("sgd", "momentum"):
        graph = unroll(perceptron(optimizer=line(name)), 3)
        nodes = list(walk([*graph.weights[-1].values(), *graph.outputs[-1].values()]))
        assert not any(node.op.name == "update" for node in nodes)
    graph = unroll(perceptron(optimizer=line("adam")), 3)
    assert any(node.op.name == "update" for node in walk(graph.weights[-1].values()))


def test_unrolled_exponents_may_be_symbolic() -> None:
    from tpc.exact import Affine

    program = perceptron()
    W = replace(program.params["W"], a=Affine.symbol("a"), c=Affine.symbol("c"))
    graph = unroll(perceptron(W=W), 1)
    powers = {
        str(node.attrs["coefficient"].power)
        for node in walk([graph.weights[1]["W"]])
        if node.op.name == "scale"
    }
    assert "-2*a - c" in powers


def test_batches_have_inputs_of_their_own() -> None:
    graph = unroll(perceptron(), 3, batches=True)
    steps = {n.attrs["step"] for n in walk(graph.losses) if n.op is INPUT}
    assert steps == {1, 2, 3}
    shared = unroll(perceptron(), 3)
    assert {n.attrs["step"] for n in walk(shared.losses) if n.op is INPUT} == {0}


def test_clipping_bounds_the_norm_of_all_gradients() -> None:
    free = simulate(perceptron(optimizer=line("sgd")), {"x": X, "y": Y}, width=6, steps=1)
    loose = line("sgd", clip=1000)
    same = simulate(perceptron(optimizer=loose), {"x": X, "y": Y}, width=6, steps=1)
    np.testing.assert_array_equal(free.f, same.f)
    bound = line("sgd", clip="0.001")
    clipped = simulate(
        perceptron("standard", bound), {"x": X, "y": Y}, width=6, steps=1, record=tuple("UWV")
    )
    moved = sum(((clipped.final[k] - clipped.initial[k]) ** 2).sum() for k in "UWV") ** 0.5
    assert moved == pytest.approx(0.05 * 0.001)


def test_decoupled_decay_shrinks_by_rate_times_decay() -> None:
    program = perceptron("standard", line("adamw", lr=0, decay=1))
    sim = simulate(program, {"x": X, "y": Y}, width=6, steps=2, record=("W",))
    assert not sim.change("W").any()  # decay acts through the learning rate
    W = replace(program.params["W"], decay=Coefficient.of(1))
    program = perceptron("standard", line("lion", lr="0.1"), W=W)
    sim = simulate(program, {"x": X, "y": Y}, width=6, steps=1, record=("W", "U"))
    shrunk = sim.initial["W"] * 0.9
    np.testing.assert_allclose(np.abs(sim.final["W"] - shrunk), 0.1)


def test_several_lines_split_the_weights() -> None:
    muon = OptimizerSpec("muon", options(lr="0.02"), params=("W",))
    program = replace(perceptron(), optimizers=(muon, line("adam")))
    sim = simulate(program, {"x": X, "y": Y}, width=6, steps=1, record=("W", "U"))
    step = (sim.initial["W"] - sim.final["W"])[0] / 0.02
    values = np.linalg.svd(step, compute_uv=False)
    np.testing.assert_allclose(values[values > 0.5], 1)
    np.testing.assert_allclose(np.abs(sim.final["U"] - sim.initial["U"]), 0.05 * 6**0.5)


def test_what_cannot_be_trained_is_refused() -> None:
    from programs import dims, module, spec

    from tpc.ops.add import add
    from tpc.ops.contract import matmul
    from tpc.ops.input import input_
    from tpc.ops.param import param

    b, V, x = param("b", dims("n")), param("V", dims(1, "n")), input_("x", dims("n"))
    f = matmul(V, add(x, b))
    program = module(
        {"f": f},
        {"b": spec("b", b), "V": spec("V", V)},
        loss=f if f.type.rank == 0 else matmul(param("o", dims(1)), f),
        optimizers=(line("muon"),),
    )
    with pytest.raises(TpcError, match="muon orthogonalises matrices"):
        unroll(program, 1)
    faithful = perceptron(optimizer=line("adam", eps="faithful"))
    with pytest.raises(TpcError, match="faithful"):
        simulate(faithful, {"x": X, "y": Y}, width=4, steps=1)
    solved = {k: replace(s, eps=Coefficient.width(-1)) for k, s in faithful.params.items()}
    simulate(
        perceptron(optimizer=line("adam", eps="faithful"), **solved),
        {"x": X, "y": Y},
        width=4,
        steps=1,
    )
