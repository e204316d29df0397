"""Writing results so that nothing is ever half-written: to a temporary name first, then renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes ``path``'s place when the block ends well.

    Raises:
        TpcError: the file cannot be written (no such folder, no permission, a full disk); what was
            at ``path`` before is still there.
    """
    temporary = None
    try:
        if path.exists() and not path.is_file():
            # a device or a pipe is written to; to put a file in its place would destroy it
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise TpcError(
            Diagnostic(
                "E0901",
                f"cannot write {path}: {error.strerror or error}",
                help="check the folder, its permissions and the free space of the disk",
            )
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file as a whole or not at all."""
    import numpy as np

    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
