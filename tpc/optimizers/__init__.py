"""Optimizers, one file each, found by walking this folder."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tpc.optimizers.base import Optimizer, Option


@cache
def optimizers() -> dict[str, Optimizer]:
    """Return every optimizer by name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [x for module in modules for x in vars(module).values() if isinstance(x, Optimizer)]
    return {each.name: each for each in sorted(set(found), key=lambda each: each.name)}


__all__ = ["Optimizer", "Option", "optimizers"]
