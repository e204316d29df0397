"""Which targets there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tpc.export.optax import optax_text
from tpc.export.torch import torch_text
from tpc.scaling.solved import Solved

WRITERS: Mapping[str, Callable[[Solved, int], str]] = MappingProxyType(
    {"torch": torch_text, "optax": optax_text}
)


def write(target: str, solved: Solved, base_width: int) -> str:
    """Return the text for a target, ``torch`` or ``optax``.

    Raises:
        KeyError: there is no such target.
    """
    return WRITERS[target](solved, base_width)
