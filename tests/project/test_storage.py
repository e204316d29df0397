"""Results are written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tpc import TpcError
from tpc.storage import replacing, write_text


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one\n")
    assert path.read_text() == "one\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_what_stood_there_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(TpcError) as caught:
        write_text(tmp_path / "a" / "b.txt", "x")
    assert caught.value.diagnostics[0].code == "E0901"
    assert str(tmp_path / "a" / "b.txt") in caught.value.diagnostics[0].headline


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_a_full_disk_is_said() -> None:
    with pytest.raises(TpcError, match="No space left"):
        write_text(Path("/dev/full"), "x" * 10**6)
    assert not Path("/dev/full").is_file()
