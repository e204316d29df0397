"""How large named values are at finite width, and how far training moves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.simulate.checks import check_exponents, check_memory, check_width
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.training import Network, training_roots

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.ops.base import Array

#: A change of less than this share of a value is rounding, not training.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Sizes:
    """Root mean squares over coordinates and points of one network, by name."""

    initial: Mapping[str, float]
    change: Mapping[str, float]


def watched(module: Module) -> dict[str, Node]:
    """Return the values to measure: the outputs and the named scalars and vectors.

    Matrices are left out (a network never materialises them), and so are integers.
    """
    found: dict[Node, str] = {}
    for value in (*module.outputs, *module.values):
        if value.node.type.sort <= 1 and value.node.type.below is None:
            found.setdefault(value.node, value.name)
    return {name: node for node, name in found.items()}


class Probe:
    """A checked request to train networks of one program on one set of data.

    ``data`` are the samples of every step; ``test`` the points at which sizes are measured (the
    same samples by default).

    Raises:
        TpcError: the program has no training, its exponents no values, or the data do not fit.
    """

    def __init__(
        self, module: Module, data: Mapping[str, Any], test: Mapping[str, Any] | None = None
    ) -> None:
        check_exponents(module)
        self.module = module
        self.nodes = watched(module)
        self.outputs = frozenset(value.name for value in module.outputs)
        self.data, self.test = data, data if test is None else test

    def sizes(self, module: Module, width: int, steps: int, seed: int) -> Sizes:
        """Train one network of ``module`` (this program, at other rates) and measure it.

        Noise and dropout are drawn alike before and after, so that only training moves a value.

        Raises:
            TpcError: the width or the data do not fit the program.
        """
        check_width(module, width)
        nodes = tuple(self.nodes.values())
        data, samples = checked(module, self.data, inputs_of(module, training_roots(module)), width)
        points, count = checked(module, self.test, inputs_of(module, nodes), width, "test data")
        check_memory(module, training_roots(module), width, samples)
        network = Network(module, width, seed, steps)
        before = after = network.evaluate(nodes, points, count, -1)
        for _ in range(steps):
            network.step(data, samples)
        if steps:
            after = network.evaluate(nodes, points, count, -1)
        return _sizes(tuple(self.nodes), before, after)


def measured(
    module: Module,
    data: Mapping[str, Any],
    *,
    width: int,
    steps: int,
    seed: int = 0,
    test: Mapping[str, Any] | None = None,
) -> Sizes:
    """Return the sizes of one network, trained for ``steps`` steps on all samples of ``data``.

    Raises:
        TpcError: width or data do not fit the program.
    """
    return Probe(module, data, test).sizes(module, width, steps, seed)


def _sizes(names: tuple[str, ...], before: tuple[Array, ...], after: tuple[Array, ...]) -> Sizes:
    import numpy as np

    initial, change = {}, {}
    with np.errstate(all="ignore"):
        for name, old, new in zip(names, before, after, strict=True):
            initial[name] = _root_mean_square(old)
            moved = _root_mean_square(new - old)
            change[name] = 0.0 if moved <= ROUNDING * initial[name] else moved
    return Sizes(MappingProxyType(initial), MappingProxyType(change))


def _root_mean_square(array: Array) -> float:
    return float((array**2).mean() ** 0.5)
