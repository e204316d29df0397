"""Where finitely many random numbers stand in the middle of a program, and the program behind them.

Values without a width do not average out: attention scores over the root of n, a bottleneck, a
learned scalar. *Given* them, everything behind is what it would be for numbers of the sample. So
the program is cut there: each value becomes an input, and what is left is an ordinary program. A
value is cut at the last place where it is a sum of Gaussians of mean zero, the first consumer being
a nonlinearity, a product, or something with a width.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.exact import Affine, Coefficient
from tpc.ir.module import InputSpec, Module, NamedValue
from tpc.ir.node import Node, make, walk
from tpc.limit.contraction import weight_below
from tpc.limit.independence import transposed
from tpc.limit.mixtures import LINEAR, averages
from tpc.limit.moment import LimitRefusal, power_of
from tpc.limit.moments import MomentContext
from tpc.limit.numbers import number
from tpc.limit.reduction import DATA
from tpc.ops.add import ADD
from tpc.ops.base import MissingRule
from tpc.ops.contract import CONTRACT
from tpc.ops.index_map import IndexMap
from tpc.ops.input import input_
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.scale import scale

if TYPE_CHECKING:
    from tpc.limit.forms import Entry

PROBED = 64
"""Entries of a value that are asked whether they stay random."""


@dataclass(frozen=True)
class Scalars:
    """A value whose entries stay random.

    ``node`` is made from inputs, weights and the scalars of lower ``level``; ``leaf`` is the input
    called ``name`` that stands for it in what follows.
    """

    name: str
    node: Node
    leaf: Node
    level: int

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of its entries."""
        return tuple((self.node, index) for index in _indices(self.node))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes."""
        return tuple(int(dim.count) for dim in self.node.type.dims)


@dataclass(frozen=True)
class Cut:
    """A program cut at its random scalars, which are inputs of ``module``."""

    module: Module
    scalars: tuple[Scalars, ...]

    @property
    def levels(self) -> tuple[tuple[Scalars, ...], ...]:
        """The scalars by level, those that hang on no others first."""
        depth = max((s.level for s in self.scalars), default=0)
        return tuple(tuple(s for s in self.scalars if s.level == k + 1) for k in range(depth))


def cut(module: Module) -> Cut:
    """Cut a program wherever a value without a width stays random and more than sums follow."""
    output = module.output.node
    originals = list(walk([output]))
    leaves: dict[Node, Node] = {}
    powers: dict[Node, Affine] = {}
    names = _names(module)
    while True:
        new, own = _rebuilt(originals, leaves, powers)
        laws = _Laws(module, [*own.values(), new[output]])
        gone = [node for node in leaves if not laws.is_random(own[node])]
        for node in gone:
            del leaves[node]
        found = () if gone else _wanted(originals, new, laws)
        for node in found:
            powers[node] = laws.power(new[node])
            leaves[node] = input_(_fresh(names, node, module, leaves), node.type.dims)
        if not gone and not found:
            return _finished(module, new, {n: own[n] for n in leaves}, leaves)


def _rebuilt(
    originals: list[Node], leaves: dict[Node, Node], powers: dict[Node, Affine]
) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """Return the nodes behind the cut, and what each node itself is made of.

    Scalars that grow like a power of the width are cut as what is of order one, times that power.
    """
    new: dict[Node, Node] = {}
    own: dict[Node, Node] = {}
    for node in originals:
        operands = tuple(new[x] for x in node.operands)
        same = operands == node.operands
        own[node] = new[node] = node if same else make(node.op, *operands, **node.attrs)
        if node in leaves:
            own[node] = scale(own[node], Coefficient.width(-powers[node]))
            new[node] = scale(leaves[node], Coefficient.width(powers[node]))
    return new, own


def _wanted(originals: list[Node], new: dict[Node, Node], laws: _Laws) -> tuple[Node, ...]:
    """Return the operands that the first node without a Gaussian law needs as numbers."""
    for node in originals:
        random = [x for x in node.operands if laws.is_random(new[x])]
        if not random:
            continue
        held = [weight_below(x) is not None for x in random]
        if node.type.width_axes:
            return tuple(weight_below(x) or x for x in random)
        if node.op is ADD:
            if len(random) == len(node.operands):
                continue
        elif node.op in LINEAR or isinstance(node.op, IndexMap):
            continue
        elif node.op in (MULTIPLY, CONTRACT):
            if len(random) == 1:
                continue
            if not all(held):  # what a weight is applied to; the product is Gaussian given it
                return tuple(x for x, weight in zip(random, held, strict=True) if not weight)
        return tuple(weight_below(x) or x for x in random)
    return ()


class _Laws:
    """Which values without a width stay random."""

    def __init__(self, module: Module, roots: list[Node]) -> None:
        self.context = MomentContext(module.params)
        self.context.tied = transposed(roots, module.params)
        self._known: dict[Node, bool] = {}

    def is_random(self, node: Node) -> bool:
        """Whether a value without a width is random in the limit, or begins at zero and moves."""
        if node not in self._known:
            self._known[node] = not node.type.width_axes and self._is_random(node)
        return self._known[node]

    def power(self, node: Node) -> Affine:
        """Return the power of the width that a random value grows with, zero where it does not."""
        powers = [Affine.of(0)]
        for entry in _probed(node):
            if self.context.sources(entry) <= {DATA}:
                found = number(self.context, entry).noise
            else:
                own = self.context.moment(entry, entry, cross=False)
                found = None if own.is_zero else own.power / 2
            powers += [] if found is None else [found]
        return max(powers, key=power_of)

    def _is_random(self, node: Node) -> bool:
        if not any(n.op is PARAM for n in walk([node])):
            return False
        try:
            return any(self._entry(entry) for entry in _probed(node))
        except (LimitRefusal, MissingRule):
            return False  # the derivation says what is wrong with it

    def _entry(self, entry: Entry) -> bool:
        if not self.context.sources(entry) <= {DATA}:
            return True
        found = number(self.context, entry)
        if found.noise is None:
            return found.is_zero and self._begins_at_zero(entry[0])
        noise = power_of(found.noise)
        beside = not found.is_zero and power_of(found.power) > noise  # its own mean outgrows it
        return noise >= 0 and not beside

    def _begins_at_zero(self, node: Node) -> bool:
        """Whether a value is made by a weight that begins at zero, so that it moves later."""
        weights = [x for x in (node, *node.operands) if weight_below(x) is not None]
        if weights:
            leaves = [weight_below(x) for x in weights]
            return any(
                leaf is not None and self.context.params[leaf.attrs["name"]].init == "zero"
                for leaf in leaves
            )
        if averages(node) or not (node.op in LINEAR or isinstance(node.op, IndexMap)):
            return False
        return any(self._begins_at_zero(x) for x in node.operands)


def _indices(node: Node) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(int(dim.count)) for dim in node.type.dims))


def _probed(node: Node) -> list[Entry]:
    last = tuple(int(dim.count) - 1 for dim in node.type.dims)
    return [(node, index) for index in (*itertools.islice(_indices(node), PROBED), last)]


def _names(module: Module) -> dict[Node, str]:
    return {value.node: value.name for value in reversed(module.values)}


def _fresh(names: dict[Node, str], node: Node, module: Module, leaves: dict[Node, Node]) -> str:
    """Return the program's own name of a value where it has one, and no input has it."""
    taken = {*module.inputs, *(leaf.attrs["name"] for leaf in leaves.values())}
    name = node.attrs["name"] if node.op is PARAM else names.get(node, "s")
    numbers = itertools.chain([""], map(str, itertools.count(2)))
    return next(f"{name}{k}" for k in numbers if f"{name}{k}" not in taken)


def _finished(
    module: Module, new: dict[Node, Node], own: dict[Node, Node], leaves: dict[Node, Node]
) -> Cut:
    levels: dict[Node, int] = {}
    found = []
    for node, made in sorted(own.items(), key=lambda pair: pair[1].id):
        below = [levels[n] for n in walk([made]) if n in levels]
        levels[leaves[node]] = 1 + max(below, default=0)
        found.append(Scalars(leaves[node].attrs["name"], made, leaves[node], levels[leaves[node]]))
    inputs = {s.name: InputSpec(s.name, s.leaf.type) for s in found}
    spans = {new[n]: span for n, span in module.spans.items() if n in new}
    spans |= {own[n]: span for n, span in module.spans.items() if n in own}
    behind = replace(
        module,
        inputs=MappingProxyType({**module.inputs, **inputs}),
        outputs=(NamedValue("f", new[module.output.node]),),
        values=(),
        spans=MappingProxyType({**module.spans, **spans}),
    )
    return Cut(behind, tuple(sorted(found, key=lambda s: s.level)))
