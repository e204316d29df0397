"""One thread for each matrix product, so that replicates can run side by side.

Products here are long and thin: threads of one product mostly wait for each other. NumPy has no
switch for this; where its OpenBLAS is found the number of threads is set directly, else nothing is
done.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads",
)


@contextmanager
def single_threaded_products() -> Iterator[None]:
    """Let every matrix product run on one thread."""
    found = _functions()
    if found is None:
        yield
        return
    get, set_ = found
    before = int(get())
    set_(1)
    try:
        yield
    finally:
        set_(before)


@cache
def _functions() -> tuple[Any, Any] | None:
    """Return the functions that get and set the number of threads of NumPy's OpenBLAS."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs", package / ".libs"):
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for name in _NAMES:
                get, set_ = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
                if get is not None and set_ is not None:
                    return get, set_
    return None
