"""What averages over the width leave out, for programs whose neurons are sampled.

An average over n coordinates is a number up to fluctuations of relative size n^(-1/2). This pass
bounds powers of the width of values and of their fluctuations, forward through the program, and
refuses where fluctuations do not vanish before something that is not linear, or where it divides by
an average that may vanish itself.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.covariance.families import Roles, roles
from tpc.covariance.neurons import averaged_widths, needed
from tpc.ir.node import Node
from tpc.limit.moment import LimitRefusal, power_of
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.batch import BATCH_MEAN
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL
from tpc.ops.index_map import IndexMap
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tpc.covariance.readouts import Outputs
    from tpc.ir.module import ParamSpec

HALF = Fraction(1, 2)
LINEAR = (ADD, SCALE, SUM, REPEAT, MULTIPLY, CONTRACT, BATCH_MEAN)
"""Ops that are linear in each operand."""
Powers = tuple[Fraction, Fraction | None]
"""Bounds on the powers of the width of a value and of its fluctuations (None: it has none)."""


def require_steady(found: Outputs, params: Mapping[str, ParamSpec]) -> None:
    """Refuse programs in which averages over the width stay random.

    Raises:
        LimitRefusal: with the node at fault.
    """
    known: dict[Node, Powers] = {}
    for node in needed(found.values):
        known[node] = _powers(node, roles(node), known, params)
        _check(node, known)
    for each in found.readouts:
        if each.found is not None:
            size, noise = known[each.found.value]
            if noise is not None and noise >= size:
                raise _random(each.node)


def _random(node: Node) -> LimitRefusal:
    return LimitRefusal(
        "a sum over the width stays random in the limit (central limit theorem) and takes part in "
        "a product or a nonlinearity",
        node,
        "divide inner products by n instead of n^(1/2): einsum(...) * n^-1",
    )


def _powers(
    node: Node,
    found: Roles | None,
    known: Mapping[Node, Powers],
    params: Mapping[str, ParamSpec],
) -> Powers:
    if found is not None:
        spec = params[found.name]
        moved = found.summed_widths * HALF - power_of(spec.entry_exponent, node)
        return _times(known[found.value], moved)
    if node.op is PARAM:
        spec = params[str(node.attrs["name"])]
        return (
            -power_of(spec.entry_exponent, node) if spec.init == "normal" else Fraction(0)
        ), None
    below = [known[x] for x in node.operands]
    if node.op is SCALE:
        return _times(below[0], power_of(node.attrs["coefficient"].power, node))
    if node.op is FILL:
        return power_of(node.attrs["coefficient"].power, node), None
    widths = averaged_widths(node)
    if widths or node.op in (MULTIPLY, CONTRACT):
        size = sum((size for size, _ in below), Fraction(widths))
        others = [None if noise is None else size - own + noise for own, noise in below]
        return size, _largest(*others, size - HALF if widths else None)
    if node.op is POWER:
        size, noise = below[0]
        exponent: Fraction = node.attrs["exponent"]
        return exponent * size, None if noise is None else noise + (exponent - 1) * size
    if node.op is APPLY:
        return Fraction(0), below[0][1]
    sizes = max((size for size, _ in below), default=Fraction(0))
    return sizes, _largest(*(noise for _, noise in below))


def _times(powers: Powers, power: Fraction) -> Powers:
    size, noise = powers
    return size + power, None if noise is None else noise + power


def _largest(*powers: Fraction | None) -> Fraction | None:
    return max((p for p in powers if p is not None), default=None)


def _check(node: Node, known: Mapping[Node, Powers]) -> None:
    """Check what an op that is not linear reads.

    Raises:
        LimitRefusal: it fluctuates, or may vanish below a negative power.
    """
    if node.op in LINEAR or isinstance(node.op, IndexMap) or roles(node) is not None:
        return  # constants, which make sums averages, may stand outside
    for x in node.operands:
        size, noise = known[x]
        bound = size if node.op is POWER else Fraction(0)
        if noise is not None and noise >= bound:
            raise _random(node)
    divides = node.op is POWER and node.attrs["exponent"] < 0
    if divides and known[node.operands[0]][1] is not None and not _positive(node.operands[0]):
        raise LimitRefusal("it divides by an average over the width that may vanish", node)


def _positive(node: Node) -> bool:
    """Whether a value is a sum of squares and positive constants."""
    if node.op is FILL:
        return bool(node.attrs["coefficient"].constant.sign > 0)
    if node.op is POWER and node.attrs["exponent"] == 2:
        return True
    if node.op is CONTRACT:
        same = node.attrs["left"] == node.attrs["right"]
        return same and node.operands[0] is node.operands[1]
    if node.op is MULTIPLY and node.operands[0] is node.operands[1]:
        return True
    if node.op is SCALE and node.attrs["coefficient"].constant.sign <= 0:
        return False
    return bool(node.operands) and all(_positive(x) for x in node.operands)
