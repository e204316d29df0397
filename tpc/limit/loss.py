"""A program's loss and optimizer as what moves its outputs under a fixed kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.differentiate import gradient
from tpc.exact import Affine, Coefficient
from tpc.ir.node import Node, walk
from tpc.limit.tangent import moved_params
from tpc.ops.base import EvalContext
from tpc.ops.fill import constant
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.optimizers.settings import settings
from tpc.simulate.data import inputs_of
from tpc.simulate.execute import execute

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings


class Loss:
    """A program's loss as a function of its outputs at the samples, by the program's own graph.

    Raises:
        TpcError: the program has no loss, or one that depends on weights other than through f.
    """

    def __init__(self, module: Module) -> None:
        if module.loss is None:
            raise TpcError(Diagnostic("E0927", "this program has no train: block, so no steps"))
        self.module, self.output = module, module.output.node
        (derivative,) = gradient(module.loss, [self.output])
        self._roots = (module.loss, derivative)
        above = list(_above(self._roots, self.output))
        self._check(above)
        leaves = [node for node in above if node.op is INPUT]
        self.inputs = inputs_of(module, leaves)

    @property
    def is_quadratic(self) -> bool:
        """Whether the derivative is affine in f: the second derivative does not mention f."""
        _, derivative = self._roots
        ones = constant(1, derivative.type.dims)
        (second,) = gradient(derivative, [self.output], seed=ones)
        return self.output not in set(walk([second]))

    def at(self, f: Array, data: Mapping[str, Array], step: int) -> tuple[float, Array]:
        """Return the loss and dL/df, (N, axes), at outputs f (N, axes)."""
        context = EvalContext(1, len(f), self.module.params, 0, step)
        above = _above(self._roots, self.output)
        bound: dict[Node, Array] = {
            node: data[node.attrs["name"]] for node in above if node.op is INPUT
        }
        bound[self.output] = f
        value, derivative = execute(self._roots, bound, context)
        return float(value), np.broadcast_to(derivative, f.shape)

    def _check(self, above: Sequence[Node]) -> None:
        why = None
        if self.output not in set(walk([self._roots[0]])):
            why = f"it does not read the output {self.module.output.name}"
        for node in above:
            coefficient = node.attrs.get("coefficient")
            if node.op is PARAM:
                why = f"it reads the weight {node.attrs['name']} other than through the output"
            elif isinstance(coefficient, Coefficient) and coefficient.power != Affine.of(0):
                why = "it multiplies by a power of the width"
            elif node.op is INPUT and self.module.inputs[node.attrs["name"]].role == "noise":
                why = "it reads random numbers"
        if why is not None:
            raise no_training(f"the loss is no function of the output alone: {why}")


def _above(roots: Sequence[Node], output: Node) -> Iterator[Node]:
    """Yield the nodes that are computed from the output, data and constants, without the output."""
    todo, seen = list(roots), {*roots, output}
    while todo:
        node = todo.pop()
        yield node
        for operand in node.operands:
            if operand not in seen:
                seen.add(operand)
                todo.append(operand)


def rule_of(module: Module) -> Settings:
    """Return the optimizer's settings that all weights share.

    Raises:
        TpcError: the weights have different ones, or the optimizer has no kernel regime.
    """
    found = [each for s in moved_params(module) if (each := settings(module, s.name)) is not None]
    lines = [module.optimizer_of(spec.name) for spec in moved_params(module)]
    rates = [None if line is None else line.options.get("lr") for line in lines]
    first, rate = found[0], rates[0]
    same = all(
        (each.optimizer, each.options, other) == (first.optimizer, first.options, rate)
        for each, other in zip(found, rates, strict=True)
    )
    if not same:
        raise no_training("the weights have optimizers that differ")
    if first.optimizer.kind != "linear":
        raise no_training(f"a step of {first.optimizer.name} is not linear in the gradients")
    if any(not each.decay.is_zero for each in found):
        raise no_training("weight decay moves the initial weights")
    if any(each.clip is not None for each in found):
        raise no_training("the norm of the gradients is bounded (clip)")
    if not isinstance(rate, Coefficient) or rate.power != Affine.of(0):
        raise no_training("the learning rate lr is no constant")
    return replace(first, rate=rate)  # the kernel has what is the weights' own


def no_training(why: str) -> TpcError:
    """Return the error that says why no fixed kernel governs the training."""
    return TpcError(
        Diagnostic(
            "E0967",
            f"{why}: no training under a fixed kernel",
            help="tpc simulate trains the program as it is, at finite widths",
        )
    )
