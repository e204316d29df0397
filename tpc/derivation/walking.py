"""A walk over the graph of one training step that writes down the Z of every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tpc.derivation.sheet import Sheet, Start
from tpc.derivation.symbols import (
    NOW,
    ONE,
    SAMPLE,
    ZERO,
    Expression,
    Factor,
    Label,
    Symbol,
    fresh,
    of,
    relabelled,
    step,
)
from tpc.feature.matrix import Initial, Matrix
from tpc.feature.value import HALF, Value
from tpc.ops.param import PARAM
from tpc.scaling.characters import intersects, product

if TYPE_CHECKING:
    from tpc.derivation.powers import Powers
    from tpc.derivation.vocabulary import Vocabulary
    from tpc.ir.module import Module
    from tpc.ir.node import Node

Axes = tuple[Label | None, ...]


@dataclass(frozen=True)
class Use:
    """An initial matrix, or its transpose, acts on a vector."""

    start: Start
    node: Node
    argument: Node
    symbol: Symbol


@dataclass
class Walk:
    """What is written down at one step: 0, 1, or any later one (``time`` None).

    ``updates`` are the sums of outer products that have been added to matrices by then, ``uses``
    all products with initial matrices in one step (found by a first walk). ``kept`` are the factors
    to which weight decay has shrunk initial matrices.
    """

    module: Module
    vocabulary: Vocabulary
    powers: Powers
    time: int | None = None
    updates: Mapping[str, Sheet] = field(default_factory=dict)
    uses: Sequence[Use] = ()
    kept: Mapping[str, Factor] = field(default_factory=dict)
    values: dict[Node, Expression | Sheet] = field(default_factory=dict)
    axes: dict[Node, Axes] = field(default_factory=dict)
    bodies: dict[Node, Expression] = field(default_factory=dict)
    met: list[Use] = field(default_factory=list)

    @property
    def now(self) -> Label:
        """The step."""
        return NOW if self.time is None else step(self.time)

    def run(self) -> Walk:
        """Walk over the graph.

        Raises:
            MissingRule: an op has no rule.
        """
        from tpc.derivation.rules import written

        for node in self.vocabulary.order:
            self.axes[node] = tuple(
                None if dim.width or dim.count == 1 else fresh("axis") for dim in node.type.dims
            )
            found = self._weight(node) if node.op is PARAM else written(node, self)
            if isinstance(found, Expression):
                found = self._entered(node, found)
            self.values[node] = found
        return self

    def _entered(self, node: Node, found: Expression) -> Expression:
        if self.powers.of(node) is None or self.powers.vanishes(node, self.time):
            found = ZERO
        name = self.vocabulary.names.get(node)
        if name is None:
            return found
        self.bodies[node] = found
        return ZERO if found.is_zero else of(self.symbol(node, name))

    def symbol(self, node: Node, name: str) -> Symbol:
        """Return the symbol of a value at this step."""
        kind = "Z" if node.type.sort else "scalar"
        axes = tuple(label for label in self.axes[node] if label is not None)
        sample = SAMPLE if node.type.batched else None
        fixed = node.op is PARAM and name not in self.module.trained
        return Symbol(name, kind, step(0) if fixed else self.now, sample, axes)  # type: ignore[arg-type]

    def _weight(self, node: Node) -> Expression | Sheet:
        name = node.attrs["name"]
        if node.type.sort < 2:
            if self.powers.of(node) is None or self.powers.vanishes(node, self.time):
                return ZERO
            return of(self.symbol(node, name))
        value = self.powers.at(node, None)
        assert isinstance(value, Matrix)
        spec = self.module.params[name]
        power = HALF - spec.entry_exponent.const
        starts = tuple(
            Start(name, ONE, power, term.signs, factor=self.kept.get(name))
            for term in value.terms
            if isinstance(term, Initial)
        )
        return Sheet(starts) + self.updates.get(name, Sheet())

    # -- what rules ask ----------------------------------------------------------------------------

    def entry(self, node: Node, axes: Axes | None = None) -> Expression:
        """Return an entry of a scalar or vector at given labels (by default its own)."""
        value = self.values[node]
        assert isinstance(value, Expression)
        if axes is None:
            return value
        own = self.axes[node]
        labels = {
            old: new
            for old, new in zip(own, axes, strict=True)
            if old is not None and new is not None
        }
        return relabelled(value, labels)

    def sheet(self, node: Node) -> Sheet | None:
        """Return a matrix, None where the node is none."""
        value = self.values[node]
        return value if isinstance(value, Sheet) else None

    def is_kept(self, part: Node, whole: Node) -> bool:
        """Whether a summand is of the order of the sum."""
        return self.powers.of(part) == self.powers.of(whole)

    def depends(self, node: Node, on: Node) -> bool:
        """Whether a vector is computed from another within the step, not only through scalars."""
        seen, todo = {node}, [node]
        while todo:
            each = todo.pop()
            if each is on:
                return True
            wide = [operand for operand in each.operands if operand.type.sort]
            todo += [operand for operand in wide if operand not in seen]
            seen.update(wide)
        return False

    def partners(self, use: Use) -> list[tuple[Use, list[tuple[int | None, bool]]]]:
        """Return the products with the transpose that a dot part may be correlated with.

        With each the steps at which it is: (number, True), or (None, whether the present step is
        one of them) for all earlier ones. Those that vanish by the symmetry of signs are left out.
        """
        found = []
        for other in self.uses:
            if other.start.weight != use.start.weight:
                continue
            if other.start.transposed == use.start.transposed:
                continue
            same = self.depends(use.argument, other.node)
            steps: list[tuple[int | None, bool]]
            if self.time is None:
                steps = [(None, same)] if self._correlated(use, other, None) else []
            else:
                last = self.time + 1 if same else self.time
                steps = [(s, True) for s in range(last) if self._correlated(use, other, s)]
            if steps:
                found.append((other, steps))
        return found

    def _correlated(self, use: Use, other: Use, at: int | None) -> bool:
        x, y = self.powers.at(use.argument, self.time), self.powers.at(other.argument, at)
        assert isinstance(x, Value)
        assert isinstance(y, Value)
        if self.powers.vanishes(other.argument, at):
            return False
        return intersects(x.signs, product(use.start.signs, y.signs))
