"""Statements that compute what belongs to one input, on arrays over inputs."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.codegen.schedule import Schedule
from tpc.limit import expressions as ex
from tpc.ops.activations import Activation, DualForm
from tpc.ops.activations import formula as fm
from tpc.ops.activations.written import from_formula


class Single:
    """Writes the body of the generated function ``describe``.

    ``names`` maps single-input expressions to variables. ``rows`` are the variables that pair loops
    read, in the order of the table's rows; ``series`` the arrays of Hermite coefficients.
    """

    def __init__(self, plan: Schedule) -> None:
        self.plan = plan
        self.lines: list[str] = []
        self.names: dict[ex.Expression, str] = {}
        self.rows: dict[str, int] = {}
        self.series: dict[str, int] = {}
        self.sides: dict[tuple[str, tuple[float, ...], str], tuple[str, ...]] = {}
        self.functions: dict[Activation, str] = {}
        self.coefficients: dict[tuple[str, str], str] = {}
        self.runtime: set[str] = set()
        for e in plan.single:
            self.names[e] = self._write(e)

    def name(self, e: ex.Expression) -> str:
        """Return the variable, or the number, of a single-input expression."""
        if isinstance(e, ex.Number):
            return repr(e.value.value)
        return self.names[e]

    def row(self, variable: str) -> int:
        """Return the table row of a variable that pair loops read."""
        return self.rows.setdefault(variable, len(self.rows))

    def side(self, form: DualForm, variance: ex.Expression) -> tuple[str, ...]:
        """Return the variables of a closed form's side at a variance."""
        q = self.name(variance)
        key = (form.side, form.side_parameters, q)
        if key not in self.sides:
            self.runtime.add(form.side)
            names = tuple(f"p{len(self.sides)}_{i}" for i in range(form.arity))
            arguments = ", ".join([q, *map(repr, form.side_parameters)])
            self.lines.append(f"{', '.join(names)}, = {form.side}({arguments})")
            self.sides[key] = names
        return self.sides[key]

    def expansion(self, phi: Activation, variance: ex.Expression) -> str:
        """Return the variable with the Hermite coefficients of phi at a variance."""
        function = self.functions.setdefault(phi, f"phi_{len(self.functions)}")
        key = (function, self.name(variance))
        if key not in self.coefficients:
            self.runtime.add("adaptive_series")
            name = f"a{len(self.coefficients)}"
            self.coefficients[key] = name
            wide = phi.growth.kind != "polynomial"
            self.lines.append(
                f"{name}, m{name}, e{name} = adaptive_series({function}, {key[1]}, "
                f"{phi.kinks()!r}, {wide}, tolerance)"
            )
        return self.coefficients[key]

    def _write(self, e: ex.Expression) -> str:
        name = f"s{len(self.names)}"
        self.lines.append(f"{name} = {self._right_side(e)}")
        return name

    def _right_side(self, e: ex.Expression) -> str:
        match e:
            case ex.Gram(left=left, right=right):
                function = "own_matches" if left.tokens else "own_gram"
                self.runtime.add(function)
                parts = (left.name, left.place, right.name, right.place)
                return f"{function}(data, {', '.join(map(repr, parts))})"
            case ex.Sum():
                return sum_source(e, {t: self.name(t) for t, _ in e.terms})
            case ex.Product(factors=factors):
                return " * ".join(self.name(f) for f in factors)
            case ex.Average(phi=phi, q=q):
                return self._average(phi, q)
            case ex.Number():
                return repr(e.value.value)
            case ex.Dual():
                return self._dual(e)
            case ex.Value(place=place):
                self.runtime.add("input_slice")
                return f"input_slice(data, {place.name!r}, {place.place!r})[:, 0]"
            case ex.Applied(phi=phi, inner=inner):
                function = self.functions.setdefault(phi, f"phi_{len(self.functions)}")
                return f"{function}(np.atleast_1d({self.name(inner)}))"
            case ex.Root(inner=inner, exponent=exponent):
                return f"{self.name(inner)} ** {float(exponent)!r}"
            case ex.Share(position=position, scores=scores, masks=masks):
                self.runtime.add("softmax_share")
                lists = [", ".join(map(self.name, side)) for side in (scores, masks)]
                return f"softmax_share({position}, [{lists[0]}], [{lists[1]}])"
        raise TypeError(f"not a single-input expression: {e!r}")

    def _average(self, phi: Activation, variance: ex.Expression) -> str:
        self.runtime.add("averages")
        function = self.functions.setdefault(phi, f"phi_{len(self.functions)}")
        wide = phi.growth.kind != "polynomial"
        return f"averages({function}, {self.name(variance)}, {phi.kinks()!r}, {wide})"

    def _dual(self, e: ex.Dual) -> str:
        form = e.phi.dual_form() if e.phi == e.psi else None
        if e.left is e.k is e.right and (form.partial if form else e.phi != e.psi):
            both = fm.multiply(e.phi.formula(), e.psi.formula())
            return self._average(from_formula(both), e.left)
        if form is not None:
            self.runtime.add(form.pair)
            sides = [*self.side(form, e.left), *self.side(form, e.right)]
            return (
                f"{form.pair}({', '.join([self.name(e.k), *sides, *map(repr, form.parameters)])})"
            )
        left = self.expansion(e.phi, e.left)
        right = self.expansion(e.psi, e.right)
        if e.left is e.k is e.right:
            return f"m{left}"
        self.runtime.update(("paired_sum", "correlation"))
        rho = f"correlation({self.name(e.k)}, {self.name(e.left)}, {self.name(e.right)})"
        return f"paired_sum({left}, {right}, {rho})"


def sum_source(e: ex.Sum, names: Mapping[ex.Expression, str]) -> str:
    """Return the source of a weighted sum."""
    parts = [names[t] if c.is_one else f"{c.value!r} * {names[t]}" for t, c in e.terms]
    if not e.constant.is_zero:
        parts.append(repr(e.constant.value))
    return " + ".join(parts)
