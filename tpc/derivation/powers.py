"""Which powers of the width the values of a training run have: measured by the engine itself.

The engine of :mod:`tpc.feature` carries with every value the power of the width at which it lives,
and the characters of its signs; both follow from the program alone, not from the numbers. A few
steps on a few samples therefore tell, for every node, what vanishes in the limit and from when on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.context import FeatureContext
from tpc.feature.draws import Draws
from tpc.feature.network import FeatureNetwork
from tpc.feature.space import Particles, TooFew
from tpc.feature.value import Exponent, Value, largest
from tpc.ir.node import walk
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.simulate.training import noise, training_roots

if TYPE_CHECKING:
    from tpc.feature.rules import Operand
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.ops.base import Array

_SAMPLES, _PARTICLES, _STEPS = 2, 256, 4

Values = Mapping["Node", "Operand"]


@dataclass(frozen=True)
class Powers:
    """The values of a short run: ``steps[t][node]``, and the power at which each is normalised."""

    steps: tuple[Values, ...]

    def __post_init__(self) -> None:
        """Find the largest power of every node."""
        found = {
            node: largest(*(_power(values[node]) for values in self.steps))
            for node in self.steps[0]
        }
        object.__setattr__(self, "_largest", found)

    def of(self, node: Node) -> Exponent:
        """Return the power of a node once training is under way."""
        found: dict[Node, Exponent] = self._largest  # type: ignore[attr-defined]
        return found[node]

    def at(self, node: Node, step: int | None) -> Operand:
        """Return the value at a step (None: any later one)."""
        return self.steps[-1 if step is None else step][node]

    def vanishes(self, node: Node, step: int | None) -> bool:
        """Whether a vector or scalar is of lower order at a step than it is later."""
        value = self.at(node, step)
        if not isinstance(value, Value):
            return False
        return value.power is None or value.power != self.of(node)


def _power(value: Operand) -> Exponent:
    return value.power if isinstance(value, Value) else None


def powers(module: Module) -> Powers:
    """Run a few steps and return what every node of losses, gradients and outputs was.

    Raises:
        MissingRule: an op has no rule for the limit.
        TpcError: the program has no deterministic limit here.
    """
    particles = _PARTICLES
    while True:
        try:
            return _run(module, particles)
        except TooFew as few:
            particles = 2 * few.needed


def _run(module: Module, particles: int) -> Powers:
    roots = (*(value.node for value in module.outputs), *training_roots(module))
    network = FeatureNetwork(module, Particles(particles, Draws(0)), _STEPS)
    random, found = np.random.default_rng(0), []
    data = {name: _samples(module, name, random) for name in module.inputs}
    for t in range(_STEPS):
        context = FeatureContext(network.space, _SAMPLES, module.params, step=t + 1)
        found.append(_values(roots, network, data, context))
        if t + 1 < _STEPS:
            network.step(data, _SAMPLES)
    return Powers(tuple(found))


def _values(
    roots: Sequence[Node],
    network: FeatureNetwork,
    data: Mapping[str, Array],
    context: FeatureContext,
) -> dict[Node, Operand]:
    values: dict[Node, Operand] = {}
    for node in walk(roots):
        if node.op is PARAM:
            values[node] = network.weights[node.attrs["name"]].value
        elif node.op is INPUT:
            name = node.attrs["name"]
            is_noise = network.module.inputs[name].role == "noise"
            values[node] = Value(noise(node, context.arrays) if is_noise else data[name])
        else:
            operands = [values[operand] for operand in node.operands]
            values[node] = node.op.feature(node, operands, context)
    return values


def _samples(module: Module, name: str, random: np.random.Generator) -> Array:
    type_ = module.inputs[name].type
    shape = (_SAMPLES, *(int(dim.count) for dim in type_.dims))
    if type_.below is not None:
        return random.integers(1, type_.below + 1, shape)  # type: ignore[return-value]
    return np.asarray(0.1 * random.standard_normal(shape))
