"""Arrays in .npy and .npz files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np


def load_array(path: Path) -> np.ndarray:
    """Return the array of an .npy file.

    Raises:
        TpcError: the file cannot be read, or holds Python objects.
    """
    import numpy as np

    with reading(path):
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            raise ValueError("it is an archive of arrays, not one array")
        return loaded


def load_archive(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name.

    Raises:
        TpcError: the file cannot be read, or holds Python objects.
    """
    import numpy as np

    with reading(path):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it is one array without a name; give it as name=file")
        with loaded:
            return {name: loaded[name] for name in loaded.files}


class reading:  # noqa: N801 - reads as a statement: with reading(path)
    """Turn what NumPy and the file system raise into a diagnostic."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        faults = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError)
        if isinstance(error, faults):
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if "pickle" in why.lower():
                why = "it is not an .npy or .npz file of plain numbers"
            raise TpcError(
                Diagnostic("E0912", f"cannot read data from {self.path}: {why}")
            ) from error
