"""Finitely many random numbers, and the mixtures of Gaussians that they make.

What has no width does not average out: a readout in the middle of a network, a trained scalar or a
learned offset of an input stays random. A product of a weight with values that depend on such
scalars is Gaussian given them only. Its second moments are averages over them; of a nonlinearity,
a product of two, or an average over the width nothing follows from second moments, so those are
refused. The tangent kernel is random as soon as a scalar meets another weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ir.node import Node, walk
from tpc.limit.contraction import weight_below
from tpc.limit.moment import LimitRefusal
from tpc.ops.add import ADD
from tpc.ops.contract import CONTRACT
from tpc.ops.gather import GATHER
from tpc.ops.index_map import IndexMap
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.ops.sum import SUM
from tpc.ops.windows import FOLD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tpc.ir.module import ParamSpec

LINEAR = (ADD, SCALE, SUM, REPEAT, GATHER, FOLD, STOP_GRADIENT)
HELP = "give what is in between a width, param B : [n, n], or use it in the last layer only"


def averages(node: Node) -> bool:
    """Whether a node sums values over a width, so that it is a number in the limit."""
    if node.op is SUM:
        return any(node.operands[0].type.dims[axis].width for axis in node.attrs["axes"])
    if node.op is not CONTRACT or any(weight_below(x) is not None for x in node.operands):
        return False
    out = node.attrs["out"]
    return any(
        dim.width and label not in out
        for label, dim in zip(node.attrs["left"], node.operands[0].type.dims, strict=True)
    )


class _Laws:
    """Which nodes are fixed by the sample, and which depend on random scalars, and how."""

    def __init__(self, params: Mapping[str, ParamSpec]) -> None:
        self.params = params
        self.fixed: set[Node] = set()
        self.scalar: set[Node] = set()
        """What depends on scalars that stay random."""
        self.finite: dict[Node, frozenset[str]] = {}
        """The random weights without a width below a node."""
        self.mixed: set[Node] = set()
        """What is Gaussian given such scalars only."""

    def note(self, node: Node) -> None:
        """Say what a node is; its operands are known.

        Raises:
            LimitRefusal: nothing follows from second moments.
        """
        own = node.attrs["name"] if node.op is PARAM and not node.type.width_axes else None
        self.finite[node] = frozenset(() if own is None else (own,)).union(
            *(self.finite[x] for x in node.operands)
        )
        over_width = averages(node)
        if over_width and any(x in self.scalar for x in node.operands):
            raise _refusal("an average over the width is taken of", node)
        if over_width or (all(x in self.fixed for x in node.operands) and self._is_fixed(node)):
            self.fixed.add(node)
            return
        self._require_moments(node)
        self._require_new_weights(node)
        below = [x for x in node.operands if x in self.scalar]
        if below or not node.type.width_axes:
            self.scalar.add(node)
        weights = [weight_below(x) is not None for x in node.operands]
        against = node.op is CONTRACT and any(
            x in self.scalar and weight_below(x) is None for x in node.operands
        )
        if (against and any(weights)) or any(x in self.mixed for x in below):
            self.mixed.add(node)

    def _is_fixed(self, node: Node) -> bool:
        # random masks have rules, and refusals, of their own
        return node.op is not PARAM or self.params[node.attrs["name"]].init != "normal"

    def _require_new_weights(self, node: Node) -> None:
        """Refuse a matrix without a width applied to what depends on it: no Gaussian at all."""
        if node.op is not CONTRACT:
            return
        for x, y in (node.operands, node.operands[::-1]):
            if weight_below(x) is not None and self.finite[x] & self.finite[y]:
                raise _refusal("a weight without a width is applied again to", node)

    def _require_moments(self, node: Node) -> None:
        mixed = [x for x in node.operands if x in self.mixed]
        if not mixed or node.op in LINEAR or isinstance(node.op, IndexMap):
            return
        if node.op in (MULTIPLY, CONTRACT):
            held = node.op is CONTRACT  # its weight is drawn anew
            random = [
                x
                for x in node.operands
                if x in self.scalar and not (held and weight_below(x) is not None)
            ]
            if len(random) < 2:
                return
            raise _refusal("a product is taken of", node)
        raise _refusal("a nonlinearity is applied to", node)

    def require_gradient(self, node: Node) -> None:
        """Refuse what makes the tangent kernel random.

        Raises:
            LimitRefusal: a random scalar meets something else that trains, or a nonlinearity.
        """
        below = [x for x in node.operands if x in self.scalar]
        if not below or node in self.fixed:
            return
        if node.op in LINEAR or isinstance(node.op, IndexMap):
            return
        rest = [x for x in node.operands if x not in self.fixed]
        if node.op in (MULTIPLY, CONTRACT) and len(rest) == 1:
            return
        held = [x for x in below if not (node.op is CONTRACT and weight_below(x) is not None)]
        if held:
            raise LimitRefusal(
                "the tangent kernel of scalars that stay random (values without a width in the "
                "middle of the network) is random itself",
                node,
                HELP,
            )


def _refusal(what: str, node: Node) -> LimitRefusal:
    return LimitRefusal(
        f"{what} values that depend on scalars that stay random (values without a width), a "
        "mixture of Gaussians: only sums of them have a kernel",
        node,
        HELP,
    )


def require_no_scalars(output: Node, params: Mapping[str, ParamSpec], tangent: bool) -> None:
    """Refuse programs whose kernel hangs on finitely many random numbers.

    Raises:
        LimitRefusal: second moments do not determine it, or the ``tangent`` kernel is random.
    """
    laws = _Laws(params)
    for node in walk([output]):
        laws.note(node)
    if tangent:
        for node in walk([output]):
            laws.require_gradient(node)
