"""The codes and their long explanations: what ``tpc explain CODE`` prints.

Each module of this package holds one group as a tuple ``CODES``; a new group is a new file.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType

from tpc.diagnostics.codes.code import Code


@cache
def all_codes() -> MappingProxyType[str, Code]:
    """Every code, in order."""
    found: dict[str, Code] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for code in getattr(loaded, "CODES", ()):
            if code.code in found:
                raise ValueError(f"{code.code} is explained twice")
            found[code.code] = code
    return MappingProxyType(dict(sorted(found.items())))


def explain(code: str) -> str | None:
    """The long explanation of a code (``E0101``, ``e0101``, ``0101``), or None if unknown."""
    wanted = code.strip().upper()
    known = all_codes()
    found = known.get(wanted) or known.get(f"E{wanted}")
    return found.text() if found else None


__all__ = ["Code", "all_codes", "explain"]
