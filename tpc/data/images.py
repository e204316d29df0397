"""PNG images in a folder or a zip file, as arrays of a program's input, with classes by folder."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from tpc.datasets.images import shrinking
from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np

    from tpc.data.sets import Reading
    from tpc.ir import InputSpec


class _Open(Protocol):
    def __call__(self, name: str) -> bytes: ...


def read_images(
    path: Path, spec: InputSpec, reading: Reading, known: tuple[str, ...] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return images (N, axes of the input), labels (N,) and the names of the classes.

    Values run from 0 (black) to 1 (white). An input ``[h, w]`` or ``[h * w]`` (square) takes grey
    images, ``[h, w, 3]`` colours; larger images are averaged down to that size. A class is the
    first folder at which the paths differ; without folders there are no classes. ``known`` are the
    classes of the training set, which test images share.

    Raises:
        TpcError: no such file, no images, images that cannot be decoded or are smaller than the
            input, classes that the training set does not have.
    """
    import numpy as np

    height, width, colours = _size(spec)
    with _opened(path) as (names, read):
        if not names:
            raise _unreadable(path, "it holds no PNG images")
        chosen = [names[k] for k in reading.chosen(len(names))]
        images = np.stack([_decoded(path, name, read, height, width, colours) for name in chosen])
    labels, classes = _labels(path, names, chosen, known)
    return images.reshape(len(chosen), *_shape(spec)), labels, classes


def _shape(spec: InputSpec) -> tuple[int, ...]:
    return tuple(int(dim.count) for dim in spec.type.dims)


def _size(spec: InputSpec) -> tuple[int, int, int]:
    """Return height, width and colours of the images that an input takes."""
    shape = _shape(spec)
    if spec.type.below is None:
        if len(shape) == 1 and round(shape[0] ** 0.5) ** 2 == shape[0]:
            side = round(shape[0] ** 0.5)
            return side, side, 1
        if len(shape) == 2:
            return *shape, 1
        if len(shape) == 3 and shape[2] in (1, 3):
            return shape
    raise TpcError(
        Diagnostic(
            "E0917",
            f"input `{spec.name}` of axes {list(shape)} takes no images",
            spec.span,
            help="images are [height, width], [height, width, 1 or 3], or [side * side] in grey",
        )
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], _Open]]:
    """Yield the names of the PNG files, sorted, and how to read one."""
    try:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".png" and p.is_file())
            yield [p.relative_to(path).as_posix() for p in files], lambda n: (path / n).read_bytes()
        elif path.suffix.lower() == ".png":
            yield [path.name], lambda name: path.read_bytes()
        else:
            with zipfile.ZipFile(path) as archive:
                inside = sorted(archive.namelist())
                yield [name for name in inside if _is_image(name)], archive.read
    except (OSError, zipfile.BadZipFile) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error


def _is_image(name: str) -> bool:
    return name.lower().endswith(".png") and "__MACOSX" not in PurePosixPath(name).parts


def _decoded(
    path: Path, name: str, read: _Open, height: int, width: int, colours: int
) -> np.ndarray:
    """Return one image (height, width, colours)."""
    import numpy as np
    from matplotlib.image import imread

    try:
        image = np.asarray(imread(io.BytesIO(read(name)), format="png"), dtype=float)
    except (TpcError, MemoryError):
        raise
    except (Exception, zlib.error) as error:  # the reader of images raises what it likes
        raise _unreadable(path, f"{name}: {error or type(error).__name__}") from error
    image = image[..., None] if image.ndim == 2 else image
    image = image[..., :1] if image.shape[2] < 3 else image[..., :3]
    if colours == 1:
        image = image.mean(axis=2, keepdims=True)
    elif image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    rows, columns, _ = image.shape
    if rows < height or columns < width:
        raise TpcError(
            Diagnostic(
                "E0917",
                f"{name} in {path} has {rows} x {columns} pixels, fewer than {height} x {width}",
                help="images are averaged down to the input's size, never enlarged",
            )
        )
    small: np.ndarray = np.einsum(
        "ar,rsc,bs->abc", shrinking(rows, height), image, shrinking(columns, width), optimize=True
    )
    return small


def _labels(
    path: Path, names: list[str], chosen: list[str], known: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    import numpy as np

    level = _level(names)
    found = [_class(name, level) for name in names]
    classes = known or tuple(sorted(set(found)))
    if classes == ("",):
        return np.zeros(len(chosen), dtype=int), ()
    places = {name: k for k, name in enumerate(classes)}
    strange = sorted(set(found) - set(places))
    if strange:
        raise TpcError(
            Diagnostic(
                "E0913",
                f"{path} has images of {strange[0]}, a class that the training images lack",
                help=f"the classes are {', '.join(classes[:20])}",
            )
        )
    return np.array([places[_class(name, level)] for name in chosen]), classes


def _level(names: list[str]) -> int:
    """Return the first folder, counted from 0, at which the paths differ."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    deepest = min(map(len, folders))
    return next((k for k in range(deepest) if len({each[k] for each in folders}) > 1), deepest)


def _class(name: str, level: int) -> str:
    folders = PurePosixPath(name).parts[:-1]
    if level < len(folders):
        return folders[level]
    return folders[-1] if folders else ""


def _unreadable(path: Path, why: str) -> TpcError:
    return TpcError(Diagnostic("E0912", f"cannot read images from {path}: {why}"))
