"""Programs in which every Z is a polynomial of finitely many Gaussians: how high its degree is.

Without initial matrices the Gaussians are those of the weights (TP4, Theorem 6.1). Where every
nonlinearity is a polynomial and the optimizer is linear in gradients, all Z's are polynomials of
them, and expectations are finite sums (Isserlis 1918, Wick 1950). A Gauss-Hermite rule with m
points for each Gaussian gives the same sums, exactly, up to degree 2 m - 1 in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from tpc.feature.plan import LINEAR_OPS, linear_steps
from tpc.ir.node import Node, walk
from tpc.ops.apply import APPLY
from tpc.ops.contract import CONTRACT
from tpc.ops.index_map import IndexMap
from tpc.ops.input import INPUT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.sum import SUM

if TYPE_CHECKING:
    from tpc.ir.module import Module

#: Degree in the Gaussians of each weight; those that are not there have degree zero.
Degree = Mapping[str, int]
#: Most points of a rule.
POINTS = 2**20


class _NotPolynomial(Exception):  # noqa: N818 - a fact about the program
    pass


def rule_sizes(
    module: Module,
    steps: int,
    training: Sequence[Node],
    watched: Sequence[Node],
    recorded: Sequence[Node],
    gaussians: Mapping[str, int],
) -> dict[str, int] | None:
    """Return how many points each Gaussian of each weight needs; None where no rule is exact.

    ``training`` are the loss and the gradients of the trained weights, ``gaussians`` the number of
    Gaussians of every random weight. None too if the rule would have more than POINTS points.
    """
    if not linear_steps(module):
        return None
    degrees = _Degrees(module)
    try:
        for step in range(steps + 1):
            degrees.visit((*watched, *recorded), recorded)
            if step < steps:
                degrees.train(training)
            sizes = {name: degrees.highest.get(name, 0) // 2 + 1 for name in gaussians}
            if prod(sizes[name] ** min(count, 64) for name, count in gaussians.items()) > POINTS:
                return None
    except _NotPolynomial:
        return None
    return sizes


class _Degrees:
    """Degrees of the weights as training goes on; ``highest`` is that of any expectation."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._weights: dict[str, Degree] = {
            name: {name: 1} if spec.init == "normal" else {} for name, spec in module.params.items()
        }
        self.highest: dict[str, int] = {}

    def train(self, roots: Sequence[Node]) -> None:
        _, *gradients = self.visit(roots)
        for name, found in zip(self._module.trained, gradients, strict=True):
            self._weights[name] = _max(self._weights[name], found)

    def visit(self, roots: Sequence[Node], kernels: Sequence[Node] = ()) -> list[Degree]:
        """Return degrees of ``roots``; the squares of ``kernels`` are expectations too."""
        found: dict[Node, Degree] = {}
        for node in walk(roots):
            found[node] = self._degree(node, [found[operand] for operand in node.operands])
        for node in kernels:
            self._expect(_sum(found[node], found[node]))
        return [found[root] for root in roots]

    def _degree(self, node: Node, operands: Sequence[Degree]) -> Degree:
        if node.op is PARAM:
            return self._weights[node.attrs["name"]]
        if node.op is INPUT and self._module.inputs[node.attrs["name"]].role == "noise":
            raise _NotPolynomial
        if any(dim.width and dim.count != 1 for dim in node.type.dims) or node.type.sort > 1:
            raise _NotPolynomial
        if not any(operand.type.sort for operand in node.operands):
            return {}
        if node.type.sort == 0:
            if node.op not in (CONTRACT, SUM):
                raise _NotPolynomial
            self._expect(_sum(*operands))
            return {}
        return _pointwise(node, operands)

    def _expect(self, degree: Degree) -> None:
        self.highest = dict(_max(self.highest, degree))


def _pointwise(node: Node, operands: Sequence[Degree]) -> Degree:
    """Return the degree of a vector that is computed coordinate by coordinate."""
    if node.op in (MULTIPLY, CONTRACT):
        return _sum(*operands)
    if node.op is APPLY:
        coefficients = node.attrs["activation"].polynomial()
        if coefficients is None:
            raise _NotPolynomial
        return {name: (len(coefficients) - 1) * each for name, each in operands[0].items()}
    if node.op is POWER:
        exponent = node.attrs["exponent"]
        if exponent.denominator != 1 or exponent < 0:
            raise _NotPolynomial
        return {name: int(exponent) * each for name, each in operands[0].items()}
    if node.op in LINEAR_OPS or isinstance(node.op, IndexMap):
        return _max(*operands)
    raise _NotPolynomial


def _max(*degrees: Degree) -> Degree:
    return {name: max(each.get(name, 0) for each in degrees) for name in _names(degrees)}


def _sum(*degrees: Degree) -> Degree:
    return {name: sum(each.get(name, 0) for each in degrees) for name in _names(degrees)}


def _names(degrees: Iterable[Degree]) -> set[str]:
    return {name for each in degrees for name in each}
