"""Texts: whatever file they come in, counted, cut and encoded."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.datasets import text as module
from tpc.datasets.fetch import fetched
from tpc.datasets.text import Text, corpus

WORDS = ["the", "cat", "saw", "the", "dog", "and", "the", "dog", "saw", "a", "cat"]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain"
    path.write_text(" ".join(WORDS))
    return path


def read(text: Text) -> list[str]:
    return [word.decode() for piece in text.pieces() for word in piece]


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("piece", [1, 3, 4, 7, 2**20])
def test_all_kinds_of_files_however_they_are_read(
    plain: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE", piece)
    content = plain.read_bytes()
    (packed := plain.with_name("packed.txt")).write_bytes(gzip.compress(content))
    archive = zipped(plain.with_name("archive.gz"), small=b"x", large=content)
    for path in (str(plain), str(packed), str(archive), f"{archive}::large"):
        assert read(Text(path)) == WORDS
    assert read(Text(f"{archive}::small")) == ["x"]


def test_a_zip_that_was_cut_off_is_read_up_to_the_cut(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = [f"w{k}" for k in random.integers(0, 10**6, 30000)]
    whole = zipped(tmp_path / "whole", text=" ".join(words).encode()).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    found = read(Text(str(tmp_path / "cut")))
    assert 10000 < len(found) < 20000
    assert found == words[: len(found)]


@pytest.mark.parametrize(("most", "count"), [(7, 2), (8, 2), (9, 2), (10, 2), (11, 3), (10**6, 11)])
def test_a_word_that_the_limit_cuts_is_dropped(plain: Path, most: int, count: int) -> None:
    assert read(Text(str(plain), most)) == WORDS[:count]


def test_letters(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text(" = The Title = \n It 's 3 @-@ fold , <unk> said\n")
    assert read(Text(str(tmp_path / "raw"), letters=True)) == ["the", "title", "it", "fold", "said"]


def test_corpus(plain: Path) -> None:
    found = corpus(Text(str(plain)), 2)
    assert found.words == ("the", "cat", "dog", "saw")
    assert found.counts.tolist() == [3, 2, 2, 2]
    assert [found.words[k] for k in found.tokens] == [w for w in WORDS if w in found.index]
    assert found.read == len(WORDS)
    assert repr(found) == "<11 words of text, 9 of a vocabulary of 4>"


def test_faults(tmp_path: Path, plain: Path) -> None:
    (tmp_path / "broken").write_bytes(gzip.compress(b"some text")[:-9])
    archive = zipped(tmp_path / "a.zip", one=b"x")
    for text in (str(tmp_path / "absent"), str(tmp_path / "broken"), f"{archive}::two"):
        with pytest.raises(tpc.TpcError) as caught:
            read(Text(text))
        assert caught.value.diagnostics[0].code == "E0912"
    with pytest.raises(tpc.TpcError, match="occur at least 9"):
        corpus(Text(str(plain)), 9)


def test_fetched_from_an_address_with_a_checksum(tmp_path: Path, plain: Path) -> None:
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    address, folder, seen = plain.as_uri(), tmp_path / "folder", []
    with pytest.raises(tpc.TpcError, match="has sha256"):
        fetched(address, folder, "0" * 64)
    assert not list(folder.iterdir())
    path = fetched(address, folder, digest.upper(), seen.append)
    assert path.read_bytes() == plain.read_bytes()
    assert seen == [len(plain.read_bytes())]
    plain.write_text("changed")
    assert fetched(address, folder, digest) == path  # it is there already
    with pytest.raises(tpc.TpcError, match="has sha256"):
        fetched(str(plain), folder, digest)
    with pytest.raises(tpc.TpcError, match="cannot fetch"):
        fetched((tmp_path / "absent").as_uri(), folder / "other")
    with pytest.raises(tpc.TpcError, match="cannot read"):
        fetched(str(tmp_path / "absent"), folder, digest)
