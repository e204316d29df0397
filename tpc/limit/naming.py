"""Which expressions of a recursion get a name, and which are written out where they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tpc.exact import Constant
from tpc.limit import expressions as ex
from tpc.limit.expectation import Expectation, expectation
from tpc.limit.order import rank


@dataclass
class Names:
    """``of`` are the names of expressions that have an equation of their own.

    ``own`` leads from an expression of one sample to the named covariance whose value at (x, x) it
    is. ``base`` are the constants that the names of products include: Delta1 is then ``base * e``.
    """

    of: dict[ex.Expression, str] = field(default_factory=dict)
    own: dict[ex.Expression, ex.Expression] = field(default_factory=dict)
    base: dict[ex.Expression, Constant] = field(default_factory=dict)

    def shown(self, e: ex.Expression) -> tuple[ex.Expression, ...]:
        """Return the expressions that the text of e refers to."""
        if e in self.own:
            return (self.own[e],)
        return (e.k,) if isinstance(e, ex.Dual) else e.operands

    def walk(self, roots: Iterable[ex.Expression]) -> list[ex.Expression]:
        """Return what is shown below the roots, operands first, without recursion."""
        found: dict[ex.Expression, None] = {}
        seen: set[int] = set()
        stack = [(root, False) for root in reversed(list(roots))]
        while stack:
            e, done = stack.pop()
            if done:
                found[e] = None
            elif e.id not in seen:
                seen.add(e.id)
                stack.append((e, True))
                stack.extend((operand, False) for operand in reversed(self.shown(e)))
        return list(found)


def named(roots: tuple[ex.Expression, ...]) -> Names:
    """Name arguments of nonlinearities (Sigma), other shared terms (Delta), scalars (r)."""
    names = Names()
    everything = list(ex.walk(roots))
    arguments = {e.k for e in everything if isinstance(e, ex.Dual)}
    for e in everything:
        if isinstance(e, Expectation):
            arguments.update(c for c in e.covariance if c.cross and not isinstance(c, ex.At))
    diagonal = _diagonals(everything)
    for e in everything:
        if e.cross and (e in arguments or isinstance(e, (ex.Sum, ex.Product, Expectation))):
            names.own.setdefault(diagonal[e], e)
    order = names.walk(roots)
    uses = Counter(multiple(o, arguments)[1] for e in order for o in names.shown(e))
    uses.subtract(o for e in order for o in names.shown(e) if multiple(e, arguments)[1] is o)
    names.base = _bases(order, names, arguments)
    used = {names.own[e] for e in order if e in names.own}
    scalars = {e.inner for e in order if isinstance(e, ex.At)}
    counts: Counter[str] = Counter()
    for e in order:
        letter = _letter(e, e in arguments or e in used, uses[e] > 1, e in scalars)
        if letter and e not in names.own and multiple(e, arguments)[1] is e:
            counts[letter] += 1
            names.of[e] = f"{letter}{counts[letter]}"
    return names


def multiple(
    e: ex.Expression, whole: Collection[ex.Expression] = ()
) -> tuple[Constant, ex.Expression]:
    """Return (c, p) where e is c times a product or expectation p, else (1, e)."""
    if isinstance(e, ex.Sum) and e.constant.is_zero and len(e.terms) == 1 and e not in whole:
        ((term, weight),) = e.terms
        return weight, term
    return ex.ONE, e


def _bases(
    order: list[ex.Expression], names: Names, arguments: Collection[ex.Expression]
) -> dict[ex.Expression, Constant]:
    """Return the constant with which a product was met first: the textbook's backward kernel."""
    first: dict[ex.Expression, tuple[tuple[int, bytes], Constant]] = {}
    for e in order:
        for operand in names.shown(e):
            weight, core = multiple(operand, arguments)
            if multiple(e, arguments)[1] is operand or not isinstance(core, ex.Product):
                continue
            if core not in first or rank(operand) < first[core][0]:
                first[core] = (rank(operand), weight)
    return {core: weight for core, (_, weight) in first.items() if core not in arguments}


def _letter(e: ex.Expression, argument: bool, shared: bool, scalar: bool) -> str:
    if isinstance(e, (ex.Number, ex.At, ex.Value)) or (isinstance(e, ex.Gram) and not argument):
        return ""
    if not e.cross:
        return "r" if scalar or (shared and not isinstance(e, ex.Gram)) else ""
    if argument:
        return "Sigma"
    return "Delta" if shared and isinstance(e, (ex.Sum, ex.Product, Expectation)) else ""


def _diagonals(order: list[ex.Expression]) -> dict[ex.Expression, ex.Expression]:
    """Return every cross expression at x' = x, as an expression of one sample."""
    found: dict[ex.Expression, ex.Expression] = {}
    for e in order:
        found[e] = _diagonal(e, found) if e.cross else e
    return found


def _diagonal(e: ex.Expression, at: dict[ex.Expression, ex.Expression]) -> ex.Expression:
    match e:
        case ex.At(inner=inner):
            return inner
        case ex.Gram(left=left, right=right):
            return ex.gram(left, right, False)
        case ex.Sum(constant=constant, terms=terms):
            scaled = [ex.scale(at[t], c) for t, c in terms]
            return ex.add(ex.number(constant), *scaled)
        case ex.Product(factors=factors):
            return ex.multiply(*(at[f] for f in factors))
        case ex.Dual(phi=phi, psi=psi):
            return ex.dual(phi, psi, at[e.left], at[e.k], at[e.right])
        case ex.Average(phi=phi, q=q):
            return ex.average(phi, at[q])
        case Expectation(tape=tape, scalars=scalars, covariance=covariance, sides=sides):
            own = [tuple(at[o] for o in each) for each in (scalars, covariance)]
            return expectation(tape, own[0], own[1], sides)
    return e
