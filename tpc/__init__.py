"""tpc: a symbolic compiler for tensor programs.

>>> import tpc
>>> program = tpc.compile("perceptron.tp")
>>> program.classify().kind
"""

from typing import TYPE_CHECKING, Any

from tpc.version import __version__

if TYPE_CHECKING:
    from tpc.api import Program, compile
    from tpc.diagnostics import Diagnostic, TpcError
    from tpc.limit.dual import dual

__all__ = ["Diagnostic", "Program", "TpcError", "__version__", "compile", "dual"]

_HOMES = {
    "Program": "tpc.api",
    "compile": "tpc.api",
    "Diagnostic": "tpc.diagnostics",
    "TpcError": "tpc.diagnostics",
    "dual": "tpc.limit.dual",
}


def __getattr__(name: str) -> Any:
    # Names load on first use, so that `import tpc.diagnostics` does not load the compiler.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tpc' has no attribute {name!r}")
