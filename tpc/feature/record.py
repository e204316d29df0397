"""Values whose kernels are kept during a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node


def recorded(module: Module, names: Sequence[str]) -> dict[str, Node]:
    """Return the values called ``names``.

    Raises:
        TpcError: there is no such value, or it is no vector that differs between samples.
    """
    known = {value.name: value.node for value in module.values}
    result = {}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise TpcError(Diagnostic("E0927", f"there is no value `{name}` to record", help=hint))
        node = known[name]
        if node.type.sort != 1 or not node.type.batched:
            raise TpcError(
                Diagnostic(
                    "E0927",
                    f"`{name}` has no kernel: it is {node.type}",
                    help="a kernel E[Z Z'] belongs to a value with one width axis",
                )
            )
        result[name] = node
    return result
