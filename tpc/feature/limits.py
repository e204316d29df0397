"""Numbers and vectors that something consumes which minds their scale: they must have a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    from tpc.feature.value import Exponent, Value
    from tpc.ir.node import Node
    from tpc.ops.base import Array


def settled(x: Value, node: Node) -> tuple[Array, Exponent]:
    """Return the limit of a value that ``node`` consumes, and the power of what it leaves out.

    A value of negative power tends to zero.

    Raises:
        TpcError: it diverges, or keeps a random part that the limit of its terms does not show.
    """
    if x.power is not None and x.power > 0:
        raise TpcError(
            Diagnostic(
                "E0950",
                f"a value that `{node.op.name}` consumes grows like n^{x.power}",
                help="the program is unstable at these exponents: tpc classify says where and why",
            )
        )
    if x.rest is not None and x.rest >= 0:
        raise TpcError(
            Diagnostic(
                "E0951",
                f"a value that `{node.op.name}` consumes stays random in the limit, "
                f"with fluctuations of size n^{x.rest}",
                help="an inner product of unrelated vectors is a Gaussian of the central limit "
                "theorem: use a smaller initial readout (mup, mean_field, init zero), or the "
                "kernel limits",
            )
        )
    if x.power is not None and x.power < 0:
        return np.zeros(x.array.shape), x.power
    return x.array, x.rest
