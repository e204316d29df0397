"""Sessions: training on a stream, at finite width, in the limit, in the kernel regime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.datasets.tasks import Tasks
from tpc.feature import feature_limit
from tpc.fewshot import accuracy
from tpc.kernel_session import KernelSession, Meta
from tpc.session import Session
from tpc.streaming import StreamRun, train_stream

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "maml"
SMALL = {"d": 12, "tasks": 8}


def program(name: str, **changes: object) -> tpc.Program:
    settings = SMALL | changes
    if name == "network":
        settings.pop("tasks")
    return tpc.compile(FOLDER / f"{name}.tp").with_(**settings)  # type: ignore[arg-type]


def tasks(seed: int = 0) -> Tasks:
    random = np.random.default_rng(1)
    centres = random.random((40, 1, 12))
    images = np.clip(centres + 0.15 * random.standard_normal((40, 6, 12)), 0, 1)
    return Tasks(images, seed=seed)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


class Corollary:
    """TP4, Corollary 6.2: the limit of a linear network is a finite one, begun at identities."""

    def __init__(self, d: int, k: int, sigma_v: float) -> None:
        self.u, self.b = np.eye(d + k, d), np.zeros(d + k)
        self.v = sigma_v * np.eye(k, d + k, d)

    def adapted(self, x: np.ndarray, y: np.ndarray, steps: int) -> list[np.ndarray]:
        u, b, v = self.u, self.b, self.v
        for _ in range(steps):
            h = x @ u.T + b
            chi = (softmax(h @ v.T) - y) / len(x)
            back = chi @ v
            u, b, v = u - 0.4 * back.T @ x, b - 0.4 * back.sum(axis=0), v - 0.4 * chi.T @ h
        return [u, b, v]

    def step(self, batch: dict[str, np.ndarray], rate: float = 0.1) -> float:
        total, summed = 0.0, [np.zeros_like(w) for w in (self.u, self.b, self.v)]
        for xs, ys, xq, yq in zip(*(batch[k] for k in ("xs", "ys", "xq", "yq")), strict=True):
            u, b, v = self.adapted(xs, ys, 1)
            h = xq @ u.T + b
            p = softmax(h @ v.T)
            chi = (p - yq) / len(xq)
            back = chi @ v
            total -= float((np.log(p) * yq).sum()) / len(xq)
            for s, g in zip(summed, (back.T @ xq, back.sum(axis=0), chi.T @ h), strict=True):
                s += g
        factor = min(1.0, 0.5 / sum(float((s**2).sum()) for s in summed) ** 0.5)
        for w, s in zip((self.u, self.b, self.v), summed, strict=True):
            w -= rate * factor * s
        return total

    def predict(self, batch: dict[str, np.ndarray], steps: int) -> np.ndarray:
        found = []
        for xs, ys, xq in zip(batch["xs"], batch["ys"], batch["xq"], strict=True):
            u, b, v = self.adapted(xs, ys, steps)
            found.append((xq @ u.T + b) @ v.T)
        return np.array(found)


@pytest.mark.parametrize("steps_inside", [1, 4])
def test_linear_limit_is_the_corollary(steps_inside: int) -> None:
    compiled = program("linear")
    session, truth = compiled.session(steps=30), Corollary(12, 5, 1 / 32)
    assert session.method == "linear"
    for number in range(30):
        batch = tasks().batch(number, 8)
        assert session.step(batch) == pytest.approx(truth.step(batch), rel=1e-12)
    batch = tasks(1).batch(0, 6)
    longer = compiled.with_(inner_steps=steps_inside).module
    found = session.outputs(batch, longer)["f"]
    np.testing.assert_allclose(found, truth.predict(batch, steps_inside), atol=1e-12)


def test_limit_is_what_finite_widths_converge_to() -> None:
    batch = tasks(1).batch(0, 6)
    limit = trained(program("linear").session(steps=6), 6).outputs(batch)["f"]
    apart = []
    for width in (32, 512):
        f = [trained(program("linear").session(width, seed=s), 6).outputs(batch)["f"]
             for s in range(6)]  # fmt: skip
        apart.append(np.sqrt(((np.array(f) - limit) ** 2).mean()))
    assert apart[1] < 0.4 * apart[0]
    assert apart[1] < 0.1 * np.sqrt((limit**2).mean()) + 0.01


def test_relu_limit_is_what_finite_widths_converge_to() -> None:
    batch = tasks(1).batch(0, 6)
    session = program("relu").session(steps=6, particles=2048)
    assert session.method == "quasi"
    limit = trained(session, 6).outputs(batch)["f"]
    apart = []
    for width in (32, 512):
        f = [trained(program("relu").session(width, seed=s), 6).outputs(batch)["f"]
             for s in range(3)]  # fmt: skip
        apart.append(np.sqrt(((np.array(f) - limit) ** 2).mean()))
    assert apart[1] < 0.5 * apart[0]


def trained(session: Session, steps: int) -> Session:
    for number in range(steps):
        session.step(tasks().batch(number, 8))
    return session


@pytest.mark.parametrize(("kind", "name"), [("ntk", "ntk"), ("nngp", "gp")])
def test_rows_are_what_wide_networks_do(kind: str, name: str) -> None:
    """Kernels, inner steps, sums over tasks and clipping, against the program at finite width.

    Its readout starts at almost zero, as rows do: the readout's part of both kernels is left, which
    the NNGP of a readout of unit variance is.
    """
    batch, small = tasks(1).batch(0, 6), "1/1000"
    kernel = program("network", sigma_v="1" if kind == "nngp" else small).kernel_limit(kind)
    rows = KernelSession(kernel, 5, Meta(rate=2.0))
    wide = program(name, rate=2, sigma_v=small).session(1024)
    before = rows.outputs(batch)["f"]
    for number in range(3):
        part = tasks().batch(number, 4)
        assert wide.step(part) == pytest.approx(2 * rows.step(part), rel=0.02)
    found, limit = wide.outputs(batch)["f"], rows.outputs(batch)["f"]
    assert np.abs(found - limit).max() < 0.25 * np.abs(limit - before).max()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("cross_entropy(f(x), y)", "mse(f(x), y)", "loss is not the cross-entropy"),
        ("cross_entropy(f(x), y)", "2 * cross_entropy(f(x), y)", "loss is not the cross-entropy"),
        ("cross_entropy(f(x), y)", "cross_entropy(2 * f(x), y)", "loss is not the cross-entropy"),
        ("sgd(lr = 1)", "sgd(lr = 1/2)", "learning rate of `U` is not one"),
        ("sgd(lr = 1)", "sgd(lr = 1, decay = 1/10)", "plain gradient descent"),
        ("sgd(lr = 1)", "sgd(lr = 1, clip = 1/2)", "plain gradient descent"),
        ("sgd(lr = 1)", "momentum(lr = 1)", "plain gradient descent"),
    ],
)
def test_rows_refuse_other_programs(old: str, new: str, why: str) -> None:
    text = (FOLDER / "network.tp").read_text()
    assert old in text
    kernel = tpc.compile(text=text.replace(old, new)).with_(d=12).kernel_limit("nngp")
    with pytest.raises(tpc.TpcError, match=why):
        KernelSession(kernel, 5)


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_classes_of_the_programs(name: str) -> None:
    assert program(name).classify().kind == "feature"
    assert program(name, inner_steps=3).classify().kind == "feature"


@pytest.mark.parametrize("name", ["ntk", "gp", "network"])
def test_kernel_programs(name: str) -> None:
    assert program(name).classify().kind == "kernel"


@pytest.mark.parametrize("kind", ["limit", "finite", "quasi", "rows"])
def test_a_run_that_was_stopped_continues(kind: str, tmp_path: Path) -> None:
    def session() -> Session | KernelSession:
        if kind == "rows":
            return KernelSession(program("network").kernel_limit("ntk"), 5)
        compiled = program("relu" if kind == "quasi" else "linear")
        return compiled.session(16 if kind == "finite" else None, steps=12, particles=64)

    def score(found: Session | KernelSession) -> float:
        return accuracy(lambda b: found.outputs(b)["f"], tasks(1), 20).mean

    def stop(done: int, total: int) -> None:
        assert total == 12
        if done == 7:
            raise KeyboardInterrupt

    def run(
        found: Session | KernelSession, path: Path | None, progress: object = None
    ) -> StreamRun:
        return train_stream(
            found, lambda k: tasks().batch(k, 8), 12, score=score, every=3,
            checkpoint=path, request="one", progress=progress,  # type: ignore[arg-type]
        )  # fmt: skip

    whole = session()
    straight = run(whole, None)
    path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        run(session(), path, stop)
    before = float(np.load(path)["cpu"])
    with pytest.raises(tpc.TpcError, match="another run"):
        train_stream(session(), lambda k: tasks().batch(k, 8), 12, checkpoint=path, request="two")
    continued = session()
    found = run(continued, path)
    assert found == straight
    assert found.cpu > before > 0.0
    assert not path.exists()
    assert continued.state() == whole.state()


def test_states_of_other_networks_are_refused(tmp_path: Path) -> None:
    finite, limit = program("linear").session(8), program("linear").session(steps=3)
    with pytest.raises(ValueError, match="no state"):
        finite.restore(limit.state())
    with pytest.raises(ValueError, match="no state"):
        limit.restore(finite.state())
    path = tmp_path / "state.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(tpc.TpcError, match="cannot be read"):
        train_stream(finite, lambda k: tasks().batch(k, 8), 2, checkpoint=path)


def test_bad_batches_and_programs() -> None:
    session = program("linear").session(8)
    batch = tasks().batch(0, 8)
    with pytest.raises(tpc.TpcError, match="no array for target `yq`"):
        session.step({name: array for name, array in batch.items() if name != "yq"})
    with pytest.raises(tpc.TpcError, match="has shape"):
        session.step({**batch, "xs": batch["xs"][:, :3]})
    with pytest.raises(tpc.TpcError, match="no weight"):
        session.outputs(batch, program("linear", d=13).module)
    silent = tpc.compile(text="width n\ninput x : [2]\nparam U : [n, 2] abc(0, 0, 0)\n"
                         "param V : [1, n] abc(1, 0, 0)\ndef f(x) = V @ (U @ x)\n")  # fmt: skip
    with pytest.raises(tpc.TpcError, match="no train: block"):
        silent.session(8)


def test_clipping_in_linear_limits() -> None:
    """The norm of a gradient, from coefficients: the same as from samples of wide networks."""
    text = """
width n
size d = 4
input x : [d]
target y : [1]
param U : [n, d] abc(-1/2, 1/2, 0)
{hidden}
param V : [1, n] abc(1/2, 1/2, 0)
def f(x) = V @ ({map}(U @ x))
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 1, clip = 1/10)
"""
    random = np.random.default_rng(0)
    data = {"x": random.standard_normal((3, 4)), "y": random.standard_normal((3, 1))}
    for hidden, map_ in (("", ""), ("param W : [n, n] abc(0, 1/2, 0)", "W @ ")):
        module = tpc.compile(text=text.format(hidden=hidden, map=map_)).module
        run = feature_limit(module).train(data, 4)
        assert run.method == "linear"
        wide = tpc.simulate.simulate(module, data, width=800, steps=4, seeds=range(3))
        assert np.abs(wide.mean - run.f).max() < 0.08
