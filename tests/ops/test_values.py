"""What ops compute, against independent definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cases import f
from graphs import dims, random_leaves, run, w_, x_
from hypothesis import given
from hypothesis import strategies as st

from tpc.exact import Constant
from tpc.ir import walk
from tpc.ops import ops
from tpc.ops.index_map import IndexMap
from tpc.ops.windows import layout

RANDOM = np.random.default_rng(7)


def evaluate(node, **arrays):
    """Evaluate with arrays given by the names of leaves."""
    leaves = {n: arrays[n.attrs["name"]] for n in walk([node]) if n.op.name in ("input", "param")}
    batch = max((len(a) for leaf, a in leaves.items() if leaf.type.batched), default=1)
    return run(node, leaves, batch=batch, width=5)


def same_padding(extent: int, size: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """TensorFlow's documented rule: windows, zeros in front, zeros behind."""
    count = -(-extent // stride)
    effective = (size - 1) * dilation + 1
    if extent % stride == 0:
        pad = max(effective - stride, 0)
    else:
        pad = max(effective - extent % stride, 0)
    return count, pad // 2, pad - pad // 2


sizes = st.integers(1, 4)


@given(st.integers(1, 9), sizes, sizes, sizes)
def test_same_windows_follow_tensorflow(extent, size, stride, dilation):
    where = layout(extent, size, stride, dilation, "same")
    count, before, _ = same_padding(extent, size, stride, dilation)
    assert (where.count, where.before) == (count, before)


def naive_conv2d(K, x, stride, padding, dilation):
    kh, kw, out, _ = K.shape
    H, W, _ = x.shape

    def plan(extent, size, step, gap):
        span = (size - 1) * gap + 1
        if padding == "valid":
            return (extent - span) // step + 1, 0
        return same_padding(extent, size, step, gap)[:2]

    (h, top), (w, left) = (
        plan(H, kh, stride[0], dilation[0]),
        plan(W, kw, stride[1], dilation[1]),
    )
    y = np.zeros((h, w, out))
    for r, c, i, j in itertools.product(range(h), range(w), range(kh), range(kw)):
        p = r * stride[0] - top + i * dilation[0]
        q = c * stride[1] - left + j * dilation[1]
        if padding == "circular":
            y[r, c] += K[i, j] @ x[p % H, q % W]
        elif 0 <= p < H and 0 <= q < W:
            y[r, c] += K[i, j] @ x[p, q]
    return y


@given(
    st.tuples(st.integers(3, 6), st.integers(3, 6)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["same", "valid", "circular"]),
    st.sampled_from([(1, 1), (2, 1)]),
)
def test_conv2d_is_the_naive_loop(image, window, stride, padding, dilation):
    if padding == "valid" and (window[0] - 1) * dilation[0] + 1 > image[0]:
        return
    K, x = RANDOM.normal(size=(*window, 2, 3)), RANDOM.normal(size=(2, *image, 3))
    node = f(
        "conv2d",
        w_("K", *window, 2, 3),
        x_("x", *image, 3),
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    expected = np.stack([naive_conv2d(K, each, stride, padding, dilation) for each in x])
    np.testing.assert_allclose(evaluate(node, K=K, x=x), expected, atol=1e-12)


@given(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["same", "valid"]))
def test_conv2d_transpose_is_the_transpose(extent, size, stride, padding):
    """<conv(y), x> = <y, conv_transpose(x)> with in and out of the kernel exchanged."""
    K = RANDOM.normal(size=(size, size, 2, 3))
    x = RANDOM.normal(size=(1, extent, extent, 3))
    up = f(
        "conv2d_transpose",
        w_("K", size, size, 2, 3),
        x_("x", extent, extent, 3),
        stride=(stride,),
        padding=padding,
    )
    grown = int(up.type.dims[0].count)
    assert grown == extent * stride + (max(size - stride, 0) if padding == "valid" else 0)
    y = RANDOM.normal(size=(1, grown, grown, 2))
    down = f(
        "conv2d",
        w_("K", size, size, 3, 2),
        x_("y", grown, grown, 2),
        stride=(stride,),
        padding=padding,
    )
    assert down.type.dims == dims(extent, extent, 3)
    forward = evaluate(down, K=K.transpose(0, 1, 3, 2), y=y)
    np.testing.assert_allclose((forward * x).sum(), (evaluate(up, K=K, x=x) * y).sum(), atol=1e-10)


def test_pooling():
    x = RANDOM.normal(size=(2, 5, 4, 3))
    leaf = x_("x", 5, 4, 3)
    whole = evaluate(f("avg_pool", leaf, window=(2,)), x=x)
    np.testing.assert_allclose(whole, x[:, :4].reshape(2, 2, 2, 2, 2, 3).mean(axis=(2, 4)))
    edge = evaluate(f("avg_pool", leaf, window=(2,), padding="same"), x=x)
    assert edge.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(edge[:, 2, 0], x[:, 4, :2].mean(axis=1))
    counted = evaluate(f("sum_pool", leaf, window=(2,), padding="same"), x=x)
    np.testing.assert_allclose(counted[:, 2, 0], x[:, 4, :2].sum(axis=1))


def test_resize():
    leaf, x = x_("x", 2, 1), np.array([[[0.0], [1.0]]])
    linear = evaluate(f("resize", leaf, to=(4,)), x=x)
    np.testing.assert_allclose(linear[0, :, 0], [0, 0.25, 0.75, 1])
    nearest = evaluate(f("resize", leaf, to=(4,), method="nearest"), x=x)
    np.testing.assert_allclose(nearest[0, :, 0], [0, 0, 1, 1])


def test_softmax_masks():
    x = RANDOM.normal(size=(2, 3, 3)) * 50
    leaf = x_("x", 3, 3)
    causal = evaluate(f("softmax", leaf, axis=1, mask="causal"), x=x)
    for t in range(3):
        weights = np.exp(x[:, t, : t + 1] - x[:, t, : t + 1].max(axis=1, keepdims=True))
        np.testing.assert_allclose(
            causal[:, t, : t + 1], weights / weights.sum(axis=1, keepdims=True)
        )
        assert not causal[:, t, t + 1 :].any()
    mask = np.array([[1.0, 1, 0], [0, 0, 0]])
    masked = evaluate(f("softmax", leaf, axis=1, mask=x_("m", 3)), x=x, m=mask)
    np.testing.assert_allclose(masked[0].sum(axis=1), 1)
    assert not masked[0, :, 2].any()
    assert not masked[1].any()  # nothing is kept: nothing is attended to


def test_softmax_does_not_overflow():
    node = f("softmax", x_("x", 2))
    np.testing.assert_allclose(evaluate(node, x=np.array([[1e4, 0.0]])), [[1, 0]])
    node = f("logsumexp", x_("x", 2))
    np.testing.assert_allclose(evaluate(node, x=np.array([[1e4, 1e4]])), [1e4 + np.log(2)])


letters = st.sampled_from("abcd")


@given(st.lists(st.lists(letters, unique=True, max_size=3), min_size=1, max_size=3), st.data())
def test_einsum_is_numpys(inputs, data):
    extent = {"a": 2, "b": 3, "c": 4, "d": 2}
    used = sorted({name for group in inputs for name in group})
    out = data.draw(st.lists(st.sampled_from(used), unique=True)) if used else []
    arrays = {
        f"x{k}": RANDOM.normal(size=[2, *(extent[n] for n in group)])
        for k, group in enumerate(inputs)
    }
    operands = tuple(x_(f"x{k}", *(extent[n] for n in group)) for k, group in enumerate(inputs))
    spec = ", ".join(" ".join(group) for group in inputs) + " -> " + " ".join(out)
    plain = ",".join("z" + "".join(group) for group in inputs) + "->z" + "".join(out)
    found = evaluate(f("einsum", spec, operands), **arrays)
    np.testing.assert_allclose(found, np.einsum(plain, *arrays.values()), atol=1e-12)


def test_matmul_puts_the_axes_of_x_first():
    from tpc.ops.contract import matmul

    W, x = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(2, 4, 3))
    node = matmul(w_("W", "n", 3), x_("x", 4, 3))
    assert node.type.dims == dims(4, "n")
    np.testing.assert_allclose(evaluate(node, W=W, x=x), x @ W.T)


def test_normalisations():
    x = RANDOM.normal(size=(4, 3, 5))
    leaf = x_("x", 3, "n")
    centred = x - x.mean(axis=2, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=2, keepdims=True))
    np.testing.assert_allclose(evaluate(f("layer_norm", leaf), x=x), expected)
    rms = x / np.sqrt((x**2).mean(axis=2, keepdims=True) + 0.5)
    half = Constant.of(1) / 2
    np.testing.assert_allclose(evaluate(f("rms_norm", leaf, eps=half), x=x), rms)
    over_data = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(evaluate(f("batch_norm", leaf), x=x), over_data)
    over_axis = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    np.testing.assert_allclose(evaluate(f("batch_norm", leaf, axis=(0,)), x=x), over_axis)


def test_losses():
    z, t = RANDOM.normal(size=(4, 2, 3)), RANDOM.random(size=(4, 2, 3))
    logits, target = x_("z", 2, 3), x_("t", 2, 3)
    np.testing.assert_allclose(
        evaluate(f("mse", logits, target), z=z, t=t), ((z - t) ** 2).mean(axis=(1, 2))
    )
    np.testing.assert_allclose(
        evaluate(f("squared_error", logits, target), z=z, t=t), ((z - t) ** 2).sum() / 2
    )
    p = np.exp(z) / np.exp(z).sum(axis=2, keepdims=True)
    expected = -(t * np.log(p)).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(evaluate(f("cross_entropy", logits, target), z=z, t=t), expected)
    classes = RANDOM.integers(1, 4, size=(4, 2))
    picked = np.take_along_axis(np.log(p), classes[..., None] - 1, axis=2)[..., 0]
    node = f("cross_entropy", logits, x_("c", 2, below=3))
    np.testing.assert_allclose(evaluate(node, z=z, c=classes), -picked.mean(axis=1))
    s = 1 / (1 + np.exp(-z))
    bce = -(t * np.log(s) + (1 - t) * np.log(1 - s)).mean(axis=(1, 2))
    np.testing.assert_allclose(evaluate(f("logistic", logits, target), z=z, t=t), bce)


def test_dropout_draws_for_each_site_and_keeps_the_mean():
    x = np.ones((2000, 4))
    leaf, rate = x_("x", 4), Constant.of(1) / 4
    one, two = (evaluate(f("dropout", leaf, rate=rate, site=site), x=x) for site in (1, 2))
    assert set(np.unique(one)) == {0.0, 4 / 3}
    assert (one != two).any()
    assert abs(one.mean() - 1) < 0.05
    assert f("dropout", leaf, rate=Constant.of(0), site=1) is leaf


def test_flatten_and_parts_are_row_major():
    x = RANDOM.normal(size=(2, 3, 5))
    node = f("flatten", x_("x", 3, "n"))
    assert node.type.dims == dims("3n")
    np.testing.assert_allclose(evaluate(node, x=x), x.reshape(2, 15))


def test_sources_say_where_entries_come_from():
    """The moves of an index map reproduce what it computes."""
    from cases import OPS

    moves = [n for case in OPS.values() for n in walk([case()]) if isinstance(n.op, IndexMap)]
    assert {node.op.name for node in moves} == {
        op.name for op in ops().values() if isinstance(op, IndexMap)
    } - {"concat"}
    for node in moves:
        origin, position = node.op.sources(node)
        leaves = random_leaves([node], width=1)
        inputs = [run(operand, leaves, width=1) for operand in node.operands]
        full = [
            a if o.type.batched else np.broadcast_to(a, (3, *np.shape(a)))
            for a, o in zip(inputs, node.operands, strict=True)
        ]
        result = np.broadcast_to(run(node, leaves, width=1), (3, *origin.shape))
        for where in np.ndindex(origin.shape):
            value = 0.0
            if origin[where] >= 0:
                value = full[origin[where]].reshape(3, -1)[:, position[where]]
            np.testing.assert_array_equal(result[(slice(None), *where)], value)


def test_transpositions_are_absorbed_into_contractions():
    from tpc.ops.contract import matmul
    from tpc.ops.transpose import swap_last

    W, x = w_("W", "n", "n"), x_("x", "n")
    node = matmul(swap_last(W), x)
    assert node.operands == (W, x)
    a = RANDOM.normal(size=(5, 5))
    b = RANDOM.normal(size=(2, 5))
    np.testing.assert_allclose(evaluate(node, W=a, x=b), b @ a)


@pytest.mark.parametrize("shared", [True, False])
def test_look_up_counts_from_one(shared):
    from tpc.ops.gather import gather

    table = RANDOM.normal(size=(4, 5) if shared else (2, 4, 5))
    ids = np.array([[1, 4, 1], [2, 2, 3]])
    leaf = w_("t", 4, "n") if shared else x_("t", 4, "n")
    found = evaluate(gather(leaf, x_("ids", 3, below=4)), t=table, ids=ids)
    rows = [(table if shared else table[k])[ids[k] - 1] for k in range(2)]
    np.testing.assert_array_equal(found, np.stack(rows))
