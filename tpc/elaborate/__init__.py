"""From the tree to typed IR: names, shapes, weights, training."""

from tpc.elaborate.context import Override
from tpc.elaborate.program import elaborate

__all__ = ["Override", "elaborate"]
