"""Few-shot tasks: what a batch holds, and that it depends on its number alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.datasets.tasks import Tasks


def numbered(classes: int, drawings: int) -> np.ndarray:
    """Images whose first pixel is the class and whose second the drawing."""
    grid = np.meshgrid(np.arange(classes), np.arange(drawings), indexing="ij")
    return np.stack(grid, axis=-1).astype(float)


@given(data=st.data())
def test_classes_and_images_differ(data: st.DataObject) -> None:
    ways, shots, queries = (data.draw(st.integers(1, 4)) for _ in range(3))
    classes = data.draw(st.integers(ways, 9))
    drawings = data.draw(st.integers(shots + queries, 10))
    tasks = Tasks(numbered(classes, drawings), ways, shots, queries, seed=data.draw(st.integers(0)))
    batch = tasks.batch(data.draw(st.integers(0, 1000)), 3)
    assert batch["xs"].shape == (3, ways * shots, 2)
    assert batch["yq"].shape == (3, ways * queries, ways)
    for xs, xq, ys, yq in zip(*(batch[k] for k in ("xs", "xq", "ys", "yq")), strict=True):
        images = np.concatenate([xs, xq])
        assert len(np.unique(images, axis=0)) == len(images)
        labels = np.concatenate([ys, yq]).argmax(axis=1)
        by_label = {int(k): set(images[labels == k, 0]) for k in range(ways)}
        assert all(len(found) == 1 for found in by_label.values())
        assert len(set().union(*by_label.values())) == ways


def test_a_batch_is_a_function_of_its_number() -> None:
    images = numbered(30, 6)
    one, two = Tasks(images, seed=3), Tasks(images, seed=3)
    late = two.batch(7, 4)
    for number in range(8):
        batch = one.batch(number, 4)
    for name, array in late.items():
        np.testing.assert_array_equal(batch[name], array)
    assert (one.batch(6, 4)["xs"] != late["xs"]).any()
    assert (Tasks(images, seed=4).batch(7, 4)["xs"] != late["xs"]).any()


def test_all_classes_come_equally_often() -> None:
    chosen, drawn = Tasks(numbered(7, 3), ways=5).choice(0, 4000)
    counts = np.bincount(chosen.ravel(), minlength=7)
    assert np.abs(counts / counts.mean() - 1).max() < 0.05
    counts = np.bincount(drawn[..., 0].ravel(), minlength=3)
    assert np.abs(counts / counts.mean() - 1).max() < 0.05


def test_bytes_are_ink() -> None:
    images = np.full((3, 2, 4, 4), 255, dtype=np.uint8)
    assert (Tasks(images, ways=2).batch(0, 1)["xs"] == 1.0).all()


@pytest.mark.parametrize(("ways", "shots"), [(4, 1), (2, 2), (0, 1), (2, 0)])
def test_tasks_that_do_not_exist(ways: int, shots: int) -> None:
    with pytest.raises(ValueError, match=r"tasks of|images of"):
        Tasks(numbered(3, 2), ways=ways, shots=shots)
