"""The ops of the IR and the functions of the language: one file each, found by a walk."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tpc.ops.base import Function, Op


@cache
def _modules() -> tuple[object, ...]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg)
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in names)


@cache
def ops() -> dict[str, Op]:
    """Return every op by name."""
    found = [x for module in _modules() for x in vars(module).values() if isinstance(x, Op)]
    return {op.name: op for op in sorted(set(found), key=lambda op: op.name)}


@cache
def functions() -> dict[str, Function]:
    """Return every function of the language by name."""
    found = [x for module in _modules() for x in vars(module).values() if isinstance(x, Function)]
    return {function.name: function for function in sorted(found, key=lambda f: f.name)}
