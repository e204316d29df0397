"""An order of expressions that is the same in every process.

The order of creation would depend on what was derived before, and with it the printed text, the
generated source and the name under which compiled kernels are found again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpc.limit.expressions import Expression

_ranks: dict[Expression, tuple[int, bytes]] = {}


def rank(e: Expression) -> tuple[int, bytes]:
    """Return a key that sorts expressions: deeper ones later, then by a hash of the content."""
    return _ranks[e]


def place(e: Expression, parts: tuple[Any, ...]) -> None:
    """Give a new expression its rank; ``parts`` is what it was made of, operands included."""
    text = hashlib.blake2b(type(e).__name__.encode(), digest_size=12)
    stack = list(reversed(parts))
    while stack:
        part = stack.pop()
        known = _ranks.get(part)
        if known is not None:
            text.update(known[1])
        elif isinstance(part, tuple):
            stack.extend((*reversed(part), len(part)))
        else:
            text.update(f"{getattr(part, 'label', part)};".encode())
    height = 1 + max((_ranks[operand][0] for operand in e.operands), default=0)
    _ranks[e] = (height, text.digest())
