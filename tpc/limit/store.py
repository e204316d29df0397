"""Kernels in .npy files, written band by band and taken up after a kill.

While a kernel is not complete its file is called ``NAME.part``; ``NAME.part.json`` says which
program, data and options it belongs to, how it is cut into bands and how many are written. The last
band renames the file: a file called ``NAME`` is always complete.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.storage import write_text

if TYPE_CHECKING:
    from tpc.limit.bands import DType, Plan

FORMAT = 1


def fingerprint(source: str, data: Sequence[Mapping[str, Any] | None], request: object) -> str:
    """Return a hash of everything that a kernel's numbers depend on."""
    import hashlib

    import numpy as np

    digest = hashlib.sha256(f"{FORMAT}\n{request!r}\n{source}".encode())
    for arrays in data:
        digest.update(b"\n--\n")
        for name, array in sorted((arrays or {}).items()):
            values = np.ascontiguousarray(array)
            digest.update(f"{name} {values.shape} {values.dtype}\n".encode())
            digest.update(values.data if values.size else b"")
    return digest.hexdigest()


class FileStore:
    """A kernel in a file; see the module. ``array`` is mapped into memory."""

    def __init__(self, path: Path, array: Any, mark: str, state: dict[str, Any] | None) -> None:
        self.path = path
        self.array = array
        self.mark = mark
        self.state = state

    def opened(self, plan: Plan) -> Plan:
        """Return the plan of the run that was killed, or this one."""
        if self.state is not None:
            plan = replace(plan, height=self.state["height"], done=self.state["done"])
        self.state = {"format": FORMAT, "fingerprint": self.mark, **asdict(plan)}
        self.finished(plan.done)
        return plan

    def finished(self, bands: int) -> None:
        """Record that so many bands are written, after they are on the disk."""
        assert self.state is not None
        self.array.flush()
        self.state["done"] = bands
        write_text(_state_of(self.path), json.dumps(self.state, indent=1))


@contextlib.contextmanager
def kernel_file(
    path: Path, shape: tuple[int, ...], dtype: DType, mark: str, resume: bool
) -> Iterator[FileStore]:
    """Open the file of a kernel; it gets its name when the block ends well.

    Raises:
        TpcError: the file cannot be written or has no room on the disk, or ``resume`` is asked for
            where the unfinished file belongs to something else.
    """
    try:
        state = _state(path, mark, shape, dtype) if resume else None
        store = FileStore(path, _mapped(path, shape, dtype, state is None), mark, state)
        yield store
        store.array.flush()
        del store.array
        os.replace(_part_of(path), path)
        _state_of(path).unlink(missing_ok=True)
    except OSError as error:
        raise TpcError(
            Diagnostic(
                "E0901",
                f"cannot write {path}: {error.strerror or error}",
                help="check the folder, its permissions and the free space of the disk",
            )
        ) from error


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _state_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def _state(path: Path, mark: str, shape: tuple[int, ...], dtype: str) -> dict[str, Any] | None:
    """Return what an unfinished run recorded, None where there is none."""
    import numpy as np

    if not _state_of(path).exists() or not _part_of(path).exists():
        return None
    try:
        state: dict[str, Any] = json.loads(_state_of(path).read_text(encoding="utf-8"))
        same = state["fingerprint"] == mark and state["format"] == FORMAT
        kept = np.load(_part_of(path), mmap_mode="r")
        whole = kept.shape == shape and kept.dtype == np.dtype(dtype)
    except (ValueError, KeyError, TypeError):
        same = whole = False
    if not (same and whole):
        raise TpcError(
            Diagnostic(
                "E0970",
                f"{_part_of(path)} belongs to another program, other data or other options",
                help=f"start anew without --resume (resume=False), or remove {_part_of(path)}",
            )
        )
    return state


def _mapped(path: Path, shape: tuple[int, ...], dtype: DType, fresh: bool) -> Any:
    """Map the unfinished file; a new one gets its room on the disk at once."""
    import numpy as np

    part = _part_of(path)
    if not fresh:
        return np.lib.format.open_memmap(part, mode="r+")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    _state_of(path).unlink(missing_ok=True)
    try:
        # a write to a mapped page that finds no room kills the process: ask for the room first
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with part.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype))}
            np.lib.format.write_array_header_2_0(
                file, {**header, "fortran_order": False, "shape": shape}
            )
            start = file.tell()
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, start + size)
            else:
                file.truncate(start + size)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return np.lib.format.open_memmap(part, mode="r+")
