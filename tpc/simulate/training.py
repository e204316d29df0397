"""One network being trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import Node, walk
from tpc.ops.base import EvalContext
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.ops.scale import numeric
from tpc.optimizers.settings import WORDED, Settings, settings
from tpc.simplify import simplified
from tpc.simulate.execute import execute
from tpc.simulate.initialise import initial_weights
from tpc.unroll import training_step

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array


class Network:
    """A network at one width and seed: its weights, and the state of its optimizer.

    ``weights`` are the effective W by name; :meth:`step` replaces arrays and never writes into
    them, so a shallow copy is a snapshot. ``steps`` is how many there will be: schedules need it.
    """

    def __init__(self, module: Module, width: int, seed: int, steps: int = 0) -> None:
        self.module, self.width, self.seed, self.steps = module, width, seed, steps
        self.weights = initial_weights(module, width, seed)
        found = {name: settings(module, name, WORDED) for name in module.trained}
        self._plan = {name: each for name, each in found.items() if each is not None}
        self._states = {
            name: each.optimizer.start(self.weights[name].shape)
            for name, each in self._plan.items()
        }
        self._roots = training_roots(module)
        self.steps_done = 0

    def evaluate(
        self, roots: Sequence[Node], data: Mapping[str, Array], count: int, step: int = 0
    ) -> tuple[Array, ...]:
        """Return values at ``count`` samples, with the present weights.

        ``step`` selects the random numbers of noise and dropout.
        """
        context = EvalContext(self.width, count, self.module.params, self.seed, step)
        bound: dict[Node, Array] = {}
        for node in walk(roots):
            if node.op is PARAM:
                bound[node] = self.weights[node.attrs["name"]]
            elif node.op is INPUT:
                bound[node] = self._input(node, data, context)
        return execute(roots, bound, context)

    def _input(self, node: Node, data: Mapping[str, Array], context: EvalContext) -> Array:
        name = node.attrs["name"]
        spec = self.module.inputs.get(name)
        if spec is None or spec.role != "noise":
            return data[name]
        return noise(node, context)

    def step(self, data: Mapping[str, Array], count: int) -> float:
        """Train for one step on ``count`` samples; return the loss before it."""
        self.steps_done += 1
        loss, *found = self.evaluate(self._roots, data, count, self.steps_done)
        gradients = {
            name: self._multiplier(name) * array
            for name, array in zip(self.module.trained, found, strict=True)
            if name in self._plan
        }
        factors = {name: self._clip(each, gradients) for name, each in self._plan.items()}
        moved = dict(self.weights)
        for name, each in self._plan.items():
            moved[name] = self._moved(name, each, factors[name] * gradients[name])
        self.weights = moved
        return float(loss)

    def state(self) -> dict[str, Array]:
        """Return what training has changed so far, as arrays by name."""
        import numpy as np

        result = {"steps": np.array(self.steps_done)}
        result |= {f"W {name}": array for name, array in self.weights.items()}
        for name, state in self._states.items():
            result |= {f"S {name} {key}": np.asarray(value) for key, value in state.items()}
        return result

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put the network into a :meth:`state`.

        Raises:
            KeyError: an array is missing.
        """
        self.steps_done = int(arrays["steps"])
        self.weights = {name: arrays[f"W {name}"] for name in self.weights}
        self._states = {
            name: {key: arrays[f"S {name} {key}"] for key in state}
            for name, state in self._states.items()
        }

    def _multiplier(self, name: str) -> float:
        return numeric(self.module.params[name].multiplier, self.width)

    def _clip(self, each: Settings, gradients: Mapping[str, Array]) -> float:
        if each.clip is None:
            return 1.0
        norm = sum(float((gradients[name] ** 2).sum()) for name in each.group) ** 0.5
        bound = numeric(each.clip, self.width)
        return bound / norm if norm > bound else 1.0

    def _factor(self, each: Settings) -> float:
        """Return what the schedule multiplies the rate of this step by."""
        if each.schedule is not None and self.steps_done > self.steps:
            raise TpcError(
                Diagnostic("E0927", f"`schedule = {each.schedule}` needs the number of steps")
            )
        return float(each.factor(self.steps_done, self.steps))

    def _moved(self, name: str, each: Settings, gradient: Array) -> Array:
        """Return the effective weight after a step (see :mod:`tpc.optimizers.base`)."""
        multiplier, weight = self._multiplier(name), self.weights[name]
        rate = numeric(each.rate, self.width) * self._factor(each)
        decay: float | Array = numeric(each.decay, self.width)
        shrinks = bool(decay)
        if each.decay_on == "touched":
            decay = decay * _touched(gradient)
        options = {key: numeric(value, self.width) for key, value in each.options.items()}
        w = weight / multiplier
        if shrinks and not each.optimizer.decoupled:
            gradient = gradient + decay * w
        direction, self._states[name] = each.optimizer.direction(
            gradient, w, self._states[name], self.steps_done, options
        )
        result = weight - rate * multiplier * direction
        return result - rate * decay * weight if each.optimizer.decoupled and shrinks else result


def _touched(gradient: Array) -> Array:
    """Return 1 for the rows (of the first axis) of a gradient that are not zero, else 0."""
    touched = (gradient != 0.0).any(axis=tuple(range(1, gradient.ndim)), keepdims=True)
    result: Array = touched.astype(float)
    return result


def training_roots(module: Module) -> tuple[Node, ...]:
    """Return the loss and the gradients of the weights that move (nothing without a loss)."""
    if module.loss is None:
        return ()
    step = training_step(module)
    return simplified((step.loss, *step.gradients.values()))


def output_roots(module: Module) -> dict[str, Node]:
    """Return the program's outputs by name."""
    nodes = simplified(tuple(value.node for value in module.outputs))
    return {value.name: node for value, node in zip(module.outputs, nodes, strict=True)}


def noise(node: Node, context: EvalContext) -> Array:
    """Return the standard Gaussians of a noise input, drawn anew at every step."""
    step = context.step if node.attrs["step"] is None else node.attrs["step"]
    random = context.generator("noise", node.attrs["name"], step)
    return random.standard_normal(context.shape(node.type))
