"""One network in the limit, being trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.context import FeatureContext
from tpc.feature.evaluate import evaluate
from tpc.feature.limits import settled
from tpc.feature.norm import square_norm
from tpc.feature.value import Value
from tpc.feature.weights import UNCLIPPED, Clip, Weight, initial
from tpc.ir.node import Node, ordered, walk
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM, param
from tpc.optimizers.settings import settings
from tpc.simulate.training import noise, training_roots

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.feature.rules import Operand
    from tpc.feature.space import Space
    from tpc.ir.module import Module
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings

Extents = Mapping[tuple[str, int], int]


class FeatureNetwork:
    """The limit of a network: its weights, and the state of its optimizer.

    ``steps`` is how many training steps there will be at most; ``extents`` the sizes of finite axes
    of weights, (name, axis), where they differ from the program's (see tpc.feature.project).
    """

    def __init__(
        self,
        module: Module,
        space: Space,
        steps: int,
        seed: int = 0,
        extents: Mapping[tuple[str, int], int] = MappingProxyType({}),
    ) -> None:
        self.module, self.space, self.seed = module, space, seed
        self.steps_done = 0
        self.weights: dict[str, Weight] = {}
        for number, (name, spec) in enumerate(module.params.items()):
            found = settings(module, name) if name in module.trained else None
            shape = self._shape(name, extents)
            self.weights[name] = initial(spec, shape, found, space, number, steps)
        self._plan = {
            name: weight.settings
            for name, weight in self.weights.items()
            if weight.settings is not None
        }
        self._roots = training_roots(module) if steps else ()

    def _shape(self, name: str, extents: Extents) -> tuple[int, ...]:
        shape = self.module.params[name].type.shape(self.space.size)
        return tuple(extents.get((name, axis), extent) for axis, extent in enumerate(shape))

    def settings_of(self, name: str) -> Settings | None:
        """Return how a weight is trained, None where it does not move."""
        return self._plan.get(name)

    def step(self, data: Mapping[str, Array], count: int) -> float:
        """Train for one step on ``count`` samples; return the loss before it."""
        self.steps_done += 1
        context = FeatureContext(
            self.space, count, self.module.params, seed=self.seed, step=self.steps_done
        )
        loss, *found = self._evaluate(self._roots, data, context)
        assert isinstance(loss, Value)
        gradients = dict(zip(self.module.trained, found, strict=True))
        clips = self._clips(gradients, context)
        for name in self._plan:
            self.weights[name].move(gradients[name], clips[name])
        return float(settled(loss, self._roots[0])[0])

    def predict(
        self, roots: Sequence[Node], data: Mapping[str, Array], count: int, stream: int = 0
    ) -> tuple[Array, ...]:
        """Return outputs at ``count`` samples; the weights keep no trace of them.

        ``stream`` selects the random numbers that belong to the samples alone.
        """
        found = self._passing(roots, data, count, coupled(roots), stream)
        if any(root.type.sort for root in roots):
            raise TpcError(Diagnostic("E0952", "an output with a width axis has no value"))
        return tuple(settled(v, root)[0] for v, root in zip(found, roots, strict=True))

    def kernels(
        self, roots: Sequence[Node], data: Mapping[str, Array], count: int
    ) -> tuple[Array, ...]:
        """Return E[Z Z'] of vectors at all pairs of ``count`` samples: (N, N, axes, axes)."""
        found = self._passing(roots, data, count, True, 0)
        return tuple(self._kernel(v, root) for v, root in zip(found, roots, strict=True))

    def _kernel(self, value: Value, root: Node) -> Array:
        (axis,) = root.type.width_axes
        array = np.moveaxis(settled(value, root)[0], axis + 1, -1)
        rows = array.reshape(-1, array.shape[-1])
        kernel = self.space.inner(rows, rows) * (self.space.size / array.shape[-1])
        shape, rank = array.shape[:-1], array.ndim - 1
        order = (0, rank, *range(1, rank), *range(rank + 1, 2 * rank))
        result: Array = kernel.reshape(*shape, *shape).transpose(order)
        return result

    def _passing(
        self,
        roots: Sequence[Node],
        data: Mapping[str, Array],
        count: int,
        joint: bool,
        stream: int,
    ) -> list[Value]:
        context = FeatureContext(
            self.space,
            count,
            self.module.params,
            passing=True,
            joint=joint,
            stream=stream,
            seed=self.seed,
            step=-1 - self.steps_done,
        )
        found = self._evaluate(roots, data, context)
        self.space.give_back()
        return [value for value in found if isinstance(value, Value)]

    def _evaluate(
        self, roots: Sequence[Node], data: Mapping[str, Array], context: FeatureContext
    ) -> tuple[Operand, ...]:
        bound: dict[Node, Operand] = {}
        for node in ordered(tuple(roots)):
            if node.op is PARAM:
                bound[node] = self.weights[node.attrs["name"]].value
            elif node.op is INPUT:
                name = node.attrs["name"]
                random = self.module.inputs[name].role == "noise"
                array = noise(node, context.arrays) if random else data[name]
                if array.dtype.kind == "f":
                    array = array.astype(self.space.dtype, copy=False)
                bound[node] = Value(array)
        return evaluate(roots, bound, context)

    def _clips(self, gradients: Mapping[str, Operand], context: FeatureContext) -> dict[str, Clip]:
        """Return what bounds each gradient: the factor of its group's common norm."""
        found: dict[tuple[tuple[str, ...], Coefficient], Clip] = {}
        result = {}
        for name, each in self._plan.items():
            result[name] = UNCLIPPED
            if each.clip is not None:
                key = each.group, each.clip
                if key not in found:
                    found[key] = self._clip(name, each.clip, gradients, context)
                result[name] = found[key]
        return result

    def _clip(
        self,
        name: str,
        bound: Coefficient,
        gradients: Mapping[str, Operand],
        context: FeatureContext,
    ) -> Clip:
        """Return ``min(1, bound / norm)`` as a number and a power of the width."""
        group, params = self._plan[name].group, self.module.params
        raw = []
        for each in group:
            multiplier = params[each].multiplier
            power = multiplier.power.const
            raw.append(gradients[each].scaled(multiplier.constant.value, power))
        leaves = [param(each, params[each].type.dims) for each in group]
        square = square_norm(raw, leaves, context)
        if square.power is None:
            return 1.0, Fraction(0)
        norm, power = float(square.array) ** 0.5, square.power / 2
        level, size = bound.constant.value, bound.power.const
        if size > power or (size == power and level >= norm):
            return 1.0, Fraction(0)
        return level / norm, size - power


def coupled(roots: Sequence[Node]) -> bool:
    """Whether the value of one sample depends on the other samples."""
    return any(node.op in (BATCH_MEAN, BATCH_SUM, PER_SAMPLE) for node in walk(roots))
