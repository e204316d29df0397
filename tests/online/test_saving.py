"""An interrupted run continues to the same result, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.online.test_online import CBOW, FULL, samples
from tpc.online.saving import Saving


def network(program: tpc.Program, width: int | None = None) -> object:
    compiled = program.online()
    return compiled.limit(steps=20) if width is None else compiled.network(width, steps=20)


@pytest.mark.parametrize("width", [None, 8])
def test_resumed_run_is_bit_identical(tmp_path: Path, width: int | None) -> None:
    program = tpc.compile(text=CBOW.format(options=FULL))
    data = samples(program, 20)
    parts = [{name: array[k : k + 5] for name, array in data.items()} for k in range(0, 20, 5)]
    whole = network(program, width)
    for part in parts:
        whole.train(part)
    first = network(program, width)
    saving = Saving(tmp_path / "state.npz", first, "seed 0")
    assert saving.resume() is None
    first.train(parts[0])
    first.train(parts[1])
    assert not saving.keep({"part": np.array(2)})  # it is not time yet
    assert saving.keep({"part": np.array(2)}, now=True)
    first.train(parts[2])  # what comes after the saved state is lost
    second = network(program, width)
    more = Saving(tmp_path / "state.npz", second, "seed 0").resume()
    assert more is not None
    assert (second.steps_done, int(more["part"])) == (10, 2)
    for part in parts[int(more["part"]) :]:
        second.train(part)
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(array, second.weights[name])


def test_other_runs_are_refused(tmp_path: Path) -> None:
    program, path = tpc.compile(text=CBOW.format(options=FULL)), tmp_path / "state.npz"
    Saving(path, network(program), "seed 0").keep({}, now=True)
    other = program.with_(slots=3)
    for each, about in ((program, "seed 1"), (other, "seed 0")):
        with pytest.raises(tpc.TpcError) as caught:
            Saving(path, network(each), about).resume()
        assert caught.value.diagnostics[0].code == "E0954"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(tpc.TpcError, match="cannot be read"):
        Saving(path, network(program), "seed 0").resume()
