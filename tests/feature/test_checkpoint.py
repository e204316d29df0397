"""Interrupted runs continue to the result that they would have had."""

from __future__ import annotations

import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.feature.programs import PERCEPTRON, data, module_of, perceptron
from tpc.feature import FeatureLimit, Run, feature_limit

STEPS = 5


def interrupted(limit: FeatureLimit, after: int, path: Path, **request: object) -> None:
    """Train, with an interruption after so many steps of all replicates together."""

    def progress(done: int, total: int) -> None:
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        limit.train(data(), STEPS, checkpoint=path, save_every=0.0, progress=progress, **request)
    assert path.exists()


def assert_same(one: Run, two: Run) -> None:
    np.testing.assert_array_equal(one.f, two.f)
    np.testing.assert_array_equal(one.error, two.error)
    np.testing.assert_array_equal(one.loss, two.loss)


@pytest.mark.parametrize("after", [3, 7])
@pytest.mark.parametrize(
    ("layers", "act", "optimizer"),
    [
        (1, "relu", "sgd(lr = 0.2)"),
        (3, "tanh", "momentum(lr = 0.2)"),
        (2, "identity", "sgd(lr=0.2)"),
    ],
)
def test_resumed_exactly(layers: int, act: str, optimizer: str, after: int, tmp_path: Path) -> None:
    limit = feature_limit(perceptron(layers, act, optimizer=optimizer))
    request = {"particles": 256, "replicates": 3}
    whole = limit.train(data(), STEPS, **request)
    path = tmp_path / "run.part"
    interrupted(
        limit, min(after, STEPS - 1) if limit.method == "linear" else after, path, **request
    )
    steps: list[int] = []
    again = limit.train(
        data(),
        STEPS,
        checkpoint=path,
        progress=lambda done, total: steps.append(done),
        **request,
    )
    assert_same(whole, again)
    assert len(steps) < (STEPS if limit.method == "linear" else 3 * STEPS)
    assert not path.exists()


def test_resumed_with_entrywise_updates(tmp_path: Path) -> None:
    module = module_of(
        PERCEPTRON.format(
            d=5,
            k=1,
            act="tanh",
            first="abc(-1/2, 1/2, 1/2)",
            params="param W2 : [n, n] abc(0, 1/2, 1)",
            body="    z = phi(W2 @ z)",
            last="abc(1/2, 1/2, 1/2)",
            optimizer="adam(lr = 0.05)",
        )
    )
    limit, path = feature_limit(module), tmp_path / "run.part"
    request = {"particles": 320, "replicates": 2}
    whole = limit.train(data(), STEPS, **request)
    interrupted(limit, 4, path, **request)
    assert_same(whole, limit.train(data(), STEPS, checkpoint=path, **request))


def test_resumed_towards_a_tolerance(tmp_path: Path) -> None:
    limit, path = feature_limit(perceptron(2)), tmp_path / "run.part"
    whole = limit.train(data(), STEPS, tolerance=0.005)
    interrupted(limit, 2, path, tolerance=0.005)
    assert_same(whole, limit.train(data(), STEPS, checkpoint=path, tolerance=0.005))


def test_termination_keeps_the_state(tmp_path: Path) -> None:
    """A scheduler's SIGTERM ends a run after the step under way, and says where it is kept."""
    limit, path = feature_limit(perceptron(2)), tmp_path / "run.part"
    request = {"particles": 256, "replicates": 2}
    whole = limit.train(data(), STEPS, **request)
    before = signal.getsignal(signal.SIGTERM)

    def progress(done: int, total: int) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt, match="part, from which the same request"):
        limit.train(data(), STEPS, checkpoint=path, progress=progress, **request)
    assert signal.getsignal(signal.SIGTERM) is before
    assert_same(whole, limit.train(data(), STEPS, checkpoint=path, **request))


def test_the_state_of_another_run_is_left_alone(tmp_path: Path) -> None:
    limit, path = feature_limit(perceptron(2)), tmp_path / "run.part"
    interrupted(limit, 2, path, particles=256)
    before = path.read_bytes()
    with pytest.raises(tpc.TpcError, match="another request"):
        limit.train(data(), STEPS, checkpoint=path, particles=512)
    other = feature_limit(perceptron(2, "relu"))
    with pytest.raises(tpc.TpcError, match="another program"):
        other.train(data(), STEPS, checkpoint=path, particles=256)
    assert path.read_bytes() == before


def test_files_that_are_no_states(tmp_path: Path) -> None:
    limit, path = feature_limit(perceptron(1)), tmp_path / "run.part"
    path.write_bytes(b"something else")
    with pytest.raises(tpc.TpcError, match="no saved state"):
        limit.train(data(), 1, checkpoint=path, particles=256)


class Harmful:
    def __reduce__(self) -> object:
        return print, ("this must never run",)


def test_nothing_in_a_file_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limit, path = feature_limit(perceptron(2)), tmp_path / "run.part"
    interrupted(limit, 2, path, particles=256)
    head = b"".join(path.read_bytes().splitlines(keepends=True)[:2])
    path.write_bytes(head + pickle.dumps(Harmful()))
    with pytest.raises(tpc.TpcError, match="does not belong there"):
        limit.train(data(), STEPS, checkpoint=path, particles=256)
    path.write_bytes(head + pickle.dumps({(256, 0): (True, pickle.dumps(Harmful()))}))
    with pytest.raises(tpc.TpcError, match="does not belong there"):
        limit.train(data(), STEPS, checkpoint=path, particles=256)
    assert not capsys.readouterr().out
