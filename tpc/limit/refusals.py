"""Refusals of a derivation as diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit.moment import LimitRefusal
from tpc.limit.spans import span_of
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.ir.module import Module


@contextmanager
def reported(module: Module) -> Iterator[None]:
    """Report what a derivation refuses at its place in the program.

    Raises:
        TpcError: there is no such limit, an op has no limit rule, or the program needs terms that
            are not supported.
    """
    try:
        yield
    except LimitRefusal as refusal:
        raise TpcError(
            Diagnostic("E0963", refusal.message, span_of(module, refusal.node), help=refusal.help)
        ) from refusal
    except MissingRule as missing:
        detail = missing.detail or "it is not supported there"
        raise TpcError(
            Diagnostic(
                "E0964",
                f"`{missing.node.op.name}` has no rule for kernel limits here: {detail}",
                span_of(module, missing.node),
                help="the class and finite widths do not need it: tpc classify, tpc simulate",
            )
        ) from missing
