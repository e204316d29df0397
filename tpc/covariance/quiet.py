"""How large is what averages over the width leave out: bounds that must vanish at the output.

An average over n coordinates is a number up to fluctuations of relative size n^(-1/2) (central
limit theorem). Recursions over arrays carry the number alone; this pass follows the powers of the
width of what was dropped, forward through the program, and refuses where it does not vanish. A
gradient of an average is of the same order, so that shares of the tangent kernel that go through
numbers are dropped likewise, and are followed likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.ir.node import Node, walk
from tpc.limit.contraction import weight_below
from tpc.limit.moment import LimitRefusal, block_size, power_of
from tpc.ops.apply import APPLY
from tpc.ops.contract import CONTRACT
from tpc.ops.gather import GATHER
from tpc.ops.index_map import IndexMap
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM
from tpc.ops.windows import FOLD

if TYPE_CHECKING:
    from tpc.covariance.engine import Engine

Power = Fraction | None
"""A power of the width of a second moment; None for nothing at all."""
LINEAR = (SUM, REPEAT, FOLD)


def largest(*powers: Power) -> Power:
    """Return the largest power."""
    return max((p for p in powers if p is not None), default=None)


def plus(*powers: Power) -> Power:
    """Return the power of a product."""
    return sum((p for p in powers if p is not None), Fraction(0)) if None not in powers else None


@dataclass(frozen=True)
class Dropped:
    """Powers of the width of the second moment of what was dropped, and of its gradients'."""

    kernel: Power = None
    tangent: Power = None

    def times(self, power: Fraction) -> Dropped:
        """Return it for a value times ``n^(power/2)``."""
        return Dropped(plus(self.kernel, power), plus(self.tangent, power))


class _Quiet:
    def __init__(self, engine: Engine, tangent: bool) -> None:
        self.engine = engine
        self.tangent = tangent
        self.dropped: dict[Node, Dropped] = {}
        self._sizes: dict[Node, Dropped] = {}

    def size(self, node: Node) -> Dropped:
        """Return the powers of what a value is in the limit, and of its tangent."""
        if node not in self._sizes:
            self._sizes[node] = self._size(node)
        return self._sizes[node]

    def _size(self, node: Node) -> Dropped:
        if self.engine.numbers.is_number(node):
            q = self.engine.numbers.array(node).quantity
            return Dropped(None if q is None else 2 * q.power)
        if node.op is MULTIPLY:
            return _pair(*(self.size(x) for x in node.operands))
        if node.op is POWER and node.attrs["exponent"] == 2:
            return _pair(self.size(node.operands[0]), self.size(node.operands[0]))
        modes = "D" * node.type.rank
        own = self.engine.own.request(node, node, modes).kernel
        moved = self.engine.cross.request(node, node, modes).tangent if self.tangent else None
        return Dropped(*(None if q is None else q.power for q in (own, moved)))

    def note(self, node: Node) -> None:
        """Bound what a node leaves out; its operands are known."""
        below = [self.dropped[x] for x in node.operands]
        if self.engine.numbers.is_number(node) and not all(
            self.engine.numbers.is_number(x) for x in node.operands
        ):
            self.dropped[node] = self._average(node, below)
        elif all(d == Dropped() for d in below):
            self.dropped[node] = Dropped()
        else:
            self.dropped[node] = self._through(node, below)

    def _through(self, node: Node, below: list[Dropped]) -> Dropped:
        parts = node.op.addends(node)
        if parts is not None:
            terms = [self.dropped[x].times(2 * power_of(c.power)) for c, x in parts]
            return _total(terms)
        if node.op is SCALE:
            return below[0].times(2 * power_of(node.attrs["coefficient"].power))
        if node.op is CONTRACT:
            for x, other in (node.operands, reversed(node.operands)):
                if weight_below(x) is not None:
                    return self._against(node, x, self.dropped[other])
        if node.op in (CONTRACT, MULTIPLY):
            return self._product(*node.operands)
        found = _total(below)
        if isinstance(node.op, IndexMap) or node.op in LINEAR or node.op is GATHER:
            return found
        return self._nonlinear(node, found)

    def _nonlinear(self, node: Node, found: Dropped) -> Dropped:
        if found.kernel is not None and found.kernel >= 0:
            raise noisy(node)
        phi = node.attrs["activation"] if node.op is APPLY else None
        jumps = phi is not None and (phi.dropped is not None or phi.derivative().dropped)
        kernel = found.kernel
        if kernel is not None and jumps:
            kernel = kernel / 2  # where a function jumps a shift d flips a share d of coordinates
        moved = [self.size(x).tangent for x in node.operands] if self.tangent else []
        return Dropped(kernel, largest(found.tangent, *(plus(kernel, t) for t in moved)))

    def _against(self, node: Node, weight: Node, value: Dropped) -> Dropped:
        """Return what is dropped of a product of a weight and a value."""
        param = weight_below(weight)
        assert param is not None
        spec = self.engine.params[param.attrs["name"]]
        at = [x is weight for x in node.operands].index(True)
        labels = node.attrs["left" if at == 0 else "right"]
        size = Fraction(0)
        for label, dim in zip(labels, weight.type.dims, strict=True):
            if dim.width and label not in node.attrs["out"]:
                size += power_of(block_size(dim.count).power)
        spread = size - 2 * power_of(spec.entry_exponent)
        step = self.engine.steps.get(spec.name)
        grown = None if step is None else plus(value.kernel, size + power_of(step.power))
        through = value.times(spread if spec.init == "normal" else 2 * size)
        return Dropped(through.kernel, largest(through.tangent, grown))

    def _product(self, x: Node, y: Node) -> Dropped:
        """Return what is dropped of a product of values, each with and without its own."""
        a, b = self.dropped[x], self.dropped[y]
        s = self.size(x) if b != Dropped() else Dropped()
        t = self.size(y) if a != Dropped() else Dropped()
        return Dropped(
            largest(plus(a.kernel, t.kernel), plus(s.kernel, b.kernel), plus(a.kernel, b.kernel)),
            largest(
                plus(a.tangent, largest(t.kernel, b.kernel)),
                plus(largest(s.kernel, a.kernel), b.tangent),
                plus(a.kernel, t.tangent),
                plus(s.tangent, b.kernel),
            ),
        )

    def _average(self, node: Node, below: list[Dropped]) -> Dropped:
        """Return the fluctuations of a sum over the width."""
        power = Fraction(0)
        if node.op is SUM:
            (x,) = node.operands
            axes = [x.type.dims[axis] for axis in node.attrs["axes"]]
            fresh, older = self.size(x), below[0]
        else:
            x, y = node.operands
            pairs = zip(node.attrs["left"], x.type.dims, strict=True)
            axes = [dim for label, dim in pairs if label not in node.attrs["out"]]
            fresh, older = _pair(self.size(x), self.size(y)), self._product(x, y)
        for dim in axes:
            power += power_of(block_size(dim.count).power) if dim.width else 0
        return _total([fresh.times(2 * power - 1), older.times(2 * power)])


def _pair(s: Dropped, t: Dropped) -> Dropped:
    moved = largest(plus(s.tangent, t.kernel), plus(s.kernel, t.tangent))
    return Dropped(plus(s.kernel, t.kernel), moved)


def _total(terms: list[Dropped]) -> Dropped:
    return Dropped(largest(*(d.kernel for d in terms)), largest(*(d.tangent for d in terms)))


def noisy(node: Node) -> LimitRefusal:
    """Return the refusal of a sum over the width that stays random."""
    return LimitRefusal(
        "a sum over the width stays random in the limit (central limit theorem) and takes part "
        "in a product or a nonlinearity",
        node,
        "divide inner products by n instead of n^(1/2): einsum(...) * n^-1",
    )


def require_quiet_numbers(engine: Engine, output: Node, tangent: bool) -> None:
    """Check that what averages over the width leave out vanishes at the output.

    Raises:
        LimitRefusal: it does not.
        MissingRule: the sizes of values are not known.
    """
    quiet = _Quiet(engine, tangent)
    for node in walk([output]):
        if node.op is PARAM:
            quiet.dropped[node] = Dropped()
        else:
            quiet.note(node)
    found = quiet.dropped[output]
    if any(p is not None and p >= 0 for p in (found.kernel, found.tangent)):
        raise noisy(output)
