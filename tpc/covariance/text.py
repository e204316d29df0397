"""Recursions over arrays of positions, to read."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.covariance.arrays import extents
from tpc.covariance.engine import Engine
from tpc.covariance.values import padded
from tpc.exact import Affine, Coefficient
from tpc.ir.node import Node, walk
from tpc.limit.contraction import weight_below
from tpc.limit.equations import Equation
from tpc.limit.moment import block_size
from tpc.limit.tangent import moved_params, step
from tpc.ops.apply import APPLY
from tpc.ops.contract import CONTRACT
from tpc.ops.gather import GATHER
from tpc.ops.index_map import IndexMap
from tpc.ops.param import PARAM
from tpc.ops.repeat import REPEAT
from tpc.ops.reshape import RESHAPE
from tpc.ops.sum import SUM
from tpc.ops.windows import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tpc.covariance.kernel import PositionKernel
    from tpc.ir.module import Module


def recursion(module: Module, kind: str) -> tuple[Equation, ...]:
    """Return the recursion, one equation per contraction with a weight.

    ``Sigma_W[p, q]`` is the covariance of what W gives at position p of x and q of x',
    ``Theta_W`` its tangent. Covariances between different values, which vanish unless they share
    a weight, are left out.
    """
    plain, latex = (_Writer(module, kind, style) for style in (False, True))
    pairs = zip(plain.equations, latex.equations, strict=True)
    return tuple(Equation(a[0], a[1], b[1]) for a, b in pairs)


def active(module: Module) -> tuple[str, ...]:
    """Return the weights that contribute to the tangent kernel."""
    return tuple(_Writer(module, "ntk", False).active)


def methods(module: Module, kernel: PositionKernel) -> tuple[str, ...]:
    """Say which pairs of positions the recursion runs over, and how expectations are computed."""
    from tpc.covariance.run import ordered

    roots = [root.array for root in kernel.roots if root is not None]
    steps = ordered(roots)
    most = max((a.size for s in steps if not s.single for a in s.outputs), default=1)
    values = [n for n in walk([module.output.node]) if n.type.sort == 1 and n.type.batched]
    places = max((n.type.finite_count for n in values), default=1)
    pairs = (
        "only equal positions of x and x' are needed"
        if most <= places
        else (f"pairs of positions are needed: arrays of up to {most} numbers per pair of inputs")
    )
    applied = [n.attrs["activation"] for n in walk([module.output.node]) if n.op is APPLY]
    closed = dict.fromkeys(phi.name for phi in applied if phi.dual_form() is not None)
    series = dict.fromkeys(phi.name for phi in applied if phi.dual_form() is None)
    found = [pairs]
    if closed:
        found.append(f"closed form: {', '.join(closed)}")
    if series:
        found.append(f"Hermite series to the tolerance asked for: {', '.join(series)}")
    return tuple(found)


class _Writer:
    def __init__(self, module: Module, kind: str, latex: bool) -> None:
        self.latex = latex
        self.engine = Engine(module.params, {})
        self.steps = (
            {spec.name: step(module, spec) for spec in moved_params(module)}
            if kind == "ntk"
            else {}
        )
        self.equations: list[tuple[str, str]] = []
        self._depth = 0
        self.active: dict[str, None] = {}
        self._names: dict[tuple[Node, bool], str] = {}
        self._used: dict[str, int] = {}
        output = module.output.node
        self.value(output, "p", "q", False)
        if kind == "ntk":
            self.equations.append(("K", self.value(output, "p", "q", True)))
        else:
            self.equations.append(("K", self.value(output, "p", "q", False)))

    # -- notation ----------------------------------------------------------------------------------

    def _name(self, weight: str, tangent: bool) -> str:
        letter = "Theta" if tangent else "Sigma"
        if self.latex:
            return rf"\{letter}_{{\mathtt{{{weight}}}}}"
        return f"{letter}_{weight}"

    def _at(self, name: str, node: Node, i: str, j: str) -> str:
        own: set[int] = set()
        if node.op is CONTRACT:
            slot = 0 if weight_below(node.operands[0]) is not None else 1
            of_value = node.attrs["right" if slot == 0 else "left"]
            own = {k for k, label in enumerate(node.attrs["out"]) if label not in of_value}
        finite = [
            e
            for k, (e, d) in enumerate(zip(extents(node), node.type.dims, strict=True))
            if not d.width and k not in own
        ]
        return f"{name}[{i}, {j}]" if any(e > 1 for e in finite) else name

    def _times(self, factor: str, text: str) -> str:
        if factor == "1":
            return text
        return rf"{factor} \, {text}" if self.latex else f"{factor} * {text}"

    def _sum(self, below: str, text: str) -> str:
        return rf"\sum_{{{below}}} {text}" if self.latex else f"sum_{{{below}}} {text}"

    def _expectation(self, phi: str, given: str) -> str:
        if self.latex:
            name = rf"\mathrm{{{phi}}}"
            return rf"\mathbb{{E}}[{name}(u)\,{name}(v) \mid {given}]"
        return f"E[{phi}(u) {phi}(v) | {given}]"

    # -- covariances -------------------------------------------------------------------------------

    def value(self, node: Node, i: str, j: str, tangent: bool) -> str:
        """Return the covariance, or the tangent, of a node at positions i and j; "" for zero."""
        numbers = self.engine.numbers
        if numbers.is_number(node):
            return "" if tangent else self._number(node, i, j)
        parts = node.op.addends(node)
        if parts is not None:
            terms = [
                self._times(_factor(c * c), text)
                for c, x in parts
                if (text := self.value(padded(x, node), i, j, tangent))
            ]
            return terms[0] if len(terms) == 1 else self._total(terms)
        if node.op is CONTRACT:
            return self._contraction(node, i, j, tangent)
        if node.op is APPLY:
            return self._apply(node, i, j, tangent)
        if node.op in (PARAM, GATHER):
            return self._leaf(node, i, j, tangent)
        if node.op is SUM:
            return self._pooled(node, i, j, tangent)
        weighed = numbers.weighed(node)
        if weighed is not None:
            inner = self.value(weighed[1], i, j, tangent)
            return self._times(f"r[{i}] r[{j}]", inner) if inner else ""
        if isinstance(node.op, IndexMap) or node.op is REPEAT:
            texts = [self.value(x, i, j, tangent) for x in node.operands]
            return self._total([t for t in texts if t])
        factors = [self.value(x, i, j, tangent) for x in node.operands]
        return " * ".join(t for t in factors if t)

    def _total(self, terms: list[str]) -> str:
        return f"({' + '.join(terms)})" if len(terms) > 1 else "".join(terms)

    def _number(self, node: Node, i: str, j: str) -> str:
        if self.engine.numbers.array(node).quantity is None:
            return ""
        names = [n.attrs.get("name") for n in walk([node]) if not n.operands]
        name = next((str(n) for n in names if n), "1")
        if not any(e > 1 for e in extents(node)[:-1]):
            return rf"\langle {name}, {name}' \rangle" if self.latex else f"<{name}, {name}'>"
        inside = f"{name}[{i}], {name}'[{j}]"
        return rf"\langle {inside} \rangle" if self.latex else f"<{inside}>"

    def _apply(self, node: Node, i: str, j: str, tangent: bool) -> str:
        phi, x = node.attrs["activation"], node.operands[0]
        given = self.value(x, i, j, False)
        if not tangent:
            return self._expectation(phi.name, given)
        rise = self.value(x, i, j, True)
        return self._times(rise, self._expectation(f"{phi.name}'", given)) if rise else ""

    def _leaf(self, node: Node, i: str, j: str, tangent: bool) -> str:
        param = node if node.op is PARAM else node.operands[0]
        spec = self.engine.params[param.attrs["name"]]
        size = self.steps.get(spec.name) if tangent else None
        if not tangent and spec.init == "normal":
            size = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2
        if size is None or size.power != Affine.of(0):
            return ""
        if tangent:
            self.active[spec.name] = None
        factor = _factor(size)
        if node.op is PARAM:
            return factor
        ids = node.operands[1].attrs.get("name", "token")
        return self._times(factor, f"[{ids}[{i}] = {ids}'[{j}]]")

    def _contraction(self, node: Node, i: str, j: str, tangent: bool) -> str:
        weights = [weight_below(x) for x in node.operands]
        holder = next((w for w in weights if w is not None), None)
        if holder is None:
            return self._mixed(node, i, j, tangent)
        if (node, tangent) not in self._names:
            self._define(node, str(holder.attrs["name"]), tangent)
        return self._at(self._names[node, tangent], node, i, j)

    def _define(self, node: Node, weight: str, tangent: bool) -> None:
        slot = 0 if weight_below(node.operands[0]) is not None else 1
        x, labels = node.operands[1 - slot], node.attrs["right" if slot == 0 else "left"]
        size = Coefficient.of(1)
        for label, dim in zip(labels, x.type.dims, strict=True):
            if dim.width and label not in node.attrs["out"]:
                size = size * block_size(dim.count)
        spec = self.engine.params[weight]
        below, wrap = self._below(x)
        terms = []
        if spec.init == "normal":
            variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2 * size
            text = self.value(below, *wrap[:2], tangent)
            if text:
                terms.append(self._times(_factor(variance), wrap[2](text)))
        moves = self.steps.get(weight)
        if tangent and moves is not None and (moves * size).power == Affine.of(0):
            text = self.value(below, *wrap[:2], False)
            if text:
                self.active[weight] = None
                terms.append(self._times(_factor(moves * size), wrap[2](text)))
        count = self._used[weight] = self._used.get(weight, 0) + (0 if tangent else 1)
        name = self._name(weight if count < 2 else f"{weight},{count}", tangent)
        self._names[node, tangent] = name
        plain = f"{'Theta' if tangent else 'Sigma'}_{weight if count < 2 else f'{weight},{count}'}"
        self.equations.append((self._at(plain, node, "p", "q"), " + ".join(terms) or "0"))

    def _below(self, x: Node) -> tuple[Node, tuple[str, str, Callable[[str], str]]]:
        """Look through the windows of a convolution and a flattening."""
        strides, flat, wide = [], False, False
        while isinstance(x.op, IndexMap) and len(x.operands) == 1:
            if x.op is WINDOWS:
                layout = x.attrs["layout"]
                strides.append(layout)
            flat = flat or x.op is RESHAPE
            wide = wide or (x.op not in (WINDOWS, RESHAPE) and not strides)
            x = x.operands[0]
        if strides:
            step, gap = strides[0].stride, strides[0].dilation
            shift = " + w" if gap == 1 else f" + {gap} w"
            places = [("" if step == 1 else f"{step} ") + k + shift for k in "pq"]
            return x, (places[0], places[1], lambda text: self._sum("w", text))
        if flat and x.type.finite_count > 1:
            return x, ("p", "p", lambda text: self._sum("p", text))
        return x, ("p", "q", lambda text: text)

    def _pooled(self, node: Node, i: str, j: str, tangent: bool) -> str:
        x, strides = node, {}
        while x.op is SUM and x.operands[0].op is WINDOWS:
            windows = x.operands[0]
            if windows.attrs["axis"] in strides:
                break
            strides[windows.attrs["axis"]] = windows.attrs["layout"].stride
            x = windows.operands[0]
        if strides:
            letters = [chr(ord("a") + self._depth + k) for k in range(2)]
            places = [_spread(next(iter(strides.values())), k) for k in (i, j)]
            a, b = (f"{place} + {k}" for place, k in zip(places, letters, strict=True))
            self._depth += 2
            inner = self.value(x, a, b, tangent)
            self._depth -= 2
            return self._sum(", ".join(letters), inner) if inner else ""
        while x.op is SUM:
            x = x.operands[0]
        inner = self.value(x, "p", "q", tangent)
        return self._sum("p, q", inner) if inner else ""

    def _mixed(self, node: Node, i: str, j: str, tangent: bool) -> str:
        at = 0 if self.engine.numbers.is_number(node.operands[0]) else 1
        inner = self.value(node.operands[1 - at], "t", "u", tangent)
        return self._sum("t, u", self._times(f"s[{i}, t] s'[{j}, u]", inner)) if inner else ""


def _spread(stride: int, place: str) -> str:
    """Return where a window at a place begins."""
    if stride == 1:
        return place
    return f"{stride} {place}" if len(place) == 1 else f"{stride} ({place})"


def _factor(coefficient: Coefficient) -> str:
    """Return a coefficient without the powers of the width, which cancel."""
    fraction = coefficient.constant.as_fraction()
    return str(coefficient.constant) if fraction is None else str(Fraction(fraction))
