"""What a weight, or a change of it, does to the result of each of its uses.

A weight reaches its uses through operations on weights alone: indexing, transposing, scaling,
sums and products with other weights (``W + B @ A``), inner steps (``U - inner * grad(loss, U)``).
A use is the first operation in which it meets data; the powers of the width that multiply the
result at once belong to the use, so that ``n^-1 * (E @ h)`` is of the size of what is consumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from tpc.exact import Affine
from tpc.ops.add import ADD
from tpc.ops.contract import CONTRACT
from tpc.ops.gather import GATHER
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.rate import RATE
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM
from tpc.scaling.state import Size, Value, nothing

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.plan import Plan
    from tpc.scaling.tropical import Tropical

_MIXING = (ADD, MULTIPLY, CONTRACT)
_LINEAR = (*_MIXING, SUM)


@dataclass(frozen=True)
class Site:
    """One use of a weight: the path from its leaf to the result, and n^-after that multiplies it.

    The last node of the path is where the weight does its work.
    """

    path: tuple[Node, ...]
    after: Affine

    @property
    def end(self) -> Node:
        """The node whose value the weight makes."""
        return self.path[-1]

    @property
    def contracts(self) -> bool:
        """Whether a width axis of the weight is summed over: its fan-in is the width."""
        return any(_sums_width(node, before) for before, node in pairwise(self.path))

    def action(
        self,
        value: Value,
        sizes: Mapping[Node, Size],
        context: ScalingContext,
        *,
        initial: bool = False,
    ) -> Tropical:
        """Return the exponent of the result that `value` makes in the place of the weight.

        All else is at its present size: initial parts and changes together. ``initial`` says that
        the value is an initial weight: what is assumed of alignment tells that from an update.
        """
        for before, node in pairwise(self.path):
            value = _alone(node, before, value, sizes, context, initial)
        return value.smallest + context.domain.exponent(self.after)

    def before_training(self, sizes: Mapping[Node, Size]) -> Mapping[Node, Size]:
        """Return the sizes of what is around the use, as they are at initialisation."""
        around = {operand for node in self.path for operand in node.operands}
        return {x: Size(sizes[x].init, nothing(x.type.sort)) for x in around}


@lru_cache(maxsize=8)
def sites(plan: Plan) -> Mapping[str, tuple[Site, ...]]:
    """Return the uses of every weight of the program."""
    finder = _Finder(plan)
    return {
        name: tuple(dict.fromkeys(finder.from_node(leaf))) for name, leaf in plan.leaves.items()
    }


@lru_cache(maxsize=8)
def inner_sites(plan: Plan) -> Mapping[str, tuple[tuple[Node, tuple[Site, ...]], ...]]:
    """Return the inner steps of every weight that has any, and where each of them acts."""
    finder = _Finder(plan)
    found: dict[str, list[tuple[Node, tuple[Site, ...]]]] = {}
    for node in plan.users:
        if node.op is RATE:
            steps = found.setdefault(str(node.attrs["param"]), [])
            steps.append((node, tuple(dict.fromkeys(finder.from_node(node)))))
    return {name: tuple(steps) for name, steps in found.items()}


class _Finder:
    """Follows values that are made of weights alone."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._pure: dict[Node, bool] = {}

    def from_node(self, start: Node) -> Iterator[Site]:
        stack: list[tuple[Node, ...]] = [(start,)]
        while stack:
            path = stack.pop()
            users = self.plan.users.get(path[-1], ())
            for user in users:
                if user.op.transparent or self._is_pure(user):
                    stack.append((*path, user))
                else:
                    yield from self._use(path, user)

    def _use(self, path: tuple[Node, ...], user: Node) -> Iterator[Site]:
        carrier = path[-1]
        if user.op not in _LINEAR:
            # a function of the weight itself minds its entries; of a matrix they are not followed
            if carrier.type.sort < 2:
                yield Site(path, Affine.of(0))
        elif self._is_read_out_by_a_weight(user, carrier):
            yield Site(path, Affine.of(0))
        elif user.op is ADD and not carrier.type.rank and path[0].type.rank:
            return  # a number made of a weight's entries that is added: a penalty of the loss
        elif user.op is ADD or (user.op is SUM and not _sums_width(user, carrier)):
            yield Site(path, self._after(user))
        else:
            yield Site((*path, user), self._after(user))

    def _after(self, node: Node) -> Affine:
        """Return the exponent of the powers of the width that multiply a result at once."""
        total = Affine.of(0)
        while True:
            users = self.plan.users.get(node, ())
            if len(users) != 1 or not _only_indexes(users[0], node):
                return total
            node = users[0]
            if node.op is SCALE:
                total = total - node.attrs["coefficient"].power

    def _is_pure(self, node: Node) -> bool:
        """Whether a value is made of weights alone, as a whole: not of rows that data look up."""
        for each in _postorder(node, self._pure):
            op = each.op
            if op is PARAM or op is RATE:
                pure = True
            elif (op.transparent and op is not GATHER) or op in _LINEAR:
                pure = bool(each.operands) and all(self._pure[x] for x in each.operands)
            else:
                pure = False
            self._pure[each] = pure
        return self._pure[node]

    def _is_read_out_by_a_weight(self, user: Node, carrier: Node) -> bool:
        """Whether two looked-up weights meet, `V[words] @ U[ids]`, and this is the value's side."""
        if user.op is not CONTRACT or user.operands[1] is not carrier:
            return False
        return _sums_width(user, carrier) and _is_looked_up(user.operands[0])


def _postorder(node: Node, known: Mapping[Node, bool]) -> Iterator[Node]:
    stack, opened = [node], set()
    while stack:
        top = stack[-1]
        if top in known or top.op is PARAM or top.op is RATE or top in opened:
            stack.pop()
            if top not in known:
                yield top
            continue
        opened.add(top)
        stack.extend(x for x in top.operands if x not in known)


def _is_looked_up(node: Node) -> bool:
    while node.op.transparent and node.operands:
        node = node.operands[0]
    return node.op is PARAM


def _only_indexes(user: Node, operand: Node) -> bool:
    if user.op is SUM:
        return user.type.sort == operand.type.sort
    return user.op.transparent and user.type.sort == operand.type.sort


def _sums_width(node: Node, operand: Node) -> bool:
    if node.op is SUM:
        return any(operand.type.dims[axis].width for axis in node.attrs["axes"])
    if node.op is not CONTRACT:
        return False
    labels = node.attrs["left" if node.operands[0] is operand else "right"]
    pairs = zip(labels, operand.type.dims, strict=True)
    return any(dim.width and label not in node.attrs["out"] for label, dim in pairs)


def _alone(
    node: Node,
    operand: Node,
    value: Value,
    sizes: Mapping[Node, Size],
    context: ScalingContext,
    initial: bool,
) -> Value:
    """Return the part of a node's value that `value` makes by itself in the place of an operand."""
    product = node.op is CONTRACT or node.op is MULTIPLY
    twice = node.operands.count(operand) > 1
    given = []
    for other in node.operands:
        zero = nothing(other.type.sort)
        if other is not operand:
            given.append(sizes[other] if product else Size(zero, zero))
        elif initial:
            given.append(Size(value, zero))
        else:
            given.append(Size(sizes[other].init if product and twice else zero, value))
    found = node.op.exponents(node, given, context.scratch())
    return found.total if initial else found.change
