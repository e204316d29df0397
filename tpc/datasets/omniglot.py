"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1623 characters, 20 drawings of each.

Read from ``images_background.zip`` and ``images_evaluation.zip`` as their authors give them out, a
file at a time, and from the class lists of a split (Vinyals et al. 2016: 1028 characters for
training, 172 for validation, 423 for tests).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.datasets.images import read_png, shrunk
from tpc.diagnostics import Diagnostic, TpcError
from tpc.storage import write_arrays

if TYPE_CHECKING:
    import numpy as np

PARTS = ("background", "evaluation")
SPLITS = ("train", "val", "test")
#: The layout of the cache: a file of another one is made anew.
_LAYOUT = 1


@dataclass(frozen=True, repr=False)
class Characters:
    """Drawings of characters: ``images`` (classes, drawings, size, size), bytes, 255 is ink."""

    images: np.ndarray
    names: tuple[str, ...]

    def __repr__(self) -> str:
        classes, drawings, size, _ = self.images.shape
        return f"<{classes} characters, {drawings} drawings each, {size} x {size}>"

    def rotated(self) -> Characters:
        """Return the characters and their rotations by 90, 180, 270 degrees, further classes."""
        import numpy as np

        turned = [np.rot90(self.images, k, axes=(2, 3)) for k in range(4)]
        names = [f"{name} @{90 * k}" if k else name for k in range(4) for name in self.names]
        return Characters(np.concatenate(turned), tuple(names))


def load(
    folder: Path,
    split: str,
    *,
    size: int = 28,
    lists: Path | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Characters:
    """Return the characters of one split: "train", "val" or "test".

    ``folder`` holds the two zip files, ``lists`` (``folder/vinyals_split``) a file ``SPLIT.json``:
    part of Omniglot -> alphabet -> names of characters. Images are scaled to ``size`` by the
    triangle filter, ink 255. The result is kept in ``cache``, an .npz file, and read from there the
    next time. ``progress`` is called with the characters done and their total.

    Raises:
        TpcError: a file is missing, damaged, or lacks a character; characters differ in their
            number of drawings.
    """
    path = (lists or folder / "vinyals_split") / f"{split}.json"
    wanted = _class_list(path)
    key = json.dumps([_LAYOUT, size, _stamps(folder, wanted), wanted])
    if cache is not None and (found := _cached(cache, key)) is not None:
        return found
    found = _read(folder, wanted, size, progress or (lambda done, total: None))
    if cache is not None:
        _keep(cache, key, found)
    return found


def _class_list(path: Path) -> dict[str, dict[str, list[str]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            part: {alphabet: [str(c) for c in characters] for alphabet, characters in each.items()}
            for part, each in found.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error


def _unreadable(path: Path, why: str) -> TpcError:
    return TpcError(Diagnostic("E0912", f"cannot read data from {path}: {why}"))


def _read(
    folder: Path,
    wanted: Mapping[str, Mapping[str, list[str]]],
    size: int,
    progress: Callable[[int, int], None],
) -> Characters:
    import numpy as np

    total = sum(len(names) for part in wanted.values() for names in part.values())
    images: list[np.ndarray] = []
    names: list[str] = []
    for part, alphabets in wanted.items():
        for name, drawings in _characters(_archive(folder, part), part, alphabets):
            images.append(shrunk(1.0 - drawings, size))
            names.append(name)
            progress(len(names), total)
    counts = {len(each) for each in images}
    if len(counts) != 1:
        raise TpcError(
            Diagnostic("E0916", f"characters have from {min(counts, default=0)} to "
                       f"{max(counts, default=0)} drawings in {folder}")
        )  # fmt: skip
    return Characters(np.stack(images), tuple(names))


def _archive(folder: Path, part: str) -> Path:
    return folder / f"images_{part}.zip"


def _characters(
    path: Path, part: str, alphabets: Mapping[str, list[str]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the characters of one zip file, with their drawings (N, rows, columns)."""
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except (OSError, zipfile.BadZipFile) as error:
            raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error
        files = _files(archive)
        for alphabet, characters in alphabets.items():
            for character in characters:
                found = files.get((alphabet, character))
                if not found:
                    raise TpcError(
                        Diagnostic("E0916", f"{path} has no drawings of {alphabet}/{character}")
                    )
                yield f"{alphabet}/{character}", _drawings(path, archive, found)


def _files(archive: zipfile.ZipFile) -> dict[tuple[str, str], list[str]]:
    """Return the drawings by alphabet and character, in the order of their names."""
    result: dict[tuple[str, str], list[str]] = {}
    for name in sorted(archive.namelist()):
        parts = name.split("/")
        if name.endswith(".png") and len(parts) >= 3 and "__MACOSX" not in parts:
            result.setdefault((parts[-3], parts[-2]), []).append(name)
    return result


def _drawings(path: Path, archive: zipfile.ZipFile, names: list[str]) -> np.ndarray:
    import numpy as np

    images = []
    for name in names:
        try:
            images.append(read_png(archive.read(name)))
        except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
            raise _unreadable(path, f"{name}: {error}") from error
    if len({image.shape for image in images}) > 1:
        raise TpcError(Diagnostic("E0916", f"{path}: drawings of {names[0]} differ in size"))
    return np.stack(images)


# -- cache -----------------------------------------------------------------------------------------


def _stamps(folder: Path, wanted: Mapping[str, Any]) -> list[list[Any]]:
    """Return size and time of the zip files, so that other files are not mistaken for these."""
    stamps = []
    for part in wanted:
        try:
            stat = _archive(folder, part).stat()
        except OSError as error:
            raise _unreadable(_archive(folder, part), error.strerror or str(error)) from error
        stamps.append([part, stat.st_size, stat.st_mtime_ns])
    return stamps


def _cached(path: Path, key: str) -> Characters | None:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as found:
            if str(found["key"]) != key:
                return None
            return Characters(found["images"], tuple(str(name) for name in found["names"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _keep(path: Path, key: str, found: Characters) -> None:
    import numpy as np

    write_arrays(
        path, {"key": np.array(key), "images": found.images, "names": np.array(found.names)}
    )
