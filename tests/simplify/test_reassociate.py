"""Rewritten graphs have the values of the graphs that they come from, and need less."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.ir.node import Node, walk
from tpc.ops.add import add
from tpc.ops.base import EvalContext
from tpc.ops.contract import contract
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.ops.rate import RATE
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.simplify import simplified
from tpc.simulate import execute, initial_weights
from tpc.study import random_data
from tpc.unroll import training_step

META = """
width n
size d = {d}, ways = 3, shots = {shots}, queries = {queries}, inner_steps = {steps}
parametrization mup
input  xs : [ways*shots, d]
input  xq : [ways*queries, d]
target ys : [ways*shots, ways]
target yq : [ways*queries, ways]
param U : [n, d]
param B : [n]  init zero
param V : [ways, n]
{hidden}
act phi = {phi}
def f(x, U, B, V, W) = V @ ({readout}phi(U @ x + B))
train:
    Ua = U
    Ba = B
    Va = V
    Wa = {start}
    for t in 1..inner_steps:
        inner_loss = cross_entropy(f(xs, Ua, Ba, Va, Wa), ys)
        gu = {cut}(grad(inner_loss, Ua))
        gb = {cut}(grad(inner_loss, Ba))
        gv = {cut}(grad(inner_loss, Va))
        {step}
        Ua = Ua - 0.4 * gu
        Ba = Ba - 0.4 * gb
        Va = Va - 0.4 * gv
    loss = cross_entropy(f(xq, Ua, Ba, Va, Wa), yq)
    optimizer sgd(lr = 0.1, clip = 1/2)
"""


def program(
    phi: str, steps: int, deep: bool, second: bool, d: int = 40, shots: int = 1, queries: int = 2
) -> tpc.Program:
    text = META.format(
        d=d,
        phi=phi,
        steps=steps,
        shots=shots,
        queries=queries,
        cut="" if second else "stop_gradient",
        hidden="param W : [n, n]" if deep else "",
        readout="W @ " if deep else "",
        start="W" if deep else "0",
        step="Wa = Wa - 0.4 * stop_gradient(grad(inner_loss, Wa))" if deep else "Wb = 0",
    )
    return tpc.compile(text=text)


def values(compiled: tpc.Program, roots: tuple[Node, ...], count: int = 4) -> list[np.ndarray]:
    module = compiled.module
    data = random_data(module, count)
    weights = initial_weights(module, 24, 0)
    bound = {
        node: (weights if node.op is PARAM else data)[node.attrs["name"]]
        for node in walk(roots)
        if node.op in (PARAM, INPUT)
    }
    return list(execute(roots, bound, EvalContext(24, count, module.params)))


@pytest.mark.parametrize("phi", ["identity", "relu", "tanh"])
@pytest.mark.parametrize(("steps", "deep"), [(1, False), (3, False), (2, True)])
@pytest.mark.parametrize("second", [False, True])
def test_meta_learning_has_the_same_gradients(
    phi: str, steps: int, deep: bool, second: bool
) -> None:
    compiled = program(phi, steps, deep, second)
    step = training_step(compiled.module)
    roots = (step.loss, *step.gradients.values())
    rewritten = simplified(roots)
    for plain, fast in zip(values(compiled, roots), values(compiled, rewritten), strict=True):
        assert plain.shape == fast.shape
        np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-12 * np.abs(plain).max())


@pytest.mark.parametrize(("deep", "steps"), [(False, 1), (False, 20), (True, 2)])
def test_no_sample_has_a_weight_of_its_own(deep: bool, steps: int) -> None:
    compiled = program("relu", steps, deep, second=False)
    step = training_step(compiled.module)
    roots = (step.loss, *step.gradients.values())
    weight = compiled.module.params["U"].type

    def adapted(nodes: tuple[Node, ...]) -> list[Node]:
        return [n for n in walk(nodes) if n.type.batched and set(n.type.dims) == set(weight.dims)]

    assert adapted(roots)
    rewritten = simplified(roots)
    assert not adapted(rewritten)
    assert not [n for n in walk(rewritten) if n.type.batched and n.type.sort > 1]
    assert not [n for n in walk(rewritten) if n.op is STOP_GRADIENT]


def test_programs_without_outer_products_stay_as_they_are() -> None:
    compiled = tpc.compile(
        text="""
width n
size d = 6
parametrization mup
input x : [d]
target y : [1]
param U : [n, d]
param W : [n, n]
param V : [1, n]
def f(x) = V @ tanh(W @ tanh(U @ x))
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
    )
    step = training_step(compiled.module)
    roots = (step.loss, *step.gradients.values())
    assert simplified(roots) == roots


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_sums_of_outer_products_on_vectors(data: st.DataObject) -> None:
    """Any sum of a common weight and outer products, on any side, summed over samples or not."""
    compiled = program("identity", 1, deep=False, second=False, d=data.draw(st.integers(20, 60)))
    inputs = {
        node.attrs["name"]: node
        for node in walk([compiled.module.loss])
        if node.op in (INPUT, PARAM)
    }
    x, q, u = inputs["xs"], inputs["xq"], inputs["U"]
    h, k = contract(x, u, (0, 2), (1, 2), (0, 1)), contract(q, u, (0, 2), (1, 2), (0, 1))
    terms = [
        u,
        contract(h, x, (0, 1), (0, 2), (1, 2)),
        contract(k, q, (0, 1), (0, 2), (1, 2)),
    ]
    chosen = data.draw(st.lists(st.sampled_from(terms), min_size=1, max_size=4))
    weight = reduce(add, chosen)
    sum_batch = data.draw(st.booleans()) and weight.type.batched
    swapped = data.draw(st.booleans())
    y, labels, out = data.draw(
        st.sampled_from([(q, (5, 2), (5, 1)), (k, (5, 1), (2, 5)), (k, (5, 1), (5, 2))])
    )
    if swapped:
        root = contract(y, weight, labels, (1, 2), out, sum_batch=sum_batch)
    else:
        root = contract(weight, y, (1, 2), labels, out, sum_batch=sum_batch)
    (plain,), (fast,) = values(compiled, (root,)), values(compiled, simplified((root,)))
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-12 * np.abs(plain).max())


def test_rates_go_along() -> None:
    step = training_step(program("relu", 2, deep=False, second=False).module)
    rewritten = simplified((step.loss, *step.gradients.values()))
    assert {n.attrs["param"] for n in walk(rewritten) if n.op is RATE} == {"U", "B", "V"}
