"""The inner product of two values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ops.base import surface, value
from tpc.ops.contract import inner

if TYPE_CHECKING:
    from tpc.ir.node import Node


@surface(value("u"), value("v"))
def dot(u: Node, v: Node) -> Node:
    """The inner product over the last axis: `dot(u, v)` of two vectors is `sum(u * v)`.

    Over a width axis this is a plain sum; `dot(u, v) * n^-1` is a moment, with a limit.
    """
    return inner(u, v)
