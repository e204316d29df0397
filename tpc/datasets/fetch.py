"""Files from a path or an address of the user's, checked by their sha256."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tpc.diagnostics import Diagnostic, TpcError
from tpc.storage import replacing

_PIECE = 2**20
SCHEMES = ("http://", "https://", "file://")


def fetched(
    source: str,
    folder: Path,
    sha256: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Return a local file: ``source`` itself if it is a path, else downloaded into ``folder``.

    A file that is there already is not downloaded again. ``progress`` is called with the number of
    bytes that have arrived. What fails the check is not kept.

    Raises:
        TpcError: it cannot be had, or its content has another sha256.
    """
    if not source.startswith(SCHEMES):
        path = Path(source)
        _check(source, _digest(path) if sha256 else None, sha256)
        return path
    name = source.rstrip("/").rpartition("/")[2] or "download"
    path = folder / name
    if path.exists():
        _check(str(path), _digest(path) if sha256 else None, sha256)
        return path
    try:
        with urllib.request.urlopen(source) as answer, replacing(path) as file:
            found, arrived = hashlib.sha256(), 0
            while piece := answer.read(_PIECE):
                file.write(piece)
                found.update(piece)
                arrived += len(piece)
                if progress is not None:
                    progress(arrived)
            _check(source, found.hexdigest() if sha256 else None, sha256)
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        why = getattr(error, "reason", None) or error
        raise TpcError(Diagnostic("E0912", f"cannot fetch {source}: {why}")) from error
    return path


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        why = error.strerror or str(error)
        raise TpcError(Diagnostic("E0912", f"cannot read {path}: {why}")) from error


def _check(what: str, found: str | None, wanted: str | None) -> None:
    if found is not None and wanted is not None and found != wanted.lower():
        raise TpcError(
            Diagnostic(
                "E0912",
                f"{what} has sha256 {found}, not {wanted.lower()}",
                help="it is another file, or it is damaged: fetch it again",
            )
        )
