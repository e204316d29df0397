"""The contract of every op: its derivative against finite differences, batches against loops."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, f
from graphs import BATCH, context, numeric_gradient, random_leaves, run, w_, x_

from tpc.differentiate import gradient
from tpc.ir import Node, make, walk
from tpc.ir.verify import verify
from tpc.ops import functions, ops
from tpc.ops.base import MissingRule
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE, batch_sum
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.multiply import multiply
from tpc.ops.param import param
from tpc.ops.sum import total
from tpc.simulate import execute

#: Ops that only training makes, tested with the optimizers.
TRAINING = {"rate", "update", "clip_factor"}
NOT_DIFFERENTIABLE = {"stop_gradient"}
#: What is cut by decree, or has no derivative to compare.
ELSEWHERE = {"stop_gradient"}


def scalar(node: Node, name: str = "cotangent") -> Node:
    """A scalar that weighs every entry of a value: the same weights for all samples."""
    weighed = total(multiply(node, param(name, node.type.dims)), tuple(range(node.type.rank)))
    return batch_sum(weighed) if weighed.type.batched else weighed


def real_leaves(root: Node) -> list[Node]:
    return [
        node
        for node in walk([root])
        if node.op.name in ("input", "param") and node.type.below is None
    ]


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_the_finite_difference(name: str) -> None:
    node = CASES[name]()
    verify([node])
    loss = scalar(node)
    values = random_leaves([loss])
    leaves = real_leaves(loss)
    derivatives = gradient(loss, leaves)
    verify(derivatives)
    found = execute(derivatives, values, context())
    for leaf, derivative, computed in zip(leaves, derivatives, found, strict=True):
        assert derivative.type.dims == leaf.type.dims
        expected = numeric_gradient(loss, leaf, values)
        full = np.broadcast_to(computed, expected.shape)
        np.testing.assert_allclose(full, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_second_derivative_is_the_finite_difference(name: str) -> None:
    loss = scalar(CASES[name]())
    leaves = [leaf for leaf in real_leaves(loss) if leaf.attrs["name"] != "cotangent"]
    for leaf in leaves[:1]:
        (first,) = gradient(loss, [leaf])
        again = scalar(first, "direction")
        values = random_leaves([again, loss])
        (second,) = gradient(again, [leaf])
        (computed,) = execute([second], values, context())
        if leaf not in set(walk([again])):
            assert not np.any(computed)
            continue
        expected = numeric_gradient(again, leaf, values)
        full = np.broadcast_to(computed, expected.shape)
        np.testing.assert_allclose(full, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_a_loop_over_samples(name: str) -> None:
    node = CASES[name]()
    if any(n.op in (BATCH_MEAN, BATCH_SUM, PER_SAMPLE, BERNOULLI) for n in walk([node])):
        pytest.skip("samples meet")
    if any(n.attrs.get("sum_batch") for n in walk([node])):
        pytest.skip("samples meet")
    values = random_leaves([node])
    together = run(node, values)
    if not node.type.batched:
        assert together.shape == node.type.shape(context().width)
        return
    assert together.shape == node.type.shape(context().width, BATCH)
    for sample in range(BATCH):
        alone = {
            leaf: array[sample : sample + 1] if leaf.type.batched else array
            for leaf, array in values.items()
        }
        np.testing.assert_allclose(run(node, alone, batch=1)[0], together[sample], rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_evaluation_leaves_its_operands_alone(name: str) -> None:
    node = CASES[name]()
    values = random_leaves([node])
    before = {leaf: array.copy() for leaf, array in values.items()}
    run(node, values)
    for leaf, array in values.items():
        np.testing.assert_array_equal(array, before[leaf])


@pytest.mark.parametrize("name", CASES)
def test_work_is_counted(name: str) -> None:
    assert all(node.op.flops(node, context()) >= 0 for node in walk([CASES[name]()]))


def test_every_op_and_function_has_a_case() -> None:
    met = {node.op.name for case in CASES.values() for node in walk([case()])}
    assert set(ops()) - TRAINING - ELSEWHERE <= met
    named = {name.split(" of ")[0].split(" ")[0].rstrip(",") for name in CASES}
    assert set(functions()) - ELSEWHERE <= named


def test_every_op_and_function_is_documented() -> None:
    for op in ops().values():
        assert (type(op).__doc__ or "").strip(), op.name
    for function in functions().values():
        assert function.summary, function.name
        assert function.signature.startswith(function.name + "(")


def test_equal_expressions_are_one_node() -> None:
    for name, case in CASES.items():
        assert case() is case(), name


def test_stop_gradient_cuts() -> None:
    x = x_("x", 2)
    loss = scalar(multiply(x, f("stop_gradient", x)))
    values = random_leaves([loss])
    (g,) = execute(gradient(loss, [x]), values, context())
    cotangent = next(array for leaf, array in values.items() if leaf.attrs["name"] == "cotangent")
    np.testing.assert_allclose(g, cotangent * values[x])


def test_per_sample_gradients_are_those_of_single_samples() -> None:
    w, x = w_("w", 2, 3), x_("x", 3)
    from tpc.ops.contract import matmul
    from tpc.ops.power import power

    loss = total(power(matmul(w, x), 3), (0,))
    (each,) = gradient(loss, [w], per_sample=True)
    (together,) = gradient(loss, [w])
    assert each.type.batched
    assert not together.type.batched
    values = random_leaves([loss])
    (a, b) = execute([each, together], values, context())
    np.testing.assert_allclose(a.sum(axis=0), b)
    for sample in range(BATCH):
        single = {w: values[w], x: values[x][sample : sample + 1]}
        (g,) = execute(gradient(loss, [w]), single, context(batch=1))
        np.testing.assert_allclose(a[sample], g)


def test_no_gradient_of_a_weight_is_held_for_each_sample() -> None:
    """A gradient over the batch is one contraction (or scatter), never (B, n, n) numbers."""
    from tpc.ops.contract import matmul

    w, table = w_("w", "n", "n"), w_("t", 5, "n")
    h = matmul(w, f("mean", make(ops()["gather"], table, x_("i", 2, below=5)), axis=(0,)))
    loss = batch_sum(total(multiply(h, h), (0,)))
    for derivative in gradient(loss, [w, table]):
        for node in walk([derivative]):
            assert not (node.type.batched and node.type.dims in (w.type.dims, table.type.dims))


def test_an_op_without_a_rule_says_so() -> None:
    from tpc.ops.update import update

    w = w_("w", 2)
    node = update("sign", [w], w, {})
    with pytest.raises(MissingRule, match="update has no derivative rule"):
        gradient(total(node, (0,)), [w])
