"""Sampled neurons: the forward pass with M draws in place of the width.

Between contractions with weights, what a program does to values that carry the width is
coordinatewise: every neuron has values at all samples and positions, which a function of the
program's own turns into others, and the products of a weight are Gaussian with the covariance of
what it multiplies (theory: MatMul, where no weight is used as W and as its transpose). So a node is
an array as at a finite width M, computed by the ops' own finite-width meaning; weights are never
formed, their products are drawn.

The tangent kernel is ``E_g <df(x)/dw, g> <df(x')/dw, g>`` for Gaussian g whose variances are how
far weights move. Its directional derivatives are carried along (``W -> W + e g``): through a weight
they become Gaussian with covariance ``var E[x' x'] + step E[x x]``, through everything else they
move by the ops' derivatives. Values and tangents are uncorrelated, since g and -g are equal in law;
so averages over the width have no tangent.

Powers of the width are taken at ``NOMINAL``, so that what vanishes in the limit is below rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpc.covariance.draws import Normals
from tpc.covariance.families import STAGE, Family, Roles, arguments, roles
from tpc.covariance.pushforward import pushforward
from tpc.covariance.tails import centred, require_enough
from tpc.covariance.tangents import Slopes, Source, Tangent, pushed, samples
from tpc.exact import Coefficient
from tpc.ir.node import Node, ordered
from tpc.limit.contraction import weight_below
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.base import EvalContext, MissingRule
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.ops.scale import SCALE, numeric
from tpc.ops.sum import SUM

if TYPE_CHECKING:
    from tpc.ir.module import ParamSpec

Array = NDArray[np.float64]
NOMINAL = 2**60
"""The width at which powers of the width are taken."""
LARGE = 2.0**20
"""Values from which on a nonlinearity sees something that grows with the width."""


class Neurons:
    """One replicate of the forward pass of ``roots`` on a batch.

    ``steps`` says how far weights move; where it is empty there are no tangents. ``nominal`` is the
    width of the powers; when ``probing``, it is not checked that means exist.
    """

    def __init__(
        self,
        params: Mapping[str, ParamSpec],
        steps: Mapping[str, Coefficient],
        data: Mapping[str, Any],
        normals: Normals,
        replicate: int,
        nominal: int = NOMINAL,
        probing: bool = False,
    ) -> None:
        self.params = params
        self.steps = steps
        self.data = data
        self.batch = len(next(iter(data.values())))
        self.normals = normals
        self.count = normals.count
        self.nominal = nominal
        self.probing = probing
        self.context = EvalContext(self.count, self.batch, params, seed=replicate)
        self.values: dict[Node, Array] = {}
        self.tangents: dict[Node, Tangent | None] = {}
        self._families: dict[Any, list[Family]] = {}
        self._squares: dict[Node, float] = {}
        self._uses: Counter[Any] = Counter()

    def run(self, roots: Sequence[Node]) -> list[tuple[Array, Tangent | None]]:
        """Return values and tangents (None: zero) of nodes."""
        order = needed(roots)
        found = {node: roles(node) for node in order}
        self._uses = Counter(each.key for each in found.values() if each is not None)
        left = Counter(x for node in order for x in operands(node, found[node]))
        left.update(roots)
        with np.errstate(all="ignore"):
            for node in order:
                self.values[node], self.tangents[node] = self._node(node, found[node])
                for x in operands(node, found[node]):
                    left[x] -= 1
                    if not left[x]:
                        del self.values[x], self.tangents[x]
        return [(self.values[node], self.tangents[node]) for node in roots]

    def _node(self, node: Node, found: Roles | None) -> tuple[Array, Tangent | None]:
        if found is not None:
            return self._product(node, found)
        if node.op is INPUT:
            return np.asarray(self.data[node.attrs["name"]]), None
        if node.op is PARAM:
            return self._leaf(node)
        arrays = [self.values[x] for x in node.operands]
        if node.op is APPLY and node.type.sort and np.sqrt(np.mean(arrays[0] ** 2)) > LARGE:
            raise MissingRule(node, STAGE, "a nonlinearity of something that grows with the width")
        spread = None if self.probing else centred(node)
        if spread is not None and spread[0].type.batched:
            y, axes = spread
            moves = self.tangents[node.operands[0]] is not None
            require_enough(self.values[y], y.type, axes, self._squares.get(y, 1.0), moves)
        value = self._evaluated(node, arrays)
        if node.op is ADD and node.type.batched:
            self._squares[node] = float(np.mean(arrays[0] ** 2))
        return value, self._pushed(node, value, arrays) if self.steps else None

    # -- weights -----------------------------------------------------------------------------------

    def number(self, coefficient: Coefficient) -> float:
        """Return a coefficient at the nominal width."""
        return numeric(coefficient, self.nominal)

    def variance(self, name: str) -> float:
        """Return the variance of a weight's entries, zero where they are."""
        spec = self.params[name]
        if spec.init == "zero":
            return 0.0
        return self.number(Coefficient(spec.entry_std, -spec.entry_exponent) ** 2)

    def step(self, name: str) -> float:
        """Return how far a weight's entries move for a unit gradient."""
        return self.number(self.steps[name]) if name in self.steps else 0.0

    def stretch(self, widths: int) -> float:
        """Return what sums over width axes of the draws are to be multiplied by."""
        return float(self.nominal / self.count) ** widths

    def _leaf(self, node: Node) -> tuple[Array, Tangent | None]:
        """Return the entries of a weight with one width axis: biases, gains, embeddings."""
        name = str(node.attrs["name"])
        spec = self.params[name]
        if node.type.sort != 1:
            detail = "a weight without a width, which stays random" if not node.type.sort else ""
            raise MissingRule(node, STAGE, detail or "a matrix that is no factor of a product")
        if spec.init == "normal":
            value = self.variance(name) ** 0.5 * self._entries(node, self.normals.opposite)
        else:
            value = np.full(node.type.shape(self.count), float(spec.init == "one"))
        if name not in self.steps:
            return value, None
        step = self.step(name)

        def draw() -> Array:
            return np.asarray(step**0.5 * self._entries(node, self.normals.equal))

        source = Source(node.type, draw, variance=step)
        return value, Slopes({source: np.ones(value.shape)})

    def _entries(self, node: Node, noise: Any) -> Array:
        """Return independent numbers in the shape of a value with one width axis."""
        (axis,) = node.type.width_axes
        shape = node.type.shape(self.count)
        blocks = shape[axis] // self.count
        others = [e for k, e in enumerate(shape) if k != axis]
        flat: Array = noise(int(np.prod(others, dtype=int)) * blocks)
        return np.moveaxis(flat.reshape(*others, blocks * self.count), -1, axis)

    def _product(self, node: Node, found: Roles) -> tuple[Array, Tangent | None]:
        """Draw the product of a weight and a value; its tangent is a source of its own."""
        dims = dict(zip(node.attrs["out"], node.type.dims, strict=True))
        wide = [label for label in found.copies if dims[label].width]
        if len(wide) != 1 or node.type.sort != 1:
            raise MissingRule(node, STAGE, "a product that has no width, and stays random")
        if self.params[found.name].init == "one":
            raise MissingRule(node, STAGE, "a contraction with ones")
        x, moved = self.values[found.value], self.tangents[found.value]
        stretch = self.stretch(found.summed_widths)
        var, step = self.variance(found.name) * stretch, self.step(found.name) * stretch
        given = arguments(x, found)
        value = self._drawn(node, found, "value", var**0.5 * given)
        moved = None if var == 0.0 else moved
        if not self.steps or (step == 0.0 and moved is None):
            return value, None
        apart = not found.shared and len(found.copies) == 1 and node.type.batched
        if apart and self._uses[found.key] == 1:
            law = step * (given[0] @ given[0].T)
            share = None if moved is None else self.second_moments(found, x, moved)
            if moved is None or share is not None:
                law = law if share is None else law + var * share[0]
                return value, Slopes({self._source(node, found, law): np.ones(value.shape)})
        parts = [step**0.5 * given]
        if moved is not None:
            parts.append(var**0.5 * arguments(np.broadcast_to(samples(moved), x.shape), found))
        return value, self._drawn(node, found, "tangent", np.concatenate(parts, axis=2))

    def _source(self, node: Node, found: Roles, law: Array) -> Source:
        """Return the tangent of a product, which is drawn only where it must be."""

        def draw() -> Array:
            return self._drawn(node, found, "tangent", None, law)

        order = [label for label in node.attrs["out"] if label in found.places]
        known = tuple(order) == found.places
        return Source(node.type, draw, law if known else None)

    def second_moments(self, found: Roles, x: Array, tangent: Tangent) -> Array | None:
        """Return the sums of products of a tangent over what a weight contracts, (groups, P, P).

        Exact means over the tangents' own Gaussians; None where these are not known.
        """
        type_ = found.value.type
        whole = type_.batched and type_.sort == 1 and not found.shared
        wide = [label for label, dim in zip(found.of_value, type_.dims, strict=True) if dim.width]
        if not whole or list(found.summed) != wide or not isinstance(tangent, Slopes):
            return None
        exact = tangent.second_moments(type_, self.batch)
        return None if exact is None else exact[None]

    def _drawn(
        self,
        node: Node,
        found: Roles,
        kind: str,
        x: Array | None,
        covariance: Array | None = None,
    ) -> Array:
        """Draw products of arguments (groups, P, D), or of a covariance (P, P)."""
        noise = self.normals.opposite if kind == "value" else self.normals.equal
        shape = self.context.shape(node.type)[-node.type.rank :]
        sizes = dict(zip(node.attrs["out"], shape, strict=True))
        copies = int(np.prod([sizes[label] for label in found.copies], dtype=int)) // self.count
        key = (kind, *found.key)
        if key not in self._families:
            self._require_one_way(node, found)
            keep = self._uses[found.key] > 1
            self._families[key] = [Family(keep) for _ in range(1 if x is None else len(x))]
        drawn = [
            family.draw(None if x is None else x[g], copies, noise, covariance)
            for g, family in enumerate(self._families[key])
        ]
        return self._placed(np.stack(drawn), node, found, sizes)

    def _require_one_way(self, node: Node, found: Roles) -> None:
        """Refuse a weight whose products are correlated otherwise than by a common family."""
        from tpc.covariance.contraction import _apart

        for key in self._uses:
            if key == found.key or weight_below(key[0]) is not weight_below(found.holder):
                continue
            if not _apart(key[0], found.holder):
                raise MissingRule(node, STAGE, "one weight used in two ways")

    def _placed(self, drawn: Array, node: Node, found: Roles, sizes: Mapping[int, int]) -> Array:
        """Put (groups, samples and places, copies, M) in the order of the result's axes."""
        dims = dict(zip(node.attrs["out"], node.type.dims, strict=True))
        narrow = [label for label in found.copies if not dims[label].width]
        (wide,) = (label for label in found.copies if dims[label].width)
        batch = [-1] if node.type.batched else []
        labels = [*found.shared, *batch, *found.places, *narrow, wide]
        extents = {**sizes, -1: self.batch}
        shaped = drawn.reshape([extents[label] for label in labels])
        return shaped.transpose([labels.index(label) for label in (*batch, *node.attrs["out"])])

    # -- everything else ---------------------------------------------------------------------------

    def _evaluated(self, node: Node, arrays: Sequence[Array]) -> Array:
        """Return an op's finite-width meaning, powers of the width at the nominal one."""
        found = node.op.evaluate(node, arrays, self.context)
        factor = self._correction(node)
        return found if factor == 1.0 else factor * found

    def _correction(self, node: Node) -> float:
        ratio = float(self.nominal / self.count)
        if node.op is SCALE or node.op is FILL:
            power = node.attrs["coefficient"].power
            return float(ratio ** float(power.const))
        return ratio ** averaged_widths(node)

    def _pushed(self, node: Node, value: Array, arrays: Sequence[Array]) -> Tangent | None:
        """Return the tangent of a node from those of its operands."""
        if averaged_widths(node):
            return None
        given = {k: t for k, x in enumerate(node.operands) if (t := self.tangents[x]) is not None}

        def share(position: int, tangent: Array) -> Array | None:
            found = pushforward(node, position)
            if found is None:
                return None
            leaf, order = found
            known = {node: value, leaf: np.broadcast_to(tangent, arrays[position].shape)}
            known |= dict(zip(node.operands, arrays, strict=True))
            for each in order:
                known[each] = self._evaluated(each, [known[y] for y in each.operands])
            return known[order[-1] if order else leaf]

        return pushed(node, given, share, value.shape) if given else None


def averaged_widths(node: Node) -> int:
    """Return how many width axes an op sums over."""
    if node.op is SUM:
        return sum(node.operands[0].type.dims[axis].width for axis in node.attrs["axes"])
    if node.op is CONTRACT:
        out = node.attrs["out"]
        pairs = zip(node.attrs["left"], node.operands[0].type.dims, strict=True)
        return sum(dim.width for label, dim in pairs if label not in out)
    return 0


def operands(node: Node, found: Roles | None) -> tuple[Node, ...]:
    """Return the operands that are values: all but a weight that is contracted."""
    return node.operands if found is None else (found.value,)


def needed(roots: Sequence[Node]) -> list[Node]:
    """Return the nodes to visit for ``roots``, operands first."""
    wanted = set(roots)
    order = list(ordered(tuple(roots)))
    for node in reversed(order):
        if node in wanted:
            wanted.update(operands(node, roles(node)))
    return [node for node in order if node in wanted]
