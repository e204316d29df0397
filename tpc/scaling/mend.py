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
from tpc.ir.node import replace as replace_nodes
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
    from tpc.scaling.region import Region

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

    Changes after which training moves the output come first, then changes of one weight or value
    before changes of several, then small ones.
    """
    order = _ORDERS[_what_breaks(evidence)]

    def rank(found: Mend) -> tuple[bool, bool, Fraction, int]:
        several = len(found.weights) > 1
        return (found.kind is Kind.TRIVIAL, several, abs(found.change), order.index(found.which))

    return min(_mends(evidence), key=rank, default=None)


def _what_breaks(evidence: Evidence) -> str:
    run = evidence.run
    first = [*run.blown, *(value for value, _ in run.growing), *run.vanished][:1]
    if any(value.kind == SCORE for value in first):
        return "score"
    return "training" if run.steps else "initialisation"


def _mends(evidence: Evidence) -> Iterator[Mend]:
    module = evidence.module
    for names in _groups(module, evidence.witness.support()):
        for which in ("a", "b", "c"):
            if _matters(module, names, which):
                yield from _of_weights(module, names, which)
    nodes = _broken(evidence)
    if nodes:
        yield from _of_value(module, nodes)
    yield from _of_decay(evidence)


def _groups(module: Module, support: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """Yield single weights, families, and all weights: those with a share in what breaks first."""
    names = tuple(module.params)
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(_family(name), []).append(name)
    groups = [tuple(members) for members in families.values()]
    if all(len(group) == 1 for group in groups) or len(names) <= _FEW:
        groups += [(name,) for name in names]
    return (group for group in dict.fromkeys((*groups, names)) if support & set(group))


_FEW = 6


def _matters(module: Module, names: tuple[str, ...], which: str) -> bool:
    """Whether an exponent may be changed in a group, and does anything there."""
    specs = [module.params[name] for name in names]
    if which == "c":
        return all(name in module.trained for name in names) or len(names) == len(module.params)
    if len(names) == len(module.params) > 1:
        return False
    return which == "a" or all(spec.init == "normal" for spec in specs)


def _of_weights(module: Module, names: tuple[str, ...], which: str) -> Iterator[Mend]:
    def changed(by: Affine) -> Module:
        params = dict(module.params)
        for name in names:
            old = params[name].exponent(which)
            params[name] = replace(params[name], **{which: old + by})  # type: ignore[arg-type]
        return replace(module, params=MappingProxyType(params))

    open_ = replace(changed(Affine.symbol(_CHANGE)), exponents=(_CHANGE,))
    for change, kind in _closest(open_):
        values = {n: changed(Affine.of(change)).params[n].exponent(which).const for n in names}
        yield Mend(which, names, change, values, None, kind)


def _broken(evidence: Evidence) -> tuple[Node, ...]:
    """Return the value of the forward pass that breaks the program first.

    Those that the same place of the program makes, in other rounds of a loop, come with it.
    """
    run, spans = evidence.run, evidence.module.spans
    first = [*run.blown, *(value for value, _ in run.growing), *run.vanished][:1]
    for value in first:
        node, span = value.node, spans.get(value.node)
        if node in run.plan.users or node in run.plan.outputs.values():
            alike = [n for n in run.plan.order if span is not None and spans.get(n) == span]
            return tuple(n for n in alike if n.op is node.op and n in run.plan.users) or (node,)
    return ()


def _of_value(module: Module, broken: tuple[Node, ...]) -> Iterator[Mend]:
    factor = Coefficient(Constant.of(1), -Affine.symbol(_CHANGE))
    scaled = {node: scale(node, factor) for node in broken}
    nodes = [value.node for value in (*module.values, *module.outputs)]
    nodes += [] if module.loss is None else [module.loss]
    new = list(replace_nodes(nodes, scaled))
    loss = None if module.loss is None else new.pop()
    renamed = [
        replace(value, node=image)
        for value, image in zip((*module.values, *module.outputs), new, strict=True)
    ]
    count = len(module.values)
    open_ = replace(
        module,
        values=tuple(renamed[:count]),
        outputs=tuple(renamed[count:]),
        loss=loss,
        exponents=(_CHANGE,),
    )
    where = Names(module).of(broken[-1])
    for change, kind in _closest(open_):
        yield Mend("n", (), change, {}, where, kind)


def _of_decay(evidence: Evidence) -> Iterator[Mend]:
    """Yield slower decays of the weights that decay takes more than all of."""
    module, domain = evidence.module, evidence.run.domain
    params, most = dict(module.params), Fraction(0)
    for name, weight in evidence.run.trained.items():
        share = domain.plain(weight.shrinkage(domain)).as_fraction()
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


def _closest(module: Module) -> Iterator[tuple[Fraction, Kind]]:
    """Yield changes that mend a module, of each class the one nearest to zero."""
    try:
        found = region(module)
    except TpcError:  # too many parts, or sizes that do not settle
        return
    best: dict[Kind, Fraction] = {}
    for change in _candidates(found):
        kind = classify(module, {_CHANGE: change}).kind
        if kind not in (Kind.UNSTABLE, Kind.DEGENERATE):
            known = best.get(kind)
            if known is None or abs(change) < abs(known):
                best[kind] = change
    for kind, change in best.items():
        yield change, kind


def _candidates(found: Region) -> Iterator[Fraction]:
    """Yield the points of the parts and faces of a one-dimensional region nearest to zero."""
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
