"""Data in files: images in folders and zips, texts, padded sequences, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imsave

import tpc
from tpc.cli import main
from tpc.data import Reading, load
from tpc.data.text import UNKNOWN, vocabulary
from tpc.limit import limit as limit_of

IMAGES = """
width n
size k = 2
parametrization ntk
input x : [{axes}]
target y : [k]
param U : [n, {flat}]
param V : [k, n]
def f(x) = V @ relu(U @ {vector})
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""
TOKENS = """
width n
size vocab = {vocab}, T = {T}, k = {k}
parametrization ntk
input ids : [T] in vocab
{mask}
target y : [{target}]
param E : [vocab, n]
param V : [k, n]
def f({arguments}) = V @ {body}
train:
    loss = mse(f({arguments}), y)
    optimizer sgd(lr = 0.1)
"""
RNG = np.random.default_rng(0)
STEP = 2 / 255  # images have 8 bits, and their writer rounds down twice


def images(axes: str = "4, 4", flat: int = 16, vector: str = "flatten(x)") -> object:
    return tpc.compile(text=IMAGES.format(axes=axes, flat=flat, vector=vector)).module


def tokens(vocab: int, T: int = 3, target: str = "vocab") -> object:
    text = TOKENS.format(
        vocab=vocab,
        T=T,
        k=vocab if target == "vocab" else 2,
        target=target,
        mask="",
        arguments="ids",
        body="mean(E[ids], axis = 1)",
    )
    return tpc.compile(text=text).module


def lines(vocab: int = 6, T: int = 4) -> object:
    body = 'einsum("t n, t -> n", E[ids], mask)'
    text = TOKENS.format(
        vocab=vocab,
        T=T,
        k=2,
        target="k",
        mask="input mask : [T]",
        arguments="ids, mask",
        body=body,
    )
    return tpc.compile(text=text).module


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    imsave(file, array, format="png", cmap="gray", vmin=0, vmax=1)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three 8 x 8 images; those of `dark` are darker."""
    for name, level in (("dark", 0.2), ("light", 0.8)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for k in range(3):
            content = png(np.full((8, 8), level + 0.02 * k))
            (tmp_path / "pictures" / name / f"{k}.png").write_bytes(content)
    return tmp_path / "pictures"


def zipped(folder: Path, inside: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, inside + file.relative_to(folder).as_posix())
        archive.writestr("__MACOSX/dark/._0.png", b"")
    return path


# -- images ----------------------------------------------------------------------------------------


def test_folders_are_classes(folder: Path) -> None:
    data = load(images(), [str(folder)])
    assert data.train["x"].shape == (6, 4, 4)
    np.testing.assert_allclose(data.train["x"][:3, 0, 0], [0.2, 0.22, 0.24], atol=STEP)
    np.testing.assert_array_equal(data.train["y"].argmax(axis=1), [0, 0, 0, 1, 1, 1])
    assert data.names["y"] == ("dark", "light")


@pytest.mark.parametrize("inside", ["", "all/", "a/b/"])
def test_a_zip_is_a_folder(folder: Path, inside: str) -> None:
    expected, found = (load(images(), [str(path)]) for path in (folder, zipped(folder, inside)))
    for name in ("x", "y"):
        np.testing.assert_array_equal(found.train[name], expected.train[name])
    assert found.names == expected.names


def test_the_first_folders_that_differ_are_classes(tmp_path: Path) -> None:
    for name in ("Greek/a", "Greek/b", "Latin/a"):
        (tmp_path / "top" / name).mkdir(parents=True)
        (tmp_path / "top" / name / "1.png").write_bytes(png(np.zeros((4, 4))))
    data = load(images(), [f"x={tmp_path}"])
    assert data.names["y"] == ("Greek", "Latin")
    assert list(data.train["y"].argmax(axis=1)) == [0, 0, 1]


def test_colours_and_sizes(tmp_path: Path) -> None:
    picture = RNG.uniform(size=(8, 12, 3))
    imsave(tmp_path / "one.png", picture)
    path = str(tmp_path / "one.png")
    colour = load(images("8, 12, 3", 288), [path]).train["x"]
    np.testing.assert_allclose(colour[0], picture, atol=STEP)
    grey = load(images("8, 12", 96), [path]).train["x"]
    np.testing.assert_allclose(grey[0], picture.mean(axis=2), atol=STEP)
    small = load(images("4, 4", 16), [path]).train["x"]
    assert small.mean() == pytest.approx(picture.mean(), abs=0.05)
    row = load(images("16", 16, "x"), [path]).train["x"]
    np.testing.assert_array_equal(row, small.reshape(1, 16))


def test_test_images_share_the_classes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more" / "light").mkdir(parents=True)
    (tmp_path / "more" / "light" / "1.png").write_bytes(png(np.ones((4, 4))))
    (tmp_path / "more" / "dark").mkdir()
    (tmp_path / "more" / "dark" / "1.png").write_bytes(png(np.ones((4, 4))))
    files = [f"x={folder}", f"test_x={tmp_path / 'more'}"]
    data = load(images(), files, Reading(most=2))
    assert len(data.train["x"]) == 2
    assert list(data.test["y"].argmax(axis=1)) == [0, 1]
    (tmp_path / "more" / "grey").mkdir()
    (tmp_path / "more" / "grey" / "1.png").write_bytes(png(np.ones((4, 4))))
    with pytest.raises(tpc.TpcError, match="images of grey"):
        load(images(), files)


def test_images_that_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(tpc.TpcError, match="no PNG"):
        load(images(), [str(tmp_path / "empty")])
    with pytest.raises(tpc.TpcError, match="never enlarged"):
        load(images("9, 9", 81), [str(folder)])
    with pytest.raises(tpc.TpcError, match="takes no images"):
        load(images("3, 4, 2", 24), [str(folder)])
    whole = (folder / "dark" / "0.png").read_bytes()
    for broken in (b"", whole[:-30], whole[:40] + b"?" + whole[41:], b"GIF89a"):
        (folder / "dark" / "0.png").write_bytes(broken)
        with pytest.raises(tpc.TpcError, match=r"cannot read images from .*dark/0\.png"):
            load(images(), [str(folder)])
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(tpc.TpcError, match="cannot read images"):
        load(images(), [str(path)])


# -- shares, choices, scales -----------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.floats(0.05, 0.9), st.one_of(st.none(), st.integers(1, 50)))
def test_shares_are_disjoint_and_repeat(count: int, share: float, most: int | None) -> None:
    reading = Reading(test=share, most=most, seed=3)
    chosen = reading.chosen(count)
    assert len(set(chosen)) == len(chosen) <= count
    np.testing.assert_array_equal(chosen, reading.chosen(count))
    number = round(share * len(chosen))
    if 1 <= number < len(chosen):
        assert reading.held_out(len(chosen)).sum() == number
    elif len(chosen):
        with pytest.raises(tpc.TpcError, match="cannot be split"):
            reading.held_out(len(chosen))


def test_a_share_of_arrays(tmp_path: Path) -> None:
    x = np.arange(160.0).reshape(10, 4, 4)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(10) % 2)
    data = load(images(), [str(tmp_path / "d.npz")], Reading(test=0.3))
    assert data.train["x"].shape == (7, 4, 4)
    assert data.test["y"].shape == (3, 2)
    both = np.concatenate([data.train["x"], data.test["x"]])
    np.testing.assert_array_equal(np.sort(both[:, 0, 0]), x[:, 0, 0])
    other = load(images(), [str(tmp_path / "d.npz")], Reading(test=0.3, seed=1))
    assert (other.test["x"] != data.test["x"]).any()


def test_normalised_images(folder: Path) -> None:
    data = load(images(), [str(folder)], Reading(test=0.5, normalise=True))
    for part in (data.train, data.test):
        np.testing.assert_allclose((part["x"] ** 2).mean(axis=(1, 2)), 1.0)


# -- texts -----------------------------------------------------------------------------------------


def test_windows_and_the_next_token(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abababcab", encoding="utf-8")
    data = load(tokens(3), [str(tmp_path / "t.txt")])
    assert data.names["ids"] == ("a", "b", "c")
    np.testing.assert_array_equal(data.train["ids"], [[1, 2, 1], [2, 1, 2]])
    np.testing.assert_array_equal(data.train["y"].argmax(axis=1), [1, 2])
    near = load(tokens(3), [str(tmp_path / "t.txt")], Reading(stride=1))
    assert near.train["ids"].shape == (6, 3)


def test_no_second_split(tmp_path: Path) -> None:
    """Data with test points of their own are not split once more, and not silently left alone."""
    x = RNG.standard_normal((6, 4, 4))
    np.savez(tmp_path / "d.npz", x=x, test_x=x[:2])
    with pytest.raises(tpc.TpcError, match="E0914") as caught:
        load(images(), [str(tmp_path / "d.npz")], Reading(test=0.5))
    assert "`test_x`" in str(caught.value)
    (tmp_path / "t.txt").write_text("abababababab")
    files = [f"ids={tmp_path / 't.txt'}", f"test_ids={tmp_path / 't.txt'}"]
    for order in (files, files[::-1]):
        if order is files:  # test tokens are counted as those of the training text
            assert len(load(tokens(2), order).test["ids"]) == 3
        with pytest.raises(tpc.TpcError, match="E0914"):
            load(tokens(2), order, Reading(test=0.5))


def test_the_end_of_a_text_is_the_test(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("ab" * 50 + "ba" * 25, encoding="utf-8")
    data = load(tokens(2), [f"ids={tmp_path / 't.txt'}"], Reading(test=1 / 3, most=9))
    assert len(data.train["ids"]) == 9
    assert len(data.test["ids"]) == 4
    assert all(tuple(row) in ((2, 1, 2), (1, 2, 1)) for row in data.test["ids"])


def test_rare_tokens_share_a_number(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("the cat the dog the end the cat", encoding="utf-8")
    data = load(tokens(3, T=1), [str(tmp_path / "t.txt")], Reading(tokens="words"))
    assert data.names["ids"] == ("the", "cat", UNKNOWN)
    np.testing.assert_array_equal(data.train["ids"].ravel(), [1, 2, 1, 3, 1, 3, 1])


def test_texts_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for content, words in ((b"ab", "windows take 4"), (b"\xff\xfe\xff\xff", "utf-8"), (b"", "0")):
        path.write_bytes(content)
        with pytest.raises(tpc.TpcError, match=words):
            load(tokens(3), [str(path)])
    path.write_text("abcabcabc", encoding="utf-8")
    other = tmp_path / "o.txt"
    other.write_text("abcxabc", encoding="utf-8")
    with pytest.raises(tpc.TpcError, match="'x'"):
        load(tokens(3), [str(path), f"test_ids={other}"])
    with pytest.raises(tpc.TpcError, match="takes no text"):
        load(images(), [f"x={path}"])
    with pytest.raises(tpc.TpcError, match="nothing says which"):
        load(images(), [str(path)])
    with pytest.raises(tpc.TpcError, match="cannot read text"):
        load(tokens(3), [str(tmp_path / "missing.txt")])


def test_lines_of_different_lengths(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("yes\tab\nno\tabcdef\n\nyes\tb\n", encoding="utf-8")
    data = load(lines(), [str(path)])
    np.testing.assert_array_equal(data.train["mask"].sum(axis=1), [2, 4, 1])
    np.testing.assert_array_equal(data.train["y"].argmax(axis=1), [1, 0, 1])
    assert data.names["y"] == ("no", "yes")
    path.write_text("yes\tab\nno\n", encoding="utf-8")
    with pytest.raises(tpc.TpcError, match="line 2"):
        load(lines(), [str(path)])


def test_zeros_pad_sequences(tmp_path: Path) -> None:
    ids = np.array([[3, 1, 0, 0], [2, 2, 2, 2]])
    np.savez(tmp_path / "d.npz", ids=ids, y=[0, 1])
    data = load(lines(), [str(tmp_path / "d.npz")])
    np.testing.assert_array_equal(data.train["mask"], ids > 0)
    np.testing.assert_array_equal(data.train["ids"], np.maximum(ids, 1))
    np.savez(tmp_path / "d.npz", ids=ids[:, ::-1], y=[0, 1])
    with pytest.raises(tpc.TpcError, match="before the end"):
        load(lines(), [str(tmp_path / "d.npz")])


def test_what_is_behind_the_mask_changes_nothing() -> None:
    """The kernel of padded sequences is that of their tokens."""
    limit = limit_of(lines(), "nngp")
    mask = np.array([[1.0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    first = RNG.integers(1, 7, (3, 4))
    second = np.where(mask > 0, first, RNG.integers(1, 7, (3, 4)))
    np.testing.assert_array_equal(
        limit.evaluate({"ids": first, "mask": mask}), limit.evaluate({"ids": second, "mask": mask})
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abcdefg"), min_size=1), st.integers(1, 9))
def test_a_vocabulary_has_the_most_frequent_tokens(words: list[str], most: int) -> None:
    found = vocabulary(words, most)
    assert len(found) <= most
    kept = [word for word in found if word != UNKNOWN]
    left = set(words) - set(kept)
    assert (UNKNOWN in found) == (bool(left) or len(kept) < most)
    assert all(words.count(a) >= words.count(b) for a in kept for b in left)


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_images_from_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    text = IMAGES.format(axes="4, 4", flat=16, vector="flatten(x)")
    Path("net.tp").write_text(text, encoding="utf-8")
    request = ["--test", "0.34", "--kind", "nngp", "--ridge", "loo", "--covariance", "--centre"]
    main(["run", "net.tp", "--data", "pictures", *request, "--output", "o.npz"])
    said = capsys.readouterr().out
    for word in ("test_accuracy", "calibration_error", "leave_one_out"):
        assert word in said
    with np.load("o.npz") as saved:
        assert saved["probabilities"].shape == saved["deviation"].shape == (2, 2)
    main(["run", "net.tp", "--data", "pictures", "--flow", "0,5", "--output", "o.npz"])
    assert "gradient flow under the NTK" in capsys.readouterr().out
    with np.load("o.npz") as saved:
        np.testing.assert_array_equal(saved["times"], [0, 5])


def test_a_rate_that_is_too_large_is_warned_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    text = IMAGES.format(axes="4, 4", flat=16, vector="flatten(x)").replace("lr = 0.1", "lr = 50")
    Path("net.tp").write_text(text, encoding="utf-8")
    main(["run", "net.tp", "--data", "pictures", "--kind", "ntk", "--steps", "3"])
    said = capsys.readouterr()
    assert "largest lr" in said.out
    assert "beyond the largest stable one" in said.err


@pytest.mark.parametrize(
    "request_",
    [
        ["--ridge", "-1"],
        ["--ridge", "often"],
        ["--flow", "1,x"],
        ["--steps", "2", "--covariance"],
        ["--flow", "1", "--steps", "2"],
        ["--flow", "1", "--batch", "2"],
        ["--test", "1"],
    ],
)
def test_requests_that_are_refused(folder: Path, tmp_path: Path, request_: list[str]) -> None:
    path = tmp_path / "net.tp"
    path.write_text(IMAGES.format(axes="4, 4", flat=16, vector="flatten(x)"), encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["run", str(path), "--data", str(folder), *request_])
    assert end.value.code == 2
