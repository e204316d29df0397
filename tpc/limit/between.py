"""One program at several sizes with shared weights: kernels between samples of different shapes.

A sample of length t is what the program with T = t gives, so ``K(x, x') = E[f_t(x) f_t'(x')]`` is a
moment of two outputs that are built from the same weights. One derivation serves all pairs: where
a shorter program reads entries of an input, or of a weight, it reads those of the longest one, so
that states of a recurrent network are the same nodes in all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.ir.node import Node, replace, walk
from tpc.limit import expressions as ex
from tpc.limit.contraction import weight_below
from tpc.limit.independence import require_independence
from tpc.limit.inner import inner
from tpc.limit.kernels import Kernels, _axes, _context, _place, _positions, _sizes
from tpc.limit.limit import Limit
from tpc.limit.moment import LimitRefusal, scaled
from tpc.limit.refusals import reported
from tpc.limit.tangent import finite, moved_params, step
from tpc.ops.fill import is_zero
from tpc.ops.index import INDEX, index
from tpc.ops.param import PARAM
from tpc.ops.slice import slice_

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec
    from tpc.limit.forms import Entry

Sizes = frozenset[tuple[str, int]]
"""Sizes that differ from those of the program itself."""
_SCALES = ("a", "b", "c", "sigma", "mult", "rate", "init", "frozen", "decay", "eps")


class Family:
    """A kernel limit of one program at several sizes.

    ``base`` is the limit at the largest sizes, whose weights the others read in part.
    """

    def __init__(self, base: Limit, resized: Callable[[Mapping[str, int]], Module]) -> None:
        self.base = base
        self._resized = resized
        self._limits: dict[Sizes, Limit] = {frozenset(): base}
        self._outputs: dict[Sizes, Node] = {}
        self._jacobians: dict[Sizes, list[tuple[Node, ...]]] = {}
        self._known: dict[tuple[Sizes, Sizes], Kernels] = {}
        self._context = _context(base.module)
        self._context.tangent = base.kind == "ntk"

    def module(self, sizes: Sizes) -> Module:
        """Return the program at some sizes.

        Raises:
            TpcError: it has errors there.
        """
        return self._resized(dict(sizes)) if sizes else self.base.module

    def at(self, sizes: Sizes) -> Limit:
        """Return the limit at some sizes.

        Raises:
            TpcError: there is none.
        """
        from tpc.limit.limit import limit

        if sizes not in self._limits:
            found = limit(self.module(sizes), self.base.kind)
            with reported(found.module):
                _require_recursion(found)
            self._limits[sizes] = found
        return self._limits[sizes]

    def between(self, left: Sizes, right: Sizes) -> Kernels:
        """Return the kernel between samples of two shapes; ``diagonal`` is empty.

        Raises:
            TpcError: the outputs have other axes, a weight is not shared, or the derivation needs
                what is not supported.
        """
        if (left, right) not in self._known:
            with reported(self.at(min(left, right, key=len)).module):
                self._known[left, right] = self._derived(left, right)
        return self._known[left, right]

    def own(self, sizes: Sizes) -> Kernels:
        """Return the kernel of samples of one shape with themselves, as ``diagonal``."""
        if (sizes, sizes) not in self._known:
            with reported(self.at(sizes).module):
                self._known[sizes, sizes] = self._derived(sizes, sizes)
        return self._known[sizes, sizes]

    def _derived(self, left: Sizes, right: Sizes) -> Kernels:
        cross = left != right
        if self.base.kind == "nngp":
            pairs = itertools.product(self._places(left), self._places(right))
            found = [finite(self._context.moment(a, b, cross), a[0]) for a, b in pairs]
        else:
            gradients = itertools.product(self._gradients(left), self._gradients(right))
            found = [self._tangent(g, h, cross) for g, h in gradients]
        kept = _sizes(self._output(left), _axes(self._output(left), self._context)[0])
        return Kernels(kept, tuple(found) if cross else (), () if cross else tuple(found))

    # -- the same weights --------------------------------------------------------------------------

    def _output(self, sizes: Sizes) -> Node:
        """Return the output at some sizes, in terms of the weights of the largest program."""
        if sizes not in self._outputs:
            module = self.at(sizes).module
            found = module.output.node
            base = self.base.module.output.node
            if found.type.dims != base.type.dims:
                raise LimitRefusal(
                    "the output has an axis whose size differs from sample to sample",
                    found,
                    "end the network with a readout of the last state, or of an average over all "
                    "positions: return V @ s",
                )
            self._outputs[sizes] = shared(module, self.base.module) if sizes else base
        return self._outputs[sizes]

    def _places(self, sizes: Sizes) -> list[Entry]:
        output = self._output(sizes)
        kept = _axes(output, self._context)[0]
        return [(output, _place(output, kept, p)) for p in _positions(output, kept)]

    def _weights(self) -> list[tuple[ParamSpec, Node]]:
        """Return the weights of the largest program that move."""
        base = self.base.module
        leaves = {n.attrs["name"]: n for n in walk([base.output.node]) if weight_below(n) is n}
        return [(s, leaves[s.name]) for s in moved_params(base) if s.name in leaves]

    def _gradients(self, sizes: Sizes) -> list[tuple[Node, ...]]:
        if sizes not in self._jacobians:
            require_independence(self.base.module)
            leaves = [leaf for _, leaf in self._weights()]
            found = []
            for scalar, place in self._places(sizes):
                for axis in reversed(range(len(place))):
                    scalar = index(scalar, axis, place[axis])
                found.append(gradient(scalar, leaves, per_sample=True))
            self._jacobians[sizes] = found
        return self._jacobians[sizes]

    def _tangent(
        self, left: tuple[Node, ...], right: tuple[Node, ...], cross: bool
    ) -> ex.Expression:
        """Return the sum over weights of the inner products of two gradients."""
        parts = []
        for (spec, _), g, h in zip(self._weights(), left, right, strict=True):
            if is_zero(g) or is_zero(h):
                continue
            share = scaled(inner(g, h, self._context, cross), step(self.base.module, spec))
            parts.append(finite(share, g))
        return ex.total(parts)


def _require_recursion(limit: Limit) -> None:
    """Refuse limits that are averages over random numbers: their shapes have no joint law here.

    Raises:
        LimitRefusal: it is one.
    """
    from tpc.limit.positions import PositionLimit

    if type(limit) not in (Limit, PositionLimit):
        raise LimitRefusal(
            "samples of different shapes, and numbers that stay random or sampled neurons",
            limit.module.output.node,
            "pad the samples to one shape, and say by an input mask what counts",
        )


def shared(module: Module, base: Module) -> Node:
    """Return the output of a program with inputs and weights of a larger one, read in part.

    Raises:
        LimitRefusal: a weight has another scale, or another width.
    """
    output = module.output.node
    leaves = {_name(n): n for n in walk([base.output.node]) if _name(n)}
    mapping: dict[Node, Node] = {}
    for node in walk([output]):
        below = node.operands[0] if node.op is INDEX else node
        leaf = leaves.get(_name(below))
        if leaf is None or leaf is below:
            continue
        if node.op is INDEX:
            entry = index(leaf, node.attrs["axis"], node.attrs["position"])
            if entry.type == node.type:
                mapping[node] = entry
        elif node.op is PARAM:
            mapping[node] = _part(node, leaf)
    for name, spec in module.params.items():
        _require_same(spec, base.params[name], output)
    return replace([output], mapping)[0]


def _name(node: Node) -> tuple[str, str] | None:
    """Return what tells a leaf from the others, None for other nodes."""
    name = node.attrs.get("name")
    return None if node.operands or name is None else (node.op.name, str(name))


def _part(node: Node, leaf: Node) -> Node:
    """Return the first rows of a larger weight."""
    for axis, (own, dim) in enumerate(zip(node.type.dims, leaf.type.dims, strict=True)):
        if own == dim:
            continue
        if own.width:
            raise LimitRefusal(
                f"the weight {node.attrs['name']} has another width for samples of another shape",
                node,
                "give positions an axis of their own: [T, n], not [T*n]",
            )
        leaf = slice_(leaf, axis, 0, int(own.count))
    return leaf


def _require_same(spec: ParamSpec, other: ParamSpec, node: Node) -> None:
    if any(getattr(spec, key) != getattr(other, key) for key in _SCALES):
        raise LimitRefusal(
            f"the scale of the weight {spec.name} hangs on a size that differs from sample to "
            "sample: they do not share it",
            node,
            "divide what the weight is applied to, not the weight: V @ (s / T)",
        )
