"""Row loops: for one x, a function over all x' per distinct loop body."""

from __future__ import annotations

from dataclasses import dataclass

from tpc.codegen.schedule import Loop, Schedule
from tpc.codegen.single import Single
from tpc.limit import expressions as ex


@dataclass(frozen=True)
class Call:
    """A call of a row function: what is passed for each of its parameters."""

    function: int
    arguments: tuple[str, ...]


class Rows:
    """Writes row functions and the calls that make up the pair kernel.

    Buffers hold rows that later loops read; the entries of the kernel itself are written to the
    result. A buffer is free again after its last reader.
    """

    def __init__(self, plan: Schedule, single: Single) -> None:
        self.plan = plan
        self.single = single
        self.bodies: dict[str, int] = {}
        self.calls: list[Call] = []
        self.runtime: set[str] = set()
        self.buffers = 0
        self._free: list[int] = []
        self._scratch: list[int] = []
        self._buffer: dict[ex.Expression, int] = {}
        self._grams = {e: i for i, e in enumerate(plan.grams)}
        self._last = self._last_readers()
        for number, loop in enumerate(plan.loops):
            self._write(number, loop)

    def _last_readers(self) -> dict[ex.Expression, int]:
        last: dict[ex.Expression, int] = {}
        for number, loop in enumerate(self.plan.loops):
            for e in loop.members:
                last.setdefault(e, number)
                for operand in e.operands:
                    last[operand] = number
        for root in self.plan.roots:
            last[root] = len(self.plan.loops)
        return last

    def _write(self, number: int, loop: Loop) -> None:
        writer = _Body(self, set(loop.members))
        for e in loop.members:
            writer.statement(e)
        outside = [e for e in loop.members if self._last[e] > number]
        for e in outside:
            buffer = self._free.pop() if self._free else self._new()
            self._buffer[e] = buffer
            writer.store(e, f"rows[{buffer}]")
        self._free += self._scratch
        self._scratch.clear()
        text = writer.text()
        function = self.bodies.setdefault(text, len(self.bodies))
        self.calls.append(Call(function, writer.arguments))
        for e, buffer in list(self._buffer.items()):
            if self._last[e] <= number and e not in outside:
                del self._buffer[e]
                self._free.append(buffer)

    def _new(self) -> int:
        self.buffers += 1
        return self.buffers - 1

    def scratch(self) -> str:
        """Return a row that belongs to the loop being written alone."""
        self._scratch.append(self._free.pop() if self._free else self._new())
        return f"rows[{self._scratch[-1]}]"

    def row(self, e: ex.Expression) -> str:
        """Return where the row of a cross expression is found."""
        if e in self._grams:
            return f"gram_{self._grams[e]}[i][low - base : high - base]"
        return f"rows[{self._buffer[e]}]"

    def value(self, e: ex.Expression) -> str:
        """Return where the row of a root is found after all loops, or its number."""
        if isinstance(e, ex.At):
            row = self.single.row(self.single.name(e.inner))
            return f"(left[{row}, i])" if e.side == 0 else f"right[{row}][low:high]"
        return repr(e.value.value) if isinstance(e, ex.Number) else self.row(e)


class _Body:
    """The body of one row function, in terms of numbered parameters."""

    def __init__(self, rows: Rows, own: set[ex.Expression]) -> None:
        self.rows = rows
        self.own = own
        self.lines: list[str] = []
        self.kinds: list[str] = []
        self.before: list[str] = []
        self.shared: dict[str, str] = {}
        self.parameters: dict[str, str] = {}
        self.locals: dict[ex.Expression, str] = {}

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    def text(self) -> str:
        """Return the function without its name."""
        names = ", ".join(["count", *self.parameters.values()])
        lines = [f"({names}):", *(f"    {line}" for line in self.before)]
        lines.append("    for j in range(count):")
        lines += [f"        {line}" for line in self.lines]
        return "\n".join(lines)

    def _parameter(self, argument: str, kind: str) -> str:
        if argument not in self.parameters:
            self.parameters[argument] = f"{kind}{len(self.parameters)}"
        return self.parameters[argument]

    def _value(self, e: ex.Expression) -> str:
        if isinstance(e, ex.Number):
            return self._parameter(repr(e.value.value), "c")
        if e in self.locals:
            return self.locals[e]
        if isinstance(e, ex.At):
            return self._side_value(e.side, self.rows.single.name(e.inner))
        return f"{self._parameter(self.rows.row(e), 'row')}[j]"

    def _side_value(self, side: int, variable: str) -> str:
        row = self.rows.single.row(variable)
        if side == 0:
            return self._parameter(f"left[{row}, i]", "x")
        return f"{self._parameter(f'right[{row}][low:high]', 'y')}[j]"

    def statement(self, e: ex.Expression) -> None:
        """Add the computation of an expression."""
        name = f"v{len(self.locals)}"
        source = self._source(e)
        self.lines.append(f"{name} = {source}")
        self.locals[e] = name

    def store(self, e: ex.Expression, buffer: str) -> None:
        """Write a value to a row buffer."""
        self.lines.append(f"{self._parameter(buffer + ' ', 'out')}[j] = {self.locals[e]}")

    def _source(self, e: ex.Expression) -> str:
        match e:
            case ex.Sum():
                weights = [
                    t if c.is_one else f"{self._parameter(repr(c.value), 'c')} * {t}"
                    for t, c in ((self._value(t), c) for t, c in e.terms)
                ]
                if not e.constant.is_zero:
                    weights.append(self._parameter(repr(e.constant.value), "c"))
                return " + ".join(weights)
            case ex.Product(factors=factors):
                return " * ".join(self._value(f) for f in factors)
            case ex.Dual():
                return self._dual(e)
        raise TypeError(f"not a cross expression: {e!r}")

    def _side_of(self, e: ex.Expression, default: int) -> tuple[int, ex.Expression]:
        return (e.side, e.inner) if isinstance(e, ex.At) else (default, e)

    def _dual(self, e: ex.Dual) -> str:
        single = self.rows.single
        (s1, q1), (s2, q2) = self._side_of(e.left, 0), self._side_of(e.right, 1)
        form = e.phi.dual_form() if e.phi == e.psi else None
        if form is not None:
            self.rows.runtime.add(form.pair)
            sides = [
                self._side_value(s, v)
                for s, q in ((s1, q1), (s2, q2))
                for v in single.side(form, q)
            ]
            arguments = [self._value(e.k), *sides, *map(repr, form.parameters)]
            return f"{form.pair}({', '.join(arguments)})"
        return self._series(e, (s1, q1), (s2, q2))

    def _series(
        self, e: ex.Dual, left: tuple[int, ex.Expression], right: tuple[int, ex.Expression]
    ) -> str:
        """Write a row of series before the loop; where no row will do, a series in the loop."""
        single = self.rows.single
        ends = []
        for (side, q), phi in ((left, e.phi), (right, e.psi)):
            variable = single.expansion(phi, q)
            position = single.series.setdefault(variable, len(single.series))
            ends.append((side, f"{'left' if side == 0 else 'right'}_series_{position}", variable))
        ends.sort()
        tails = [self._side_value(side, f"e{variable}") for side, _, variable in ends]
        variances = [self._side_value(s, single.name(q)) for s, q in (left, right)]
        self.rows.runtime.update(("correlation", "pair_series"))
        rho = f"correlation({self._value(e.k)}, {', '.join(variances)})"
        limit = self._parameter("tolerance", "c")
        if [side for side, _, _ in ends] != [0, 1]:
            arrays = [self._parameter(*_series_of(side, name)) for side, name, _ in ends]
            columns = [
                array if side == 0 else f"{array}[:, {self._parameter('low', 'c')} + j]"
                for array, (side, _, _) in zip(arrays, ends, strict=True)
            ]
            return f"pair_series({', '.join([*columns, *tails, rho, limit])})"
        self.rows.runtime.add("series_row")
        a, b = (self._parameter(*_series_of(side, name)) for side, name, _ in ends)
        if rho not in self.shared:
            self.shared[rho] = self._parameter(self.rows.scratch(), "out")
            self.before += ["for j in range(count):", f"    {self.shared[rho]}[j] = {rho}"]
        out = self._parameter(self.rows.scratch(), "out")
        offset, first = self._parameter("low", "c"), _terms(e.phi.parity, e.psi.parity)
        tails[1] = tails[1].removesuffix("[j]")
        given = [a, b, offset, *tails, self.shared[rho], first, limit, out]
        self.before.append(f"series_row(count, {', '.join(given)})")
        return f"{out}[j]"


def _series_of(side: int, name: str) -> tuple[str, str]:
    """Return the argument that passes coefficients, and the kind of its parameter."""
    return (f"{name}[i]", "a") if side == 0 else (name, "b")


def _terms(*parities: str) -> str:
    """Return the first degree and the step of the terms that do not vanish."""
    if "odd" in parities:
        return "1, 2"
    return "0, 2" if "even" in parities else "0, 1"
