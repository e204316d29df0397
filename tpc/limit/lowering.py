"""From a tape of exact steps to the codes that the compiled interpreter runs."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tpc.limit.expectation import Tape
from tpc.ops.activations import formula as fm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@lru_cache(maxsize=512)
def lowered(tape: Tape) -> tuple[NDArray[np.int64], Array]:
    """Return codes (n, 4), opcode and up to three registers, and constants (n,)."""
    import numpy as np

    code = _Code()
    places: list[int] = []
    for kind, data, arguments in tape:
        places.append(_step(code, kind, data, [places[a] for a in arguments]))
    if places[-1] != len(code.lines) - 1:
        from tpc.runtime import tape as rt

        code.lines.append((rt.SCALE, places[-1], 0, 0, 1.0))
    lines = code.lines
    return (
        np.array([line[:4] for line in lines], dtype=np.int64).reshape(-1, 4),
        np.array([line[4] for line in lines], dtype=np.float64),
    )


class _Code:
    """Instructions of the runtime, equal ones once."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, int, int, int, float]] = []
        self._known: dict[Any, int] = {}

    def add(self, op: int, a: int = 0, b: int = 0, c: int = 0, number: float = 0.0) -> int:
        line = (op, a, b, c, number)
        if line not in self._known:
            self._known[line] = len(self.lines)
            self.lines.append(line)
        return self._known[line]

    def chain(self, op: int, places: list[int]) -> int:
        """Fold a list with a binary operation."""
        found = places[0]
        for place in places[1:]:
            found = self.add(op, found, place)
        return found

    def linear(self, constant: float, terms: list[tuple[float, int]]) -> int:
        """Add ``constant + sum of coefficient * term``."""
        from tpc.runtime import tape as rt

        parts = [p if c == 1.0 else self.add(rt.SCALE, p, number=c) for c, p in terms]
        if not parts:
            return self.add(rt.NUMBER, number=constant)
        found = self.chain(rt.ADD, parts)
        return found if constant == 0.0 else self.add(rt.SHIFT, found, number=constant)

    def power(self, base: int, exponent: Fraction) -> int:
        """Add a power."""
        from tpc.runtime import tape as rt

        if exponent == 1:
            return base
        if exponent < 0:
            one = self.add(rt.NUMBER, number=1.0)
            return self.add(rt.DIVIDE, one, self.power(base, -exponent))
        if exponent == 2:
            return self.add(rt.MULTIPLY, base, base)
        if exponent == Fraction(1, 2):
            return self.add(rt.ROOT, base)
        whole = exponent.denominator == 1
        return self.add(rt.WHOLE if whole else rt.POWER, base, number=float(exponent))

    def formula(self, formula: fm.Formula, z: int) -> int:
        """Add a formula of the register z."""
        from tpc.runtime import tape as rt

        match formula:
            case fm.Variable():
                return z
            case fm.Number(value):
                return self.add(rt.NUMBER, number=value.value)
            case fm.Sum(constant, terms):
                inner = [(c.value, self.formula(t, z)) for t, c in terms]
                return self.linear(constant.value, inner)
            case fm.Product(factors):
                powers = [self.power(self.formula(b, z), e) for b, e in factors]
                return self.chain(rt.MULTIPLY, powers)
            case fm.Apply(function, argument):
                return self.add(rt.FUNCTIONS[function.name], self.formula(argument, z))
            case fm.Where(test, strict, then, otherwise):
                parts = [self.formula(f, z) for f in (test, then, otherwise)]
                return self.add(rt.WHERE if strict else rt.WHERE_EQUAL, *parts)
            case fm.Extremum(kind, left, right):
                op = rt.MAXIMUM if kind == "max" else rt.MINIMUM
                return self.add(op, self.formula(left, z), self.formula(right, z))
        raise TypeError(f"not a formula: {formula!r}")


def _step(code: _Code, kind: str, data: Any, places: list[int]) -> int:
    from tpc.runtime import tape as rt

    match kind:
        case "leaf":
            return code.add(rt.LEAF, data)
        case "scalar":
            return code.add(rt.SCALAR, data)
        case "number":
            return code.add(rt.NUMBER, number=data.value)
        case "sum":
            constant, coefficients = data
            terms = [(c.value, p) for c, p in zip(coefficients, places, strict=True)]
            return code.linear(constant.value, terms)
        case "product":
            return code.chain(rt.MULTIPLY, places)
        case "power":
            return code.power(places[0], data)
        case "apply":
            return code.formula(data.formula(), places[0])
        case "share":
            return _share(code, data[0], places[: data[1]], places[data[1] :])
    raise TypeError(f"not a step: {kind}")


def _share(code: _Code, position: int, scores: list[int], masks: list[int]) -> int:
    """Add a softmax weight, safe from overflow where nothing is masked."""
    from tpc.runtime import tape as rt

    top = code.add(rt.SCALE, code.chain(rt.MAXIMUM, scores), number=-1.0)
    weights = [code.add(rt.EXP, code.add(rt.ADD, s, top)) for s in scores]
    if masks:
        kept = [code.add(rt.KEPT, m) for m in masks]
        weights = [code.add(rt.MULTIPLY, w, k) for w, k in zip(weights, kept, strict=True)]
    return code.add(rt.DIVIDE, weights[position], code.chain(rt.ADD, weights))
