"""Omniglot: read from zip files, checked, scaled down, kept."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.tiny import tiny_omniglot
from tpc.datasets.images import read_png, shrinking, shrunk
from tpc.datasets.omniglot import load
from tpc.diagnostics import TpcError


def test_splits(tmp_path: Path) -> None:
    folder = tiny_omniglot(tmp_path)
    seen: list[tuple[int, int]] = []
    train = load(folder, "train", size=5, progress=lambda done, total: seen.append((done, total)))
    assert train.images.shape == (3, 4, 5, 5)
    assert train.images.dtype == np.uint8
    assert train.names == ("Greek/character01", "Greek/character02", "Latin/character01")
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert load(folder, "val", size=5).names == ("Latin/character02", "Runes/character01")
    assert "3 characters" in repr(train)


def test_ink_is_large(tmp_path: Path) -> None:
    folder = tiny_omniglot(tmp_path, size=6)
    images = load(folder, "train", size=6).images
    with zipfile.ZipFile(folder / "images_background.zip") as archive:
        name = "images_background/Greek/character02/0002_03.png"
        np.testing.assert_array_equal(images[1, 3], 255 * (1 - read_png(archive.read(name))))


def test_rotations_are_further_classes(tmp_path: Path) -> None:
    train = load(tiny_omniglot(tmp_path), "train", size=5)
    turned = train.rotated()
    assert turned.images.shape == (12, 4, 5, 5)
    assert len(set(turned.names)) == 12
    np.testing.assert_array_equal(turned.images[4, 1], np.rot90(train.images[1, 1]))
    np.testing.assert_array_equal(turned.images[9, 0], np.rot90(train.images[0, 0], 3))


def test_scaling_down_keeps_the_mean_and_averages() -> None:
    matrix = shrinking(105, 28)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1])
    assert (np.count_nonzero(matrix, axis=1) <= 8).all()  # twice 105 / 28 pixels
    np.testing.assert_allclose(shrinking(7, 7), np.eye(7))
    assert (shrunk(np.ones((1, 9, 9)), 3) == 255).all()


def test_like_an_image_library() -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = (np.random.default_rng(0).random((105, 105)) < 0.1).astype(float)
    theirs = pillow.fromarray((255 * image).astype(np.uint8)).resize((28, 28), pillow.BILINEAR)
    apart = shrunk(image[None], 28)[0].astype(int) - np.asarray(theirs)
    assert np.abs(apart).max() <= 1  # it rounds after each axis


def test_cache(tmp_path: Path) -> None:
    folder, cache = tiny_omniglot(tmp_path / "a"), tmp_path / "cache" / "train.npz"
    first = load(folder, "train", size=5, cache=cache)
    calls: list[int] = []
    again = load(folder, "train", size=5, cache=cache, progress=lambda done, _: calls.append(done))
    np.testing.assert_array_equal(first.images, again.images)
    assert again.names == first.names
    assert not calls
    other = load(folder, "train", size=3, cache=cache)
    assert other.images.shape[-1] == 3
    cache.write_bytes(b"half a file")
    np.testing.assert_array_equal(load(folder, "train", size=5, cache=cache).images, first.images)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    folder = tiny_omniglot(tmp_path)
    with pytest.raises(TpcError, match=r"cannot read data from .*nothing\.json"):
        load(folder, "nothing")
    lists = folder / "vinyals_split"
    (lists / "train.json").write_text(json.dumps({"background": {"Greek": ["character99"]}}))
    with pytest.raises(TpcError, match="no drawings of Greek/character99"):
        load(folder, "train")
    (lists / "train.json").write_text("[1, 2]")
    with pytest.raises(TpcError, match=r"cannot read data from .*train.json"):
        load(folder, "train")
    (folder / "images_evaluation.zip").write_bytes(b"PK")
    with pytest.raises(TpcError, match=r"images_evaluation.zip"):
        load(folder, "test")
    (folder / "images_evaluation.zip").unlink()
    with pytest.raises(TpcError, match="No such file"):
        load(folder, "test")


def test_a_damaged_image(tmp_path: Path) -> None:
    folder = tiny_omniglot(tmp_path)
    with zipfile.ZipFile(folder / "images_background.zip", "a") as archive:
        archive.writestr("images_background/Greek/character01/0001_99.png", b"no image")
    with pytest.raises(TpcError, match=r"0001_99\.png"):
        load(folder, "train")


def test_characters_differ_in_their_drawings(tmp_path: Path) -> None:
    folder = tiny_omniglot(tmp_path)
    with zipfile.ZipFile(folder / "images_background.zip", "a") as archive:
        extra = archive.read("images_background/Greek/character01/0001_00.png")
        archive.writestr("images_background/Greek/character01/0001_99.png", extra)
    with pytest.raises(TpcError, match="from 4 to 5 drawings"):
        load(folder, "train")
