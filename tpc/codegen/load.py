"""Generated modules on disk: named by their content, written as a whole, imported once."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from tpc.codegen.engine import ENGINE
from tpc.runtime.blas import one_blas_thread

FOLDER = "TPC_CACHE_DIR"


def cache_folder() -> Path:
    """Return the folder for generated modules: ``$TPC_CACHE_DIR``, else the user's cache folder."""
    chosen = os.environ.get(FOLDER)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", str(Path.home()))
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tpc"


_MIRROR = f"""\
from numba import njit

OPTIONS = {{"cache": True, "nogil": True, "error_model": "numpy"}}


{ENGINE[: ENGINE.index("def on_all_cores")].rstrip()}
"""
"""What modules of kernels share, as a module of its own."""


@lru_cache(maxsize=64)
def load(source: str) -> ModuleType:
    """Return the module with this source, from the cache folder or written there first.

    The file's name is the hash of its content, so Numba finds the machine code that an earlier
    process left beside it. Where the cache cannot be written, a temporary folder serves.
    """
    name = f"tpc_kernel_{hashlib.sha256(source.encode()).hexdigest()[:24]}"
    try:
        path = _written(cache_folder(), name, source)
    except OSError:
        path = _written(Path(tempfile.mkdtemp(prefix="tpc-")), name, source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    module.one_blas_thread = one_blas_thread  # type: ignore[attr-defined]  # all count together
    if "prepare" in vars(module):
        module.mirror = load(_MIRROR).mirror  # type: ignore[attr-defined]  # compiled once for all
    return module


def _written(folder: Path, name: str, source: str) -> Path:
    path = folder / f"{name}.py"
    if path.exists() and path.read_text(encoding="utf-8") == source:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".py", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(source)
    os.replace(temporary, path)
    return path
