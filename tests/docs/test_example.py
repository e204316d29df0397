"""The example on real images: its data are what their page says, and its script runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.data import load

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "characters"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "characters.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(("prefix", "count", "writers"), [("", 2040, 15), ("test_", 680, 5)])
def test_arrays(arrays: dict[str, np.ndarray], prefix: str, count: int, writers: int) -> None:
    x, y = arrays[prefix + "x"], arrays[prefix + "y"]
    assert x.shape == (count, 225)
    assert np.allclose((x.astype(float) ** 2).mean(1), 1, atol=0.01)
    assert arrays[prefix + "image"].shape == (count, 15, 15)
    assert set(y) == set(range(len(arrays["names"])))
    assert set(arrays[prefix + "glyph"]) == set(range(136))
    assert len(set(arrays[prefix + "writer"])) == writers


def test_no_writer_is_in_both_sets(arrays: dict[str, np.ndarray]) -> None:
    assert not set(arrays["writer"]) & set(arrays["test_writer"])


def test_every_image_occurs_once(arrays: dict[str, np.ndarray]) -> None:
    images = np.concatenate([arrays["image"], arrays["test_image"]]).reshape(2720, -1)
    assert len(np.unique(images, axis=0)) > 2700  # a few strokes of different people coincide


def test_page_names_every_array(arrays: dict[str, np.ndarray]) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in arrays if not name.startswith("test_"))


def test_program_reads_the_data() -> None:
    program = tpc.compile(FOLDER / "characters.tp")
    data = load(program.module, [str(FOLDER / "characters.npz")])
    assert data.train["y"].shape == (2040, 5)
    assert set(data.test) == {"x", "y"}


def test_script(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(FOLDER / "run.py"), "--quick"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "NTK: trained to the end" in done.stdout
    assert (tmp_path / "characters.png").read_bytes().startswith(b"\x89PNG")
