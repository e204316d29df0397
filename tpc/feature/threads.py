"""Replicates side by side, and one thread for each matrix product meanwhile.

Products here are long and thin: threads of one product mostly wait for each other. NumPy has no
switch for this; where its OpenBLAS is found the number of threads is set directly, else nothing is
done.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, NoReturn, TypeVar

import numpy as np

Result = TypeVar("Result")

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


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Let SIGTERM interrupt like Ctrl-C, so that a run that a scheduler ends keeps its state.

    Only the main thread may say so; elsewhere nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


class Stopped(Exception):  # noqa: N818 - no error: another task failed, or the user asked
    """A task gave up because the others did."""


def together(
    task: Callable[[int], Result], numbers: Iterable[int], workers: int, stop: Event
) -> list[Result]:
    """Return the results of tasks that run at the same time.

    As soon as one fails, or the user interrupts, ``stop`` is set, at which tasks are to raise
    :class:`Stopped` when it suits them; then the first failure is raised.
    """
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(task, number) for number in numbers]
        try:
            found = wait(tasks, return_when=FIRST_EXCEPTION)
            failed = any(each.exception() for each in found.done)
        except BaseException:
            failed = True
            raise
        finally:
            if failed:
                stop.set()
                for each in tasks:
                    each.cancel()
    errors = [each.exception() for each in tasks if not each.cancelled()]
    for error in errors:
        if error is not None and not isinstance(error, Stopped):
            raise error
    return [each.result() for each in tasks]
