"""The threads of BLAS: one each, where callers have threads of their own.

Needs NumPy only; generated modules contain the text.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

BLAS_LOCK = threading.Lock()
BLAS_STATE = {"users": 0, "threads": 0}


def blas_controls() -> Any:
    """Return functions that get and set the number of threads of NumPy's OpenBLAS.

    None where NumPy uses another library, or where its symbols are not found.
    """
    try:
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)  # symbols of what it links, too
    except (OSError, AttributeError):
        return None
    for prefix in ("scipy_openblas", "openblas"):
        for suffix in ("64_", "_64", ""):
            get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
            change = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
            if get is not None and change is not None:
                return get, change
    return None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every call of BLAS use one thread only: others would wait for ours, spinning.

    The setting belongs to the process; the last of several users puts it back.
    """
    controls = blas_controls()
    if controls is None:
        yield
        return
    get, change = controls
    with BLAS_LOCK:
        if BLAS_STATE["users"] == 0:
            BLAS_STATE["threads"] = get()
            change(1)
        BLAS_STATE["users"] += 1
    try:
        yield
    finally:
        with BLAS_LOCK:
            BLAS_STATE["users"] -= 1
            if BLAS_STATE["users"] == 0:
                change(BLAS_STATE["threads"])
