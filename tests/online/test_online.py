"""Compiled online steps against the plain interpreter, and their limit against the general one."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.online import online

CBOW = """
width n
size vocab = 11, slots = 4, picks = 5
parametrization mup
input  context : [slots] in vocab
input  share   : [slots]
input  words   : [picks] in vocab
target label   : [picks]
param U : [vocab, n]
param V : [vocab, n]  init zero
def score(context, share, words):
    h = einsum("c, c n -> n", share, U[context])
    return V[words] @ h
train:
    loss = picks * logistic(score(context, share, words), label)
    optimizer sgd({options})
"""
MEAN = """
width n
size vocab = 11, slots = 4, picks = 5
parametrization mup
input  context : [slots] in vocab
input  words   : [picks] in vocab
target label   : [picks]
param U : [vocab, n]
param V : [vocab, n]  init normal(1/2)
def score(context, words) = V[words] @ mean(U[context], axis = 1)
train:
    loss = logistic(score(context, words), label)
    optimizer sgd({options})
"""
SKIP = """
width n
size vocab = 11, slots = 4, picks = 4
parametrization mup
input  context : [slots] in vocab
input  words   : [picks] in vocab
target label   : [picks]
param U : [vocab, n]
param V : [vocab, n]  init normal(1/2)
def score(context, words) = dot(V[words], U[context])
train:
    loss = mse(tanh(score(context, words)), label)
    optimizer sgd({options})
"""
TIED = """
width n
size vocab = 11, slots = 4, picks = 5
input  context : [slots] in vocab
input  words   : [picks] in vocab
target label   : [picks]
param U : [vocab, n]  abc(1/2, 0, -1)
def score(context, words) = U[words] @ (U[context[1]] - 2 * mean(U[context], axis = 1))
train:
    loss = mse(score(context, words), label)
    optimizer sgd({options})
"""
SEVERAL = """
width n
size vocab = 11, slots = 4, picks = 5
parametrization mup
input  context : [slots, 2] in vocab
input  words   : [picks] in vocab
target label   : [slots, picks]
param U : [vocab, n]
param V : [vocab, n]  init zero
def score(context, words) = V[words] @ mean(U[context], axis = 2)
train:
    loss = 20 * logistic(score(context, words), label)
    optimizer sgd({options})
"""
PIECE = TIED.replace("U[context[1]] - 2 * ", "")
FULL = "lr = 0.4, schedule = linear, decay = 0.03, decay_on = touched"


def samples(program: tpc.Program, count: int) -> dict[str, np.ndarray]:
    random, data = np.random.default_rng(3), {}
    for name, spec in program.module.inputs.items():
        shape = (count, *(int(dim.count) for dim in spec.type.dims))
        if spec.type.below is not None:
            data[name] = random.integers(1, spec.type.below + 1, shape)
        else:
            data[name] = random.integers(0, 2, shape) / (1 + random.integers(1, 4, shape))
    return data


SHAPES = [
    pytest.param(CBOW, id="cbow"),
    pytest.param(SKIP, id="skip"),
    pytest.param(MEAN, id="mean", marks=pytest.mark.slow),  # each compiles for seconds
    pytest.param(SEVERAL, id="several", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("options", ["lr = 0.4", FULL])
@pytest.mark.parametrize("text", SHAPES)
def test_equals_the_plain_interpreter(text: str, options: str) -> None:
    program = tpc.compile(text=text.format(options=options))
    data, steps, width = samples(program, 12), 12, 9
    batches = [np.array([t]) for t in range(steps)]
    plain = program.simulate(data, width=width, steps=steps, batches=batches, record=("U", "V"))
    network = online(program.module).network(width, steps=steps, dtype="float64")
    parts = [
        {name: array[rows] for name, array in data.items()} for rows in (slice(5), slice(5, 12))
    ]
    losses = np.concatenate([network.train(part) for part in parts])
    np.testing.assert_allclose(losses, plain.loss[0], rtol=1e-10)
    for name in ("U", "V"):
        np.testing.assert_allclose(network.weights[name], plain.final[name][0], atol=1e-10)


@pytest.mark.slow
def test_one_table_looked_up_twice() -> None:
    program = tpc.compile(text=PIECE.format(options="lr = 0.1, schedule = linear"))
    data, batches = samples(program, 8), [np.array([t]) for t in range(8)]
    plain = program.simulate(data, width=7, steps=8, batches=batches, record=("U",))
    network = online(program.module).network(7, steps=8, dtype="float64")
    np.testing.assert_allclose(network.train(data), plain.loss[0], rtol=1e-10)
    np.testing.assert_allclose(network.weights["U"], plain.final["U"][0], atol=1e-10)


@pytest.mark.parametrize("text", SHAPES)
def test_limit_equals_the_general_engine(text: str) -> None:
    program = tpc.compile(text=text.format(options="lr = 0.4"))
    data, steps = samples(program, 8), 8
    assert program.classify().kind == "feature"
    batches = [np.array([t]) for t in range(steps)]
    general = program.limit("feature").train(data, steps, batches=batches)
    assert general.method == "linear"
    network = online(program.module).limit(steps=steps, dtype="float64")
    assert network.weights["U"].shape == (11, 11 if "init zero" in text else 22)
    np.testing.assert_allclose(network.train(data), general.loss, rtol=1e-9)


def test_single_precision_is_close() -> None:
    program = tpc.compile(text=CBOW.format(options=FULL))
    data = samples(program, 40)
    compiled = online(program.module)
    single, double = (compiled.limit(steps=40, dtype=kind) for kind in ("float32", "float64"))
    np.testing.assert_allclose(single.train(data), double.train(data), rtol=1e-5)
    np.testing.assert_allclose(single.weights["U"], double.weights["U"], atol=1e-6)


def test_finite_widths_tend_to_the_limit() -> None:
    program = tpc.compile(text=CBOW.format(options=FULL))
    data, compiled = samples(program, 60), online(program.module)
    limit = compiled.limit(steps=60, dtype="float64").train(data)
    distance = []
    for width in (64, 256, 1024):
        runs = [
            compiled.network(width, seed=seed, steps=60, dtype="float64").train(data)
            for seed in range(8)
        ]
        distance.append(float(np.sqrt(np.mean((np.array(runs) - limit) ** 2))))
    ratios = np.array(distance[:-1]) / distance[1:]
    assert (ratios > 1.5).all()  # like n^-1/2: each is about 2
    assert (ratios < 2.7).all()


def test_kernel_regime_stands_still() -> None:
    program = tpc.compile(text=CBOW.format(options="lr = 0.4")).with_(parametrization="ntk")
    assert program.classify().kind == "kernel"
    compiled, data = online(program.module), samples(program, 30)
    network = compiled.limit(steps=30, dtype="float64")
    losses = network.train(data)
    np.testing.assert_array_equal(network.weights["U"], np.eye(11))
    assert "in the limit U stands still" in compiled.text()
    wide = compiled.network(20000, seed=1, steps=30, dtype="float64").train(data)
    np.testing.assert_allclose(wide, losses, atol=0.1)


def test_words_of_a_sample_may_repeat_and_padding_has_weight_zero() -> None:
    program = tpc.compile(text=CBOW.format(options=FULL))
    data = samples(program, 6)
    data["words"][:] = [[3, 3, 7, 3, 7]]
    data["share"][:, 2:] = 0.0
    other = {name: array.copy() for name, array in data.items()}
    other["context"][:, 2:] = 1
    networks = [online(program.module).limit(steps=6, dtype="float64") for _ in range(2)]
    first, second = (each.train(part) for each, part in zip(networks, (data, other), strict=True))
    np.testing.assert_array_equal(first, second)


REFUSED = {
    "optimizer": CBOW.replace("sgd", "adam").format(options="lr = 0.1"),
    "decay": CBOW.format(options="lr = 0.1, decay = 0.1"),
    "clip": CBOW.format(options="lr = 0.1, clip = 1"),
    "nonlinear": MEAN.replace(
        "mean(U[context], axis = 1)", "relu(mean(U[context], axis = 1))"
    ).format(options="lr = 0.1"),
    "whole": MEAN.replace("mean(U[context], axis = 1)", "mean(U, axis = 1)").format(
        options="lr = 0.1"
    ),
    "frozen": CBOW.replace("init zero", "init zero frozen").format(options="lr = 0.1"),
    "piece": TIED.format(options="lr = 0.1"),
    "two vectors": PIECE.format(options="lr = 0.1, decay = 0.1, decay_on = touched"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals(name: str) -> None:
    program = tpc.compile(text=REFUSED[name])
    with pytest.raises(tpc.TpcError) as caught:
        online(program.module)
    assert caught.value.diagnostics[0].code == "E0929"


def test_checks_of_a_run() -> None:
    program = tpc.compile(text=CBOW.format(options="lr = 0.4, schedule = linear"))
    network = online(program.module).network(8, steps=3)
    with pytest.raises(tpc.TpcError, match="4 more steps after 0"):
        network.train(samples(program, 4))
    with pytest.raises(tpc.TpcError, match=r"has no array|words"):
        network.train({"words": np.ones((1, 5), int)})
    wild = tpc.compile(text=CBOW.format(options="lr = 1e8"))
    with pytest.raises(tpc.TpcError, match="diverged"):
        online(wild.module).network(64, steps=200).train(samples(wild, 200))
    with pytest.raises(tpc.TpcError, match="GB"):
        online(program.module).network(10**12, steps=3)


def test_a_limit_that_diverges_or_stays_random_is_refused() -> None:
    text = CBOW.replace("init zero", "").format(options="lr = 0.1")
    program = tpc.compile(text=text).with_(parametrization="ntk")
    with pytest.raises(tpc.TpcError) as caught:
        online(program.module).limit(steps=1)
    assert caught.value.diagnostics[0].code == "E0929"
