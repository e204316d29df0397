"""Covariances of products of independent values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.covariance.arrays import Value
from tpc.covariance.values import STAGE, padded
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from tpc.covariance.engine import View
    from tpc.ir.node import Node


def product(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return ``E[a a'] E[b b']`` for products a b of independent factors, by modes D and F.

    Raises:
        MissingRule: the factors are built from weights in common.
    """
    engine = view.engine
    (a, b), (c, d) = ((padded(x, node) for x in node.operands) for node in (left, right))
    first, second = engine.sources(a) | engine.sources(c), engine.sources(b) | engine.sources(d)
    if first & second:
        raise MissingRule(left, STAGE, "a product of values of the same weights")
    return view.product(view.request(a, c, modes), view.request(b, d, modes))
