"""Recursions over sampled neurons, to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.covariance.families import Roles, roles
from tpc.covariance.neurons import needed
from tpc.exact import Coefficient
from tpc.ir.node import Node
from tpc.limit.equations import Equation
from tpc.limit.moment import block_size
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.batch import BATCH_MEAN
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.fill import FILL
from tpc.ops.index_map import IndexMap
from tpc.ops.input import INPUT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.sum import SUM

if TYPE_CHECKING:
    from tpc.covariance.sampling import SampledKernel


def recursion(plan: SampledKernel, kind: str, active: Collection[str]) -> tuple[Equation, ...]:
    """Return the recursion: what every weight reads (f), and the covariances of what it gives.

    ``active`` are the weights with a share of the tangent kernel.
    """
    plain, latex = (_Writer(plan, kind, active, style).equations for style in (False, True))
    pairs = zip(plain, latex, strict=True)
    return tuple(Equation(a[0], a[1], b[1]) for a, b in pairs)


class _Writer:
    def __init__(
        self, plan: SampledKernel, kind: str, active: Collection[str], latex: bool
    ) -> None:
        self.plan = plan
        self.active = active if kind == "ntk" else ()
        self.latex = latex
        self.equations: list[tuple[str, str]] = []
        self._known: dict[Node, str] = {}
        order = needed(plan.outputs.values)
        found = {node: role for node in order if (role := roles(node)) is not None}
        self._marks = _marks(found)
        self._moving = _moving(order, found, self.active)
        for node, role in found.items():
            self._product(node, role)
        self._output(kind)

    # -- covariances -------------------------------------------------------------------------------

    def _product(self, node: Node, role: Roles) -> None:
        mark = self._marks[node]
        spec = self.plan.module.params[role.name]
        size = self._size(role)
        variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2 * size
        own = self._inner(role, False)
        if spec.init != "zero":
            self._say("Sigma", mark, self._times(variance, own))
        terms = []
        if spec.init != "zero" and role.value in self._moving:
            terms.append(self._times(variance, self._inner(role, True)))
        if role.name in self.active:
            terms.append(self._times(self.plan.steps[role.name] * size, own))
        if terms:
            self._say("Theta", mark, " + ".join(terms))

    def _output(self, kind: str) -> None:
        terms = []
        for each in self.plan.outputs.readouts:
            factor = each.coefficient * each.coefficient
            if each.found is None:
                spec = self.plan.module.params[each.name]
                if kind == "nngp" and spec.init == "normal":
                    terms.append(self._factor(factor * Coefficient(spec.entry_std) ** 2))
                elif each.name in self.active:
                    terms.append(self._factor(factor * self.plan.steps[each.name]))
                continue
            role = each.found
            spec = self.plan.module.params[role.name]
            size = self._size(role) * factor
            own = self._inner(role, False)
            variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2 * size
            if kind == "nngp":
                terms.append(self._times(variance, own) if spec.init == "normal" else "0")
                continue
            if spec.init == "normal" and role.value in self._moving:
                terms.append(self._times(variance, self._inner(role, True)))
            if role.name in self.active:
                terms.append(self._times(self.plan.steps[role.name] * size, own))
        letter = "Theta" if kind == "ntk" else "K"
        self.equations.append((letter, " + ".join(terms) or "0"))

    def _size(self, role: Roles) -> Coefficient:
        dims = dict(zip(role.of_weight, role.holder.type.dims, strict=True))
        size = Coefficient.of(1)
        for label in role.summed:
            if dims[label].width:
                size = size * block_size(dims[label].count)
        return size

    def _inner(self, role: Roles, tangent: bool) -> str:
        """Return the mean product of what a weight reads at two samples."""
        name = self._named(role.value)
        if role.value.op is INPUT or not role.value.type.sort:
            return rf"\langle {name}, {name}' \rangle" if self.latex else f"<{name}, {name}'>"
        d = "d" if tangent else ""
        dims = dict(zip(role.of_weight, role.holder.type.dims, strict=True))
        several = any(not dims[label].width for label in role.summed)
        pair = f"<{d}{name}, {d}{name}'>" if several else f"{d}{name} {d}{name}'"
        return rf"\mathbb{{E}}[{pair}]" if self.latex else f"E[{pair}]"

    def _say(self, letter: str, mark: str, text: str) -> None:
        name = rf"\{letter}_{{\mathtt{{{mark}}}}}" if self.latex else f"{letter}_{mark}"
        self.equations.append((name, text))

    def _times(self, factor: Coefficient, text: str) -> str:
        number = self._factor(factor)
        if number == "1":
            return text
        return rf"{number} \, {text}" if self.latex else f"{number} * {text}"

    def _factor(self, coefficient: Coefficient) -> str:
        """Return a coefficient without the powers of the width, which cancel."""
        if self.latex:
            return coefficient.constant.latex(True)
        fraction = coefficient.constant.as_fraction()
        return str(coefficient.constant) if fraction is None else str(Fraction(fraction))

    # -- functions of a neuron's values ------------------------------------------------------------

    def _named(self, node: Node) -> str:
        """Return the name of what a weight reads; functions get an equation of their own."""
        if node not in self._known:
            text = self._text(node)
            if node.op is INPUT or node.op is PARAM or roles(node) is not None:
                self._known[node] = text
            else:
                count = sum(name.startswith("f") for name, _ in self.equations) + 1
                self.equations.append((f"f{count}", text))
                self._known[node] = f"f_{{{count}}}" if self.latex else f"f{count}"
        return self._known[node]

    def _text(self, node: Node) -> str:
        if node in self._known:
            return self._known[node]
        if node in self._marks:
            mark = self._marks[node]
            return rf"z_{{\mathtt{{{mark}}}}}" if self.latex else f"z_{mark}"
        if node.op is INPUT or node.op is PARAM:
            name = str(node.attrs["name"])
            return rf"\mathtt{{{name}}}" if self.latex else name
        normed = _normalised(node)
        if normed is not None:
            return self._call(normed[0], normed[1])
        x = node.operands[0] if node.operands else node
        if node.op is APPLY:
            return self._call(node.attrs["activation"].name, x)
        if node.op is ADD:
            return " + ".join(self._text(each) for each in node.operands).replace("+ -", "- ")
        if node.op is MULTIPLY:
            return self._joined(" \\, " if self.latex else " * ", node)
        if node.op is SCALE:
            number = self._factor(node.attrs["coefficient"])
            return "-" + self._bracketed(x) if number == "-1" else f"{number} {self._bracketed(x)}"
        if node.op is POWER:
            return f"{self._bracketed(x)}^{{{node.attrs['exponent']}}}"
        if node.op is FILL:
            return self._factor(node.attrs["coefficient"])
        if node.op is BERNOULLI:
            return "mask"
        if isinstance(node.op, (IndexMap, type(REPEAT))) and len(node.operands) == 1:
            return self._text(x)
        return self._call("mean over the batch" if node.op is BATCH_MEAN else node.op.name, x)

    def _joined(self, sign: str, node: Node) -> str:
        return sign.join(self._bracketed(each) for each in node.operands)

    def _bracketed(self, node: Node) -> str:
        text = self._text(node)
        return f"({text})" if node.op in (ADD, SCALE) and node not in self._known else text

    def _call(self, name: str, x: Node) -> str:
        plain = name.replace("_", r"\_")
        return (rf"\mathrm{{{plain}}}" if self.latex else name) + f"({self._text(x)})"


def _marks(found: Mapping[Node, Roles]) -> dict[Node, str]:
    """Return the names of products: those of their weights, numbered where there are several."""
    uses: dict[str, list[Node]] = {}
    for node, role in found.items():
        uses.setdefault(role.name, []).append(node)
    return {
        node: name if len(nodes) == 1 else f"{name}{k + 1}"
        for name, nodes in uses.items()
        for k, node in enumerate(nodes)
    }


def _moving(
    order: list[Node], found: Mapping[Node, Roles], active: Collection[str]
) -> frozenset[Node]:
    """Return the values that weights with a share of the tangent kernel move."""
    moving = set()
    for node in order:
        name = found[node].name if node in found else node.attrs.get("name")
        below = (found[node].value,) if node in found else node.operands
        if name in active or any(x in moving for x in below):
            moving.add(node)
    return frozenset(moving)


def _normalised(node: Node) -> tuple[str, Node] | None:
    """Return ("batch_norm", x) where a node is the normalisation of x over samples or an axis."""
    if node.op is not MULTIPLY or node.operands[1].op is not POWER:
        return None
    centred, root = node.operands
    if centred.op is not ADD or root.attrs["exponent"] != Fraction(-1, 2):
        return None
    x, mean = centred.operands[0], _bare(centred.operands[1])
    if mean.op is BATCH_MEAN and mean.operands[0] is x:
        return "batch_norm", x
    if mean.op is SUM and mean.operands[0] is x:
        wide = any(x.type.dims[axis].width for axis in mean.attrs["axes"])
        return "layer_norm" if wide else "batch_norm", x
    return None


def _bare(node: Node) -> Node:
    while node.op in (SCALE, REPEAT):
        node = node.operands[0]
    return node
