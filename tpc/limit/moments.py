"""The second-moment algebra: limits of ``E[Z^a Z^b']`` by a walk over pairs of entries.

The walk asks every op what an entry is in terms of its operands' entries (:mod:`tpc.limit.forms`),
and reduces expectations of products by four rules (:mod:`tpc.limit.reduction`), none of which knows
an architecture: linearity; independence of what is built from different weights; integration by
parts for a Gaussian factor (``E[g F] = sum_i Cov(g, g_i) E[dF/dg_i]``); and dual expectations of
two nonlinearities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tpc.limit import expressions as ex
from tpc.limit.covariances import law
from tpc.limit.fluctuations import score_sources
from tpc.limit.forms import Data, Entry, Form, Gaussian, Mask, Share
from tpc.limit.leaves import operands
from tpc.limit.moment import Factor, Key, LimitRefusal, Moment, Rule, TooMany
from tpc.limit.reduction import DATA, MASK, reduce
from tpc.limit.transposes import dotted

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.limit.leaves import Single, Terms

MAX_STATES = 250_000
"""Expectations that one derivation may visit before it is refused."""
MAX_PAIRS = 40_000
"""Pairs of terms of two sums that one expectation may have."""
NAMED = -3
"""Marks, in an index, a part of an entry that has a number of its own."""


class MomentContext:
    """The state of one derivation: forms of entries and expectations, each found once."""

    def __init__(self, params: Mapping[str, ParamSpec]) -> None:
        self.params = params
        self._forms: dict[Entry, Form] = {}
        self._moments: dict[Key, Moment] = {}
        self._sources: dict[Entry, frozenset[Any]] = {}
        self._arrays: dict[Node, Any] = {}
        self.numbers: dict[tuple[Entry, Any], Moment] = {}
        self.tied: frozenset[str] = frozenset()
        """Weights that are used transposed too."""
        self.forward: frozenset[Node] | None = None
        """The forward pass, to which other products owe nothing (None: they may)."""
        self.hats: dict[Entry, frozenset[Entry]] = {}
        self.slopes: dict[tuple[Entry, Entry], Entry] = {}
        self.derivatives: dict[tuple[Entry, Entry], Terms] = {}
        self.given: dict[tuple[Entry, Entry], Entry] = {}
        self.remainders: dict[Entry, tuple[Entry, Entry]] = {}
        """What entries are, given that others vanish: those, and these."""
        self._parts: dict[tuple[Entry, Form], Entry] = {}
        self.fluctuating: dict[Entry, bool] = {}
        self.scores: set[Entry] = set()
        """Random scalar scores that were met."""
        self.tangent = False
        """Whether sums over the width that stay random only bound what is dropped (``noise``)."""
        self.centred: dict[Entry, bool] = {}
        self.singles: dict[Entry, Single | None] = {}
        self.opened: dict[tuple[Entry, Any], tuple[Entry, Any]] = {}

    # -- entries -----------------------------------------------------------------------------------

    def form(self, entry: Entry) -> Form:
        """Return what an entry is, asked of its op."""
        found = self._forms.get(entry)
        if found is None:
            node, index = entry
            found = node.op.limit(node, index, self)
            if isinstance(found, Gaussian) and found.param in self.tied:
                found = dotted(self, entry, found)
            self._forms[entry] = found
        return found

    def part(self, entry: Entry, form: Form) -> Entry:
        """Return an entry of a form, named as a part of another one; the same one every time."""
        key = (entry, form)
        if key not in self._parts:
            self._parts[key] = (entry[0], (*entry[1], NAMED, len(self._parts)))
            self.define(self._parts[key], form)
        return self._parts[key]

    def define(self, entry: Entry, form: Form) -> None:
        """State what an entry is that is no op's: part of another one."""
        self._forms[entry] = form

    def source(self, node: Node, index: tuple[int, ...]) -> Entry | None:
        """Return the entry that an index map moves to ``index``, None where it puts a zero."""
        import numpy as np

        if node not in self._arrays:
            self._arrays[node] = node.op.sources(node)  # type: ignore[attr-defined]
        which, place = (int(array[index]) for array in self._arrays[node])
        if which < 0:
            return None
        operand = node.operands[which]
        shape = tuple(dim.concrete(1) for dim in operand.type.dims)
        return operand, tuple(int(i) for i in np.unravel_index(place, shape)) if shape else ()

    def sources(self, entry: Entry) -> frozenset[Any]:
        """Return what an entry is built from: weights with their contracted axes, and DATA."""
        stack = [entry]
        while stack:
            top = stack[-1]
            if top in self._sources:
                stack.pop()
                continue
            form = self.form(top)
            below = operands(form)
            missing = [e for e in below if e not in self._sources]
            if missing:
                stack.extend(missing)
                continue
            own: set[Any] = {law(form)} if isinstance(form, Gaussian) else set()
            own |= {DATA} if isinstance(form, Data) else set()
            own |= {(MASK, top)} if isinstance(form, Mask) else set()
            own |= score_sources(self, form) if isinstance(form, Share) else set()
            self._sources[top] = frozenset(own).union(*(self._sources[e] for e in below))
            stack.pop()
        return self._sources[entry]

    # -- expectations ------------------------------------------------------------------------------

    def moment(self, a: Entry, b: Entry, cross: bool = True) -> Moment:
        """Return the limit of ``E[Z^a Z^b]``, b at the other input where ``cross``."""
        return self.expectation((Factor(*a, 0), Factor(*b, int(cross))), cross)

    def expectation(self, factors: Key, cross: bool) -> Moment:
        """Return the expectation of a product, as an expression of the pair where ``cross``."""
        key, side = _normal(factors)
        return _lifted(self._solve(key), side if cross else None)

    def _solve(self, root: Key) -> Moment:
        """Evaluate a key with an explicit stack of suspended rules: programs may be deep."""
        if root in self._moments:
            return self._moments[root]
        stack: list[tuple[Key, Rule, int | None]] = [(root, reduce(self, root), None)]
        answer: Moment | None = None
        while stack:
            key, rule, _ = stack[-1]
            try:
                wanted = next(rule) if answer is None else rule.send(answer)
            except StopIteration as stop:
                self._moments[key] = answer = stop.value
                lift = stack.pop()[2]
                answer = _lifted(answer, lift)
                continue
            inner, side = _normal(wanted)
            lift = side if _is_cross(key) else None
            known = self._moments.get(inner)
            answer = None if known is None else _lifted(known, lift)
            if known is None:
                if len(self._moments) > MAX_STATES:
                    raise too_many(MAX_STATES, inner[0].node)
                stack.append((inner, reduce(self, inner), lift))
        return self._moments[root]


def too_many(count: int, node: Node) -> LimitRefusal:
    """Return the refusal of a recursion over too many pairs of positions."""
    return TooMany(
        f"the recursion has {count} moments or more, one for every pair of positions",
        node,
        "kernels of large images and long sequences are not supported yet: "
        "make the finite axes smaller",
    )


def _lifted(moment: Moment, side: int | None) -> Moment:
    return moment if side is None else Moment(ex.at(side, moment.value), moment.power, moment.noise)


def _normal(factors: Key) -> tuple[Key, int | None]:
    """Return the factors in canonical order, and their side if they all belong to one input.

    Weights belong to no input. Factors of x' alone are written as factors of x.
    """
    sides = {f.side for f in factors if f.node.type.batched}
    only = sides.pop() if len(sides) == 1 else (0 if not sides else None)
    shifted = (
        f if f.side == (s := f.side if only is None and f.node.type.batched else 0) else _at(f, s)
        for f in factors
    )
    return tuple(sorted(shifted, key=lambda f: f.order)), only


def _is_cross(key: Key) -> bool:
    """Whether the factors of a key in canonical order belong to both inputs."""
    sides = {f.side for f in key if f.node.type.batched}
    return len(sides) > 1


def _at(factor: Factor, side: int) -> Factor:
    return Factor(factor.node, factor.index, side, factor.activation)
