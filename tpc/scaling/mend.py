"""The smallest single change of exponents that makes an unstable or degenerate program stable.

A change adds t to one exponent (a, b or c) of one weight; where that does not do, of the members of
one family, or to the learning-rate exponents of all weights at once; or it multiplies what blows
up, or vanishes, by n^-t. For each of these the values of t that mend the program are found exactly:
they are the region of stability of the program with t for an unknown, a union of intervals. The
change of least |t| is classified again before it is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import TpcError
from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.node import make, walk
from tpc.ops.scale import scale
from tpc.scaling.classification import Kind
from tpc.scaling.classify import classify
from tpc.scaling.interpret import SCORE
from tpc.scaling.names import Names
from tpc.scaling.region import region

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.scaling.classification import Evidence

_CHANGE = "the change of an exponent"  # no symbol of a program: names there have no spaces

#: Of changes that are equally small, which is the more natural one: by what is broken.
_ORDERS = {
    "training": ("c", "a", "b", "n", "decay"),
    "initialisation": ("b", "a", "c", "n", "decay"),
    "score": ("n", "c", "a", "b", "decay"),
}


@dataclass(frozen=True)
class Mend:
    """A change that makes a program stable.

    ``change`` is added to the exponent ``which`` ("a", "b" or "c") of each of ``weights``, whose
    values become ``values``; or, where ``which`` is "n", the value called ``where`` is multiplied
    by n^-change, where it is "decay" the weight decay. The program is then of class ``kind``.
    """

    which: str
    weights: tuple[str, ...]
    change: Fraction
    values: Mapping[str, Fraction]
    where: str | None
    kind: Kind

    def text(self) -> str:
        """Return the change as a sentence."""
        return f"{self._what()}: then the program is {self.kind.value}"

    def _what(self) -> str:
        power = f"n^{-self.change}" if self.change.denominator == 1 else f"n^({-self.change})"
        if self.which == "n":
            return f"multiply {self.where} by {power}"
        names = self._names()
        new = sorted(set(self.values.values()))
        becomes = f"{self.which} = {new[0] - self.change} becomes {new[0]}" if len(new) == 1 else ""
        if self.which == "c":
            detail = f" ({becomes})" if becomes else ""
            return f"multiply the learning rate of {names} by {power}{detail}"
        if self.which == "decay":
            return f"multiply the weight decay of {names} by {power}"
        factor = "multiplier" if self.which == "a" else "initial standard deviation"
        return f"multiply the {factor} of {names} by {power}{f' ({becomes})' if becomes else ''}"

    def _names(self) -> str:
        families = {_family(name) for name in self.weights}
        if len(self.weights) == 1:
            return self.weights[0]
        return f"every {families.pop()}[..]" if len(families) == 1 else "all weights"

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON-ready data."""
        return {
            "exponent": self.which,
            "weights": list(self.weights),
            "where": self.where,
            "change": str(self.change),
            "values": {name: str(value) for name, value in self.values.items()},
            "kind": self.kind.value,
            "text": self.text(),
        }


def _family(name: str) -> str:
    return re.split(r"\[", name)[0]


def mend(evidence: Evidence) -> Mend | None:
    """Return the smallest change that mends a program, None where no single change does.

    Changes after which training moves the output come first, then changes of one declaration or
    value before those of all weights, then small ones. In a large program only changes by the first
    excess, and by half of it, are tried, a few times, and the first that mends it is taken.
    """
    search = _Search(evidence)
    order = search.order

    def rank(found: Mend) -> tuple[bool, Fraction, int]:
        return (found.kind is Kind.TRIVIAL, abs(found.change), order.index(found.which))

    fallback = None
    for stage in (search.of_one, search.of_all):
        found = stage()
        if search.is_large:
            found = (each for each in found if each.kind is not Kind.TRIVIAL)
            best = next(found, None)
        else:
            best = min(found, key=rank, default=None)
        if best is not None and best.kind is not Kind.TRIVIAL:
            return best
        fallback = fallback or best
    return fallback


class _Search:
    """Tries changes of a broken program."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.module = evidence.module
        run = evidence.run
        self.first = next(iter([*run.blown, *(v for v, _ in run.growing), *run.vanished]), None)
        self._trials = 0

    @property
    def is_large(self) -> bool:
        """Whether regions of the program take long to find."""
        return len(self.evidence.run.plan.order) > _LARGE

    @property
    def order(self) -> tuple[str, ...]:
        """The order of changes that are equally small."""
        if self.first is not None and self.first.kind == SCORE:
            return _ORDERS["score"]
        return _ORDERS["training" if self.evidence.run.steps else "initialisation"]

    def of_one(self) -> Iterator[Mend]:
        """Yield changes of one declaration: a weight, a family, or a value; or of decays."""
        groups = _groups(self.module, self.evidence.witness.support())
        for which in self.order:
            if which == "decay":
                yield from _of_decay(self.evidence)
            elif which == "n":
                yield from self._of_value()
            else:
                for names in groups:
                    if _matters(self.module, names, which):
                        yield from self._of_weights(names, which)

    def of_all(self) -> Iterator[Mend]:
        """Yield changes of the learning rates of all weights."""
        yield from self._of_weights(self.module.trained, "c")

    def _of_weights(self, names: tuple[str, ...], which: str) -> Iterator[Mend]:
        def changed(by: Affine) -> Module:
            params = dict(self.module.params)
            for name in names:
                old = params[name].exponent(which)
                params[name] = replace(params[name], **{which: old + by})  # type: ignore[arg-type]
            return replace(self.module, params=MappingProxyType(params))

        open_ = replace(changed(Affine.symbol(_CHANGE)), exponents=(_CHANGE,))
        for change, kind in self._closest(open_):
            values = {n: changed(Affine.of(change)).params[n].exponent(which).const for n in names}
            yield Mend(which, names, change, values, None, kind)

    def _of_value(self) -> Iterator[Mend]:
        broken = self._broken()
        if broken:
            where = Names(self.module).of(broken[-1])
            for change, kind in self._closest(_scaled(self.module, broken)):
                yield Mend("n", (), change, {}, where, kind)

    def _broken(self) -> tuple[Node, ...]:
        """Return the value of the forward pass that breaks the program first.

        Those that the same place of the program makes, in other rounds of a loop, come with it.
        """
        plan, spans = self.evidence.run.plan, self.module.spans
        if self.first is None:
            return ()
        node, span = self.first.node, spans.get(self.first.node)
        if node not in plan.users and node not in plan.outputs.values():
            return ()
        alike = [n for n in plan.order if span is not None and spans.get(n) == span]
        return tuple(n for n in alike if n.op is node.op and n in plan.users) or (node,)

    def _closest(self, module: Module) -> Iterator[tuple[Fraction, Kind]]:
        """Yield changes that mend a module with one unknown, of each class the nearest to zero."""
        best: dict[Kind, Fraction] = {}
        for change in self._by_excess() if self.is_large else _candidates(module):
            kind = classify(module, {_CHANGE: change}).kind
            if kind not in (Kind.UNSTABLE, Kind.DEGENERATE):
                best.setdefault(kind, change)
                if self.is_large:
                    break
        for kind, change in best.items():
            yield change, kind

    def _by_excess(self) -> Iterator[Fraction]:
        """Yield half of the first excess, and all of it."""
        self._trials += 1
        if self.first is None or self._trials > _MOST_TRIALS:
            return
        plain = self.evidence.run.plain
        sizes = (plain(e).as_fraction() for e in (self.first.init, self.first.change))
        known = [size for size in sizes if size]
        if known:
            yield from (-min(known) / 2, -min(known))


_LARGE = 200
_MOST_TRIALS = 6


def _groups(module: Module, support: frozenset[str]) -> list[tuple[str, ...]]:
    """Return families, and single weights where they are few, with a share in what breaks first."""
    names = tuple(module.params)
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(_family(name), []).append(name)
    groups = [tuple(members) for members in families.values()]
    if all(len(group) == 1 for group in groups) or len(names) <= _FEW:
        groups += [(name,) for name in names]
    return [group for group in dict.fromkeys(groups) if support & set(group)]


_FEW = 6


def _matters(module: Module, names: tuple[str, ...], which: str) -> bool:
    """Whether an exponent may be changed in a group, and does anything there."""
    specs = [module.params[name] for name in names]
    if which == "c":
        return all(name in module.trained for name in names)
    return which == "a" or all(spec.init == "normal" for spec in specs)


def _scaled(module: Module, broken: tuple[Node, ...]) -> Module:
    """Return the module with values multiplied by n^-t, t unknown."""
    factor = Coefficient(Constant.of(1), -Affine.symbol(_CHANGE))
    nodes = [value.node for value in (*module.values, *module.outputs)]
    nodes += [] if module.loss is None else [module.loss]
    made: dict[Node, Node] = {}
    for node in walk(nodes):
        operands = [made[operand] for operand in node.operands]
        same = all(x is y for x, y in zip(operands, node.operands, strict=True))
        again = node if same else make(node.op, *operands, **node.attrs)
        made[node] = scale(again, factor) if node in broken else again
    return replace(
        module,
        values=tuple(replace(value, node=made[value.node]) for value in module.values),
        outputs=tuple(replace(value, node=made[value.node]) for value in module.outputs),
        loss=None if module.loss is None else made[module.loss],
        exponents=(_CHANGE,),
    )


def _of_decay(evidence: Evidence) -> Iterator[Mend]:
    """Yield slower decays of the weights that decay takes more than all of."""
    module, domain = evidence.module, evidence.run.domain
    params, most = dict(module.params), Fraction(0)
    for name, weight in evidence.run.trained.items():
        share = domain.plain(evidence.run.shrinkage(name)).as_fraction()
        if share is not None and share < 0:
            slower = Coefficient(Constant.of(1), Affine.of(share))
            params[name] = replace(params[name], decay=weight.settings.decay * slower)
            most = max(most, -share)
    names = tuple(name for name in params if params[name] is not module.params[name])
    if names:
        kind = classify(replace(module, params=MappingProxyType(params))).kind
        if kind not in (Kind.UNSTABLE, Kind.DEGENERATE):
            yield Mend("decay", names, most, {}, None, kind)


# -- one unknown -----------------------------------------------------------------------------------


def _candidates(module: Module) -> Iterator[Fraction]:
    """Yield the points of the parts and faces of a one-dimensional region nearest to zero."""
    try:
        found = region(module)
    except TpcError:  # too many parts, or sizes that do not settle
        return
    change = Affine.symbol(_CHANGE)
    parts = [cell.polyhedron for cell in found.cells]
    parts += [face.polyhedron for face in found.faces]
    seen = set()
    for part in parts:
        low, high = part.minimum(change), part.maximum(change)
        if low is not None and low > 0:
            seen.add(low)
        elif high is not None and high < 0:
            seen.add(high)
    yield from sorted(seen, key=lambda value: (abs(value), value))
