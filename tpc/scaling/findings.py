"""What is worth telling apart about a program beyond its class, under fixed names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpc.ops.add import ADD
from tpc.ops.contract import CONTRACT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.sum import SUM
from tpc.parametrize.roles import Role, roles
from tpc.scaling.classification import Classification, Evidence, Finding, Kind, Status
from tpc.scaling.classify import moving_features
from tpc.scaling.interpret import SCORE
from tpc.scaling.names import Names
from tpc.scaling.text import size_text

if TYPE_CHECKING:
    from tpc.ir.node import Node

_NONLINEAR = 99


def findings(found: Classification, evidence: Evidence) -> Iterator[Finding]:
    """Yield the findings about a program, the weightiest first."""
    names = Names(evidence.module)
    yield from _degenerate(found, evidence, names)
    yield from _trivial_though_features_move(found, evidence, names)
    yield from _weights(found, evidence)
    yield from _linear(found, evidence)
    yield from _outputs(found, evidence, names)
    yield from _shrinkage(found)


def _degenerate(found: Classification, evidence: Evidence, names: Names) -> Iterator[Finding]:
    if found.kind is not Kind.DEGENERATE:
        return
    vanished = [names.of(value.node) for value in evidence.run.vanished]
    sizes = {value.what: size_text(value.init) for value in found.consumed}
    said = ", ".join(f"{name} is of size {sizes.get(name, '0')}" for name in vanished)
    yield Finding(
        "degenerate initialisation",
        f"at initialisation {said}: its function sees a constant, and the layers above nothing "
        "of the input",
        values=tuple(vanished),
    )


def _trivial_though_features_move(
    found: Classification, evidence: Evidence, names: Names
) -> Iterator[Finding]:
    if found.kind is not Kind.TRIVIAL:
        return
    plain = evidence.run.plain
    nodes = [n for n, e in moving_features(evidence.run) if (plain(e).as_fraction() or 0) <= 0]
    moving = tuple(dict.fromkeys(names.of(n) for n in nodes if evidence.run.sizes[n].change))
    if moving:
        text = f"{', '.join(moving)} moves by order one, but the readout does not pass it on"
        yield Finding("trivial with moving features", text, values=moving)


def _weights(found: Classification, evidence: Evidence) -> Iterator[Finding]:
    stable = found.kind not in (Kind.UNSTABLE, Kind.DEGENERATE)
    lazy = tuple(n for n, w in found.weights.items() if w.status is Status.LAZY)
    if found.kind is Kind.FEATURE and lazy:
        sizes = ", ".join(f"{name} ({size_text(found.weights[name].update)})" for name in lazy)
        text = f"updates that vanish at their own outputs in the limit: {sizes}"
        yield Finding("feature learning with lazy weights", text, weights=lazy)
    still = tuple(n for n, w in found.weights.items() if w.update == math.inf)
    if stable and still:
        text = f"no gradient ever reaches {', '.join(still)}"
        yield Finding("weights that never move", text, weights=still)
    moving = tuple(n for n, w in found.weights.items() if w.output <= 0)
    played = roles(evidence.module)
    if found.kind is Kind.KERNEL and moving:
        last = all(played[name] in (Role.READOUT, Role.SCALAR) for name in moving)
        if last and len(moving) < len(found.weights):
            text = f"only {', '.join(moving)} moves the output: the features are random and fixed"
            yield Finding("kernel through the readout only", text, weights=moving)


# -- linear in the weights -------------------------------------------------------------------------


def _linear(found: Classification, evidence: Evidence) -> Iterator[Finding]:
    if found.kind is not Kind.FEATURE or not found.weights:
        return
    ends = list(evidence.run.plan.outputs.values())
    if found.dynamics == "gradient" and _degree(evidence, ends) <= 1:
        trained = tuple(found.weights)
        text = (
            f"the output is linear in {', '.join(trained)}: features move by order one, and yet "
            "training is that of a kernel that never changes, at any width"
        )
        yield Finding("both kernel and feature", text, weights=trained)


def _degree(evidence: Evidence, ends: list[Node]) -> int:
    """Return the degree of the outputs as polynomials in the weights that move."""
    plan, moving = evidence.run.plan, set(evidence.run.trained)
    degrees: dict[Node, int] = {}
    for node in plan.order:
        below = [degrees[operand] for operand in node.operands]
        if node.op.name == "param":
            degrees[node] = int(node.attrs["name"] in moving)
        elif node.op is CONTRACT or node.op is MULTIPLY:
            degrees[node] = sum(below)
        elif node.op.transparent or node.op is ADD or node.op is SUM:
            degrees[node] = max(below, default=0)
        else:
            degrees[node] = _NONLINEAR if any(below) else 0
    return max(degrees[node] for node in ends)


# -- the output at initialisation ------------------------------------------------------------------


def _outputs(found: Classification, evidence: Evidence, names: Names) -> Iterator[Finding]:
    if found.kind in (Kind.UNSTABLE, Kind.DEGENERATE):
        return
    for name, node in evidence.run.plan.outputs.items():
        start = found.outputs[name].init
        if start == math.inf:
            text = f"{name} begins at exactly zero"
            yield Finding("zero at initialisation", text, values=(name,))
        elif start > 0:
            text = f"{name} begins at zero in the limit: it is of size {size_text(start)}"
            yield Finding("zero at initialisation", text, values=(name,))
        elif not node.type.sort:
            yield from _random_or_not(name, node, evidence, names)


def _random_or_not(name: str, node: Node, evidence: Evidence, names: Names) -> Iterator[Finding]:
    witness = evidence.witness
    law = witness.law(node)
    if law == "large":
        text = f"{name} begins at a function that is the same for every draw of the weights"
        yield Finding("deterministic at initialisation", text, values=(name,))
    if law != "central":
        return
    scores = [
        names.of(value.node)
        for value in evidence.run.context.judged.values()
        if value.kind == SCORE
        and value.init.number == 0
        and value.node in evidence.run.plan.hidden
        and witness.law(value.node) == "central"
    ]
    if scores:
        said = ", ".join(dict.fromkeys(scores))
        text = f"given the scores {said}, which are random too, {name} begins as a Gaussian process"
        yield Finding("mixture of Gaussian processes", text, values=(name,))
    else:
        text = f"{name} begins as a Gaussian process"
        yield Finding("Gaussian process", text, values=(name,))


def _shrinkage(found: Classification) -> Iterator[Finding]:
    shrunk = tuple(name for name, w in found.weights.items() if w.shrinkage == 0)
    if shrunk:
        text = (
            f"weight decay takes a fixed share of {', '.join(shrunk)} at every step: that changes "
            "sizes, but learns no features"
        )
        yield Finding("shrinkage by weight decay", text, weights=shrunk)
