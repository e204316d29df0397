"""Provenance: from which operations on which lines a size follows.

Sizes are minima of sums, so behind every exponent stands at least one path through the program
whose terms attain it. It is found afterwards, by asking the ops' rules again about single terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from tpc.ops.base import MissingRule
from tpc.scaling.actions import Site, sites
from tpc.scaling.characters import Coset, contains
from tpc.scaling.outer import Outer, Pair, Weight
from tpc.scaling.state import Size, Value, nothing
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Number, Tropical

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.scaling.names import Names
    from tpc.scaling.run import Run

Key: TypeAlias = Coset | Pair | Weight
_LONGEST = 60
_PARTS = {
    "init": (("init", "init"),),
    "change": (("change", "init"), ("init", "change"), ("change", "change")),
}


@dataclass(frozen=True)
class Step:
    """One operation on the way: the size that it gives, in words why, and its line."""

    size: str
    text: str
    line: int | None


@dataclass(frozen=True)
class Chain:
    """Why one quantity has its size: operations from the quantity back to what it comes from."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class _Place:
    """One term of a node's value at initialisation ("init") or of its change ("change")."""

    node: Node
    part: str
    key: Key
    exponent: Tropical


class Witness:
    """Finds chains of reasons in a finished numeric run."""

    def __init__(self, run: Run, names: Names, decisive: tuple[tuple[Node, str], ...]) -> None:
        self._run = run
        self._names = names
        self._decisive = decisive

    def decisive(self) -> tuple[Chain, ...]:
        """Return the chains behind the verdict."""
        return tuple(self._chain(node, part) for node, part in dict.fromkeys(self._decisive))

    def of(self, name: str) -> tuple[Chain, ...]:
        """Return the chains behind a named value: at initialisation, and its change.

        Raises:
            KeyError: there is no value of this name.
        """
        node = self._names.node(name)
        return (self._chain(node, "init"), self._chain(node, "change"))

    def of_weight(self, name: str) -> Chain:
        """Return the chain behind the size of what a weight's update does to its own output."""
        run = self._run
        leaf = run.plan.leaves.get(name)
        places = [] if leaf is None else self._places(leaf, "change")
        found = [
            (site.action(_single(place), self._around(site), run.context), number, place, site)
            for place in places
            for number, site in enumerate(sites(run.plan).get(name, ()))
        ]
        acting = [each for each in found if each[0].number is not None]
        if not acting:
            return Chain(f"{name} does not move", ())
        size, _, place, site = min(acting, key=lambda each: (each[0].number, each[1]))
        end = self._names.of(site.end)
        steps = tuple(self._steps(place))
        if site.end is place.node:
            return Chain(f"the update of {name} is {self._size(size)} where it is used", steps)
        line = self._names.line(site.end)
        first = Step(self._size(size), f"{end}: {self._acts(place, site, size)}", line)
        return Chain(f"the update of {name} moves {end} by {self._size(size)}", (first, *steps))

    def _around(self, site: Site) -> Mapping[Node, Size]:
        sizes = self._run.sizes
        return site.before_training(sizes) if self._run.blown else sizes

    def _acts(self, place: _Place, site: Site, size: Tropical) -> str:
        others = [x for x in site.end.operands if x not in site.path]
        if not others:
            return self._part(place)
        total = self._around(site)[others[0]].total.smallest
        said = f"{self._part(place)} acts on {self._names.of(others[0])} ({self._size(total)})"
        after = self._run.domain.exponent(site.after)
        gained = None
        if None not in (total.number, size.number, after.number, place.exponent.number):
            gained = place.exponent + total + after
        return said + ("" if gained is None else self._law(gained, size))

    def support(self) -> frozenset[str]:
        """Return the weights whose exponents enter the size that is behind the verdict.

        A change of any other weight leaves that size as it is.
        """
        stack = [self._largest(node, part) for node, part in self._decisive[:1]]
        seen: set[tuple[Node, str, Key]] = set()
        found: set[str] = set()
        while stack:
            place = stack.pop()
            if place is None or (place.node, place.part, place.key) in seen:
                continue
            seen.add((place.node, place.part, place.key))
            if place.node.op.name == "param":
                found.add(str(place.node.attrs["name"]))
            product = place.node.op.name in ("contract", "multiply")
            pair = self._factors(place) if product else None
            stack += pair or [self._explain(place)[1]]
        return frozenset(found)

    def law(self, node: Node) -> str | None:
        """Return which law gives a scalar its size at initialisation.

        "central" is the central limit theorem (it is random), "large" the law of large numbers (it
        is not); None where neither is found.
        """
        place = self._largest(node, "init")
        for _ in range(_LONGEST):
            if place is None or not place.node.operands:
                return None
            if place.node.op.name in ("contract", "multiply"):
                pair = self._factors(place)
                if pair is None:
                    return None
                gained = _number(pair[0].exponent + pair[1].exponent) - _number(place.exponent)
                if gained:
                    return "central" if gained == self._run.domain.half else "large"
            place = self._explain(place)[1]
        return None

    def _chain(self, node: Node, part: str) -> Chain:
        name = self._names.of(node)
        value = self._value(node, part)
        what = "is" if part == "init" else "changes by"
        when = " at initialisation" if part == "init" else ""
        if not value:
            nothing_ = "is exactly zero" if part == "init" else "does not change"
            return Chain(f"{name} {nothing_}{when}", ())
        title = f"{name} {what} {self._size(value.smallest)}{when}"
        return Chain(title, tuple(self._steps(self._largest(node, part))))

    def _steps(self, place: _Place | None) -> Iterator[Step]:
        seen: set[tuple[Node, str, Key]] = set()
        while place is not None and len(seen) < _LONGEST:
            mark = (place.node, place.part, place.key)
            if mark in seen:
                return
            seen.add(mark)
            text, following = self._explain(place)
            if text:
                line = self._names.line(place.node)
                yield Step(self._size(place.exponent), text, line)
            place = following

    # -- single terms ----------------------------------------------------------------------------

    def _value(self, node: Node, part: str) -> Value:
        size = self._run.sizes[node]
        return size.init if part == "init" else size.change

    def _places(self, node: Node, part: str) -> list[_Place]:
        return [_Place(node, part, key, e) for key, e in _items(self._value(node, part))]

    def _largest(self, node: Node, part: str) -> _Place | None:
        places = self._places(node, part)
        smallest = self._value(node, part).smallest
        return next((place for place in places if place.exponent == smallest), None)

    def _size(self, exponent: Tropical) -> str:
        value = self._run.plain(exponent).as_fraction()
        if value is None:
            return "0"
        return "order 1" if not value else f"n^{-value}"

    # -- one step back ---------------------------------------------------------------------------

    def _explain(self, place: _Place) -> tuple[str, _Place | None]:
        node = place.node
        if node.op.name == "param":
            return self._explain_weight(place)
        if self._names.backward.get(node) in self._run.plan.outputs.values():
            return f"{self._names.of(node)}: the derivative of the loss", None
        if not node.operands:
            name = self._names.of(node)
            return name if name.startswith("a ") else f"{name}: data or a constant", None
        if node.op.name in ("contract", "multiply"):
            return self._explain_product(place)
        if len(node.operands) > 1:
            return "", self._summand(place)
        return self._explain_map(place)

    def _explain_weight(self, place: _Place) -> tuple[str, _Place | None]:
        name = str(place.node.attrs["name"])
        if place.part == "init":
            return f"{name} at initialisation", None
        weight = self._run.trained[name]
        if weight.settings.optimizer.kind != "linear":
            rule = weight.settings.optimizer.name
            return f"update of {name}: {rule} moves entries whatever the gradient's size", None
        power = weight.spec.multiplier.power * 2 + weight.settings.rate.power
        shift = self._run.domain.exponent(-power)
        gradient = self._run.plan.gradients[name]
        for part in ("init", "change"):
            for found in self._places(gradient, part):
                if found.exponent + shift == place.exponent and _within(found.key, place.key):
                    return f"update of {name}: its gradient times {self._size(shift)}", found
        return f"update of {name}", None

    def _explain_map(self, place: _Place) -> tuple[str, _Place | None]:
        node, (operand,) = place.node, place.node.operands
        name = self._names.of(node)
        if node.op.name == "scale":
            power = self._run.domain.exponent(-node.attrs["coefficient"].power)
            text = f"{name}: times {self._size(power)}" if power.number else ""
            return text, self._matching(place, operand, power)
        if node.op.name in ("apply", "softmax", "logsumexp", "power"):
            part = place.part if self._value(operand, place.part) else "init"
            function = node.attrs["activation"] if node.op.name == "apply" else node.op.name
            return f"{name}: through {function}", self._largest(operand, part)
        return "", self._matching(place, operand, Tropical.constant(0))

    def _matching(self, place: _Place, operand: Node, shift: Tropical) -> _Place | None:
        for found in self._places(operand, place.part):
            if found.exponent + shift == place.exponent and _within(found.key, place.key):
                return found
        return self._largest(operand, place.part)

    def _summand(self, place: _Place) -> _Place | None:
        for operand in place.node.operands:
            for found in self._places(operand, place.part):
                if found.exponent == place.exponent and _within(found.key, place.key):
                    return found
        return None

    def _explain_product(self, place: _Place) -> tuple[str, _Place | None]:
        pair = self._factors(place)
        if pair is None:
            return self._names.of(place.node), None
        return self._words(place, *pair), self._interesting(*pair)

    def _factors(self, place: _Place) -> tuple[_Place, _Place] | None:
        """Return terms of the two operands that make a term of a product."""
        first, second = place.node.operands
        for left, right in _PARTS[place.part]:
            for x in self._places(first, left):
                for y in self._places(second, right):
                    if self._gives(place, x, y):
                        return x, y
        return None

    def _gives(self, place: _Place, x: _Place, y: _Place) -> bool:
        sizes = [_sized(p) for p in (x, y)]
        try:
            found = place.node.op.exponents(place.node, sizes, self._run.context.scratch())
        except MissingRule:
            return False
        value = found.init if x.part == y.part == "init" else found.change
        return any(e == place.exponent and _within(key, place.key) for key, e in _items(value))

    def _words(self, place: _Place, x: _Place, y: _Place) -> str:
        name = self._names.of(place.node)
        for weight, other in ((x, y), (y, x)):
            if isinstance(weight.key, Weight):
                of = weight.key.name
                size = self._size(weight.exponent)
                return f"{name}: initial {of}, entries {size}, acts on {self._part(other)}"
            if isinstance(weight.key, tuple):
                gain = self._gain(place, x, y)
                return f"{name}: {self._part(weight)} acts on {self._part(other)}{gain}"
        return f"{name}: {self._part(x)} and {self._part(y)}{self._gain(place, x, y)}"

    def _gain(self, place: _Place, x: _Place, y: _Place) -> str:
        return self._law(x.exponent + y.exponent, place.exponent)

    def _law(self, factors: Tropical, found: Tropical) -> str:
        """Say which law a sum over the width obeys."""
        gained = _number(factors) - _number(found)
        if gained == 2 * self._run.domain.half:
            return ", equal signs: a sum over the width is n times its terms"
        if gained == self._run.domain.half:
            return ", independent signs: a sum over the width is n^1/2 times its terms"
        if gained > 0:
            exponent = Fraction(gained) / (2 * self._run.domain.half)
            return f", assumed alignment: a sum over the width is n^{exponent} times its terms"
        return ""

    def _part(self, place: _Place) -> str:
        name = self._names.of(place.node)
        if place.part == "change":
            what = "the update of" if place.node.op.name == "param" else "the change of"
            return f"{what} {name} ({self._size(place.exponent)})"
        return f"{name} ({self._size(place.exponent)})"

    def _interesting(self, x: _Place, y: _Place) -> _Place:
        """Return the factor to follow: what changes, else what is not an initial weight."""
        changed = [p for p in (x, y) if p.part == "change"]
        if changed:
            return changed[0]
        weights = [self._names.weight(p.node) for p in (x, y)]
        return x if weights[0] is None else y


def _number(exponent: Tropical) -> Number:
    assert exponent.number is not None
    return exponent.number


def _items(value: Value) -> list[tuple[Key, Tropical]]:
    if isinstance(value, Outer):
        return [*value.weights.items(), *value.products.items()]
    return list(value)


def _single(place: _Place) -> Value:
    if isinstance(place.key, Coset):
        return Terms.single(place.key, place.exponent)
    if isinstance(place.key, Weight):
        return Outer.weight(place.key, place.exponent)
    return Outer((), [(place.key, place.exponent)])


def _sized(place: _Place) -> Size:
    """Return a value that consists of one term."""
    none = nothing(place.node.type.sort)
    value = _single(place)
    return Size(value, none) if place.part == "init" else Size(none, value)


def _within(inner: Key, outer: Key) -> bool:
    """Whether a term may have been merged into another one of its size."""
    if isinstance(inner, Coset) and isinstance(outer, Coset):
        return contains(outer, inner)
    if isinstance(inner, tuple) and isinstance(outer, tuple):
        return contains(outer[0], inner[0]) and contains(outer[1], inner[1])
    return inner == outer
