r"""Linear programs without matrices: every Z is a combination of the initial weights.

TP4, Corollary 6.2: with ``Z^{U_t} = A_t Z^{U_0} + B_t Z^{V_0}``, ``Z^{V_t} = C_t Z^{U_0} + D_t
Z^{V_0}`` the coefficients obey a recursion of their own, closed and finite: that of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from tpc.derivation.deriving import GENERAL, Equation, Recursion
from tpc.derivation.symbols import (
    NEXT,
    NOW,
    ONE,
    SAMPLE,
    ZERO,
    Expression,
    Label,
    Mean,
    Symbol,
    Term,
    fresh,
    is_random,
    of,
    relabelled,
    renewed,
    step,
)

if TYPE_CHECKING:
    from tpc.ir.node import Node

_SECTION = "coefficients"


class _Nonlinear(Exception):  # noqa: N818 - a fact about the program
    """An equation is no linear function of weights."""


def coefficients(recursion: Recursion) -> list[Equation]:
    """Return the recursion of the coefficients, nothing where the program has none."""
    matrices = any(leaf.type.sort > 1 for leaf in recursion.leaves().values())
    if matrices or not _Algebra(recursion).vectors:
        return []
    try:
        return list(_Algebra(recursion).equations())
    except _Nonlinear:
        return []


@dataclass
class _Algebra:
    """Combinations of weights: named coefficients for every pair (weight, initial weight)."""

    recursion: Recursion

    def __post_init__(self) -> None:
        leaves, walk = self.recursion.leaves(), self.recursion.walks[GENERAL]
        self.vectors: dict[str, Node] = {
            name: leaves[name]
            for name in self.recursion.module.params
            if name in leaves and leaves[name].type.sort == 1
        }
        self.starts = [
            e.left.name
            for e in self.recursion.equations
            if e.section == "start" and isinstance(e.left, Symbol) and not e.right.is_zero
        ]
        self.starts.sort(key=list(self.vectors).index)
        self.bodies = {
            self.recursion.vocabulary.names[node]: (walk.symbol(node, name), body)
            for node, body in walk.bodies.items()
            if (name := self.recursion.vocabulary.names[node])
        }
        pairs = list(product(self.vectors, self.starts))
        letters = "ABCD" if len(pairs) == 4 and not set("ABCD") & set(self.vectors) else ""
        self.names = {
            pair: letters[k] if letters else f"K_{''.join(pair)}" for k, pair in enumerate(pairs)
        }

    def equations(self) -> Iterator[Equation]:
        """Yield the start, the outputs, and the recursion.

        Raises:
            _Nonlinear: an equation is not linear in the weights.
        """
        plan = self.recursion.plan
        if set(plan) < set(self.vectors):
            raise _Nonlinear
        yield from self._combinations()
        for (weight, start), name in self.names.items():
            own, other = self._axes(weight), self._axes(start)
            right = ZERO
            if weight == start:
                delta = [
                    Symbol("delta", "number", axes=pair) for pair in zip(own, other, strict=True)
                ]
                right = of(*delta)
            left = Symbol(name, "scalar", step(0), None, (*own, *other))
            yield Equation(_SECTION, left, right, "start")
        following: list[Equation] = []
        for each in self.recursion.equations:
            if each.section != GENERAL or not isinstance(each.left, Symbol):
                continue
            if each.left.kind == "scalar" and each.left.step == NOW:
                yield replace(each, section=_SECTION, right=self._scalar(each.right))
            elif each.left.step == NEXT and each.left.kind == "Z":
                following += self._next(each)
        yield from sorted(following, key=lambda each: str(getattr(each.left, "name", "")))

    def _combinations(self) -> Iterator[Equation]:
        for weight in self.vectors:
            own, right = self._axes(weight), ZERO
            for start in self.starts:
                axes = self._axes(start)
                factor = Symbol(self.names[weight, start], "scalar", NOW, None, (*own, *axes))
                initial = Symbol(start, "Z", step(0), None, axes)
                right = right + of(factor, initial).summed(*axes)
            yield Equation(_SECTION, Symbol(weight, "Z", NOW, None, own), right, "linear")

    def _next(self, each: Equation) -> Iterator[Equation]:
        assert isinstance(each.left, Symbol)
        right = self._inlined(each.right)
        for start in self.starts:
            axes = self._axes(start)
            name = self.names[each.left.name, start]
            left = Symbol(name, "scalar", NEXT, None, (*each.left.axes, *axes))
            terms = [self._replaced(term, start, axes) for term in right.terms]
            yield Equation(_SECTION, left, Expression(tuple(terms)), "SGD update")

    def _replaced(self, term: Term, start: str, axes: tuple[Label, ...]) -> Term:
        """Return a term that is linear in a weight, with its coefficient on an initial one."""
        weight = self._weights(term, 1)[0]
        factor = Symbol(self.names[weight.name, start], "scalar", NOW, None, (*weight.axes, *axes))
        return replace(term, factors=tuple(factor if f is weight else f for f in term.factors))

    def _weights(self, term: Term, count: int) -> list[Symbol]:
        found = [f for f in term.factors if is_random(f)]
        weights = [f for f in found if isinstance(f, Symbol) and f.name in self.vectors]
        if len(found) != count or len(weights) != count:
            raise _Nonlinear
        return weights

    def _scalar(self, x: Expression) -> Expression:
        """Return a scalar with expectations of products of two weights carried out."""
        found: list[Term] = []
        for term in x.terms:
            means = [f for f in term.factors if isinstance(f, Mean)]
            if not means:
                found.append(term)
                continue
            if len(means) > 1:
                raise _Nonlinear
            rest = tuple(f for f in term.factors if f is not means[0])
            for inner in self._inlined(means[0].inside).terms:
                found += self._moments(replace(term, factors=rest), inner)
        return Expression(tuple(found))

    def _moments(self, outer: Term, inner: Term) -> Iterator[Term]:
        one, other = self._weights(inner, 2)
        plain = tuple(f for f in inner.factors if f is not one and f is not other)
        for start in self.starts:
            axes = self._axes(start)
            pair = tuple(
                Symbol(self.names[w.name, start], "scalar", NOW, None, (*w.axes, *axes))
                for w in (one, other)
            )
            spec = self.recursion.module.params[start]
            variance = ONE if spec.init == "one" else spec.entry_std**2
            yield Term(
                outer.constant * inner.constant * variance,
                (*outer.factors, *plain, *pair),
                (*outer.bound, *inner.bound, *axes),
            )

    def _inlined(self, x: Expression) -> Expression:
        """Return a combination of products of weights: other Z's replaced by what they are."""
        todo, found = list(reversed(x.terms)), list[Term]()
        while todo:
            term = todo.pop()
            symbol = next(
                (
                    f
                    for f in term.factors
                    if isinstance(f, Symbol) and f.kind == "Z" and f.name not in self.vectors
                ),
                None,
            )
            if symbol is None:
                found.append(term)
                continue
            own, body = self.bodies[symbol.name]
            labels = dict(zip(own.axes, symbol.axes, strict=True))
            if symbol.sample is not None:
                labels[SAMPLE] = symbol.sample
            rest = tuple(f for f in term.factors if f is not symbol)
            for part in reversed(relabelled(body, labels).terms):
                new = renewed(part)
                todo.append(
                    Term(
                        term.constant * new.constant,
                        (*rest, *new.factors),
                        (*term.bound, *new.bound),
                    )
                )
        return Expression(tuple(found))

    def _axes(self, weight: str) -> tuple[Label, ...]:
        dims = self.vectors[weight].type.dims
        return tuple(fresh("axis") for dim in dims if not dim.width and dim.count != 1)
