"""Training as a graph: one step's gradients, and whole runs as straight-line IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.exact import Coefficient
from tpc.ir.node import Node, make, replace, walk
from tpc.ops.add import add
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.clip_factor import clip_factor
from tpc.ops.input import INPUT
from tpc.ops.multiply import multiply
from tpc.ops.param import param
from tpc.ops.power import power
from tpc.ops.scale import scale
from tpc.ops.sum import total
from tpc.optimizers.settings import Settings, settings

if TYPE_CHECKING:
    from tpc.ir.module import Module


@dataclass(frozen=True)
class TrainingStep:
    """The loss, and its derivatives with respect to the effective weights that move."""

    loss: Node
    gradients: Mapping[str, Node]


@dataclass(frozen=True)
class Unrolled:
    """A training run as one graph.

    ``weights[t]`` and ``outputs[t]`` are the effective weights and the outputs after t steps, t = 0
    .. steps; ``losses[t]`` and ``gradients[t]`` belong to step t + 1, taken at ``weights[t]``.
    Leaves of the run's data are inputs with attribute ``step``; those of the outputs have none
    (they stand for whatever points the outputs are wanted at).
    """

    weights: tuple[Mapping[str, Node], ...]
    outputs: tuple[Mapping[str, Node], ...]
    losses: tuple[Node, ...]
    gradients: tuple[Mapping[str, Node], ...]


def training_step(module: Module) -> TrainingStep:
    """Return the loss and the gradients of a module with a ``train:`` block.

    Raises:
        ValueError: the module has no loss.
        tpc.ops.base.MissingRule: an op on the way has no derivative.
    """
    if module.loss is None:
        raise ValueError("the module has no loss")
    leaves = [param(name, module.params[name].type.dims) for name in module.trained]
    derivatives = gradient(module.loss, leaves)
    return TrainingStep(
        module.loss, MappingProxyType(dict(zip(module.trained, derivatives, strict=True)))
    )


def unroll(module: Module, steps: int, *, batches: bool = False) -> Unrolled:
    """Return a training run of ``steps`` steps as straight-line IR.

    With ``batches`` every step has inputs of its own (attribute ``step`` = 1, 2, ...); else all
    read the same (``step`` = 0). Random leaves are drawn anew at each step. Exponents may be
    symbolic.

    Raises:
        ValueError: the module has no loss.
        LookupError: an exponent of a weight is not known yet.
        TpcError: an optimizer cannot train one of the weights.
    """
    plan = {name: settings(module, name) for name in module.trained}
    step = training_step(module)
    weights: list[Mapping[str, Node]] = [MappingProxyType(_leaves(module))]
    outputs = [_outputs(module, weights[0], 0)]
    losses: list[Node] = []
    gradients: list[Mapping[str, Node]] = []
    histories: dict[str, list[Node]] = {name: [] for name in plan}
    for t in range(1, steps + 1):
        roots = (step.loss, *step.gradients.values())
        loss, *found = _at(roots, module, weights[-1], t, t if batches else 0)
        losses.append(loss)
        gradients.append(MappingProxyType(dict(zip(plan, found, strict=True))))
        moved = dict(weights[-1])
        for name, node in _trainable_gradients(module, plan, weights[-1], gradients[-1]).items():
            histories[name].append(node)
            moved[name] = _moved(module, name, plan[name], weights[-1][name], histories[name])
        weights.append(MappingProxyType(moved))
        outputs.append(_outputs(module, moved, t))
    return Unrolled(tuple(weights), tuple(outputs), tuple(losses), tuple(gradients))


def _leaves(module: Module) -> dict[str, Node]:
    return {name: param(name, spec.type.dims) for name, spec in module.params.items()}


def _outputs(module: Module, weights: Mapping[str, Node], t: int) -> Mapping[str, Node]:
    names = [value.name for value in module.outputs]
    nodes = _at([value.node for value in module.outputs], module, weights, t, None)
    return MappingProxyType(dict(zip(names, nodes, strict=True)))


def _at(
    roots: Sequence[Node], module: Module, weights: Mapping[str, Node], t: int, data: int | None
) -> tuple[Node, ...]:
    """Return graphs with the weights of step t, its data, and random draws of its own."""
    mapping = {leaf: weights[name] for name, leaf in _leaves(module).items()}
    for node in walk(roots) if data is not None else ():
        if node.op is INPUT:
            fresh = module.inputs[node.attrs["name"]].role == "noise"
            mapping[node] = make(INPUT, **{**node.attrs, "step": t if fresh else data})
        elif node.op is BERNOULLI:
            mapping[node] = make(BERNOULLI, **{**node.attrs, "step": t})
    return replace(roots, mapping)


def _trainable_gradients(
    module: Module,
    plan: Mapping[str, Settings | None],
    weights: Mapping[str, Node],
    gradients: Mapping[str, Node],
) -> dict[str, Node]:
    """Return the gradients with respect to w: clipped, and with coupled weight decay."""
    multiplier = {name: module.params[name].multiplier for name in plan}
    raw = {name: scale(node, multiplier[name]) for name, node in gradients.items()}
    result = {}
    for name, chosen in plan.items():
        if chosen is None:
            continue
        node = raw[name]
        if chosen.clip is not None:
            node = multiply(clip_factor(_square_norm(raw, chosen.group), chosen.clip), node)
        if not chosen.optimizer.decoupled:
            w = scale(weights[name], Coefficient.of(1) / multiplier[name])
            node = add(node, scale(w, chosen.decay))
        result[name] = node
    return result


def _square_norm(gradients: Mapping[str, Node], group: tuple[str, ...]) -> Node:
    squares = [
        total(power(gradients[name], Fraction(2)), tuple(range(gradients[name].type.rank)))
        for name in group
    ]
    result = squares[0]
    for square in squares[1:]:
        result = add(result, square)
    return result


def _moved(
    module: Module, name: str, chosen: Settings | None, weight: Node, history: Sequence[Node]
) -> Node:
    """Return the effective weight after a step, ``W - mult n^-a * rate * direction``."""
    if chosen is None:
        return weight
    multiplier = module.params[name].multiplier
    w = scale(weight, Coefficient.of(1) / multiplier)
    direction = chosen.optimizer.symbolic(history, w, chosen.options)
    result = add(weight, scale(direction, -(chosen.rate * multiplier)))
    if chosen.optimizer.decoupled:
        result = add(result, scale(weight, -(chosen.rate * chosen.decay)))
    return result
