"""Kernels of finite networks, to compare limits with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tpc.diagnostics import Diagnostic, TpcError
from tpc.differentiate import gradient
from tpc.exact import Coefficient
from tpc.ir.node import Node
from tpc.ops.batch import couples_samples, two_batches
from tpc.ops.input import input_
from tpc.ops.literal import Table, literal
from tpc.ops.param import param
from tpc.ops.rate import step_coefficient
from tpc.ops.scale import numeric
from tpc.simulate.checks import check_exponents, check_width
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.training import Network

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array


@dataclass(frozen=True, repr=False)
class EmpiricalKernel:
    """Kernels of random networks: ``samples`` is (seeds, N, N2, axes of f, axes of f)."""

    kind: str
    width: int
    samples: Array

    @property
    def mean(self) -> Array:
        """The average over seeds."""
        result: Array = self.samples.mean(axis=0)
        return result

    @property
    def error(self) -> Array:
        """The standard error of the average."""
        count = len(self.samples)
        result: Array = self.samples.std(axis=0, ddof=1) / count**0.5
        return result

    def __repr__(self) -> str:
        seeds, *shape = self.samples.shape
        return f"<EmpiricalKernel {self.kind} {tuple(shape)}, width {self.width}, {seeds} seeds>"


def empirical_kernel(
    module: Module,
    data: Mapping[str, Any],
    data2: Mapping[str, Any] | None = None,
    *,
    width: int,
    kind: Literal["nngp", "ntk"] = "nngp",
    seeds: Iterable[int] = range(16),
) -> EmpiricalKernel:
    """Return a kernel of the output f at initialisation, for each seed.

    * ``nngp``: ``f(x) f(x')``, whose mean over seeds is the second moment;
    * ``ntk``: ``sum over weights that move of rate_W <df(x)/dW, df(x')/dW>`` with
      ``rate_W = mult^2 n^(-2a - c)``, times the param's own learning rate over the optimizer's.

    All pairs of output coordinates are kept. Where samples depend on each other (batch norm over
    the data), ``data`` are one batch: the kernel is that of the batch, and ``data2`` is refused.

    Raises:
        TpcError: data or width do not fit the program.
    """
    import numpy as np

    check_width(module, width)
    check_exponents(module)
    if data2 is not None and couples_samples(module):
        raise two_batches()
    names = inputs_of(module, [module.output.node])
    sides = [checked(module, each, names, width) for each in (data, data2) if each is not None]
    samples = []
    for seed in seeds:
        network = Network(module, width, int(seed))
        found = [0.0]
        for weight, features in _features(network, sides, kind):
            left, right = features[0], features[-1]
            found.append(weight * np.einsum("ncp,mdp->nmcd", left, right, optimize=True))
        gram = np.asarray(sum(found))
        axes = network.module.output.node.type.shape(width, 1)[1:]
        samples.append(gram.reshape(*gram.shape[:2], *axes, *axes))
    return EmpiricalKernel(kind, width, np.stack(samples))


def _features(
    network: Network, sides: list[tuple[dict[str, Array], int]], kind: str
) -> Iterator[tuple[float, list[Array]]]:
    """Yield (weight, features of each side): arrays (N, coordinates of f, features)."""
    output = network.module.output.node
    if kind == "nngp":
        yield 1.0, [_values(network, [output], *side).transpose(0, 2, 1) for side in sides]
        return
    for name in _moving(network.module):
        if couples_samples(network.module):
            yield _rate(network, name), [_coupled(network, output, name, *side) for side in sides]
            continue
        roots = _jacobian(network, output, name)
        yield _rate(network, name), [_values(network, roots, *side) for side in sides]


def _coupled(
    network: Network, output: Node, name: str, data: dict[str, Array], count: int
) -> Array:
    """Return the gradients of every output of a batch whose samples depend on each other."""
    import numpy as np

    shape = _shape(network, output)
    leaf = param(name, network.module.params[name].type.dims)
    seed = input_("<seed>", output.type.dims)
    (root,) = gradient(output, [leaf], seed=seed)
    places = int(np.prod(shape, dtype=int))
    rows = []
    for k in range(count * places):
        given = {"<seed>": (np.arange(count * places) == k).astype(float).reshape(count, *shape)}
        rows.append(network.evaluate([root], {**data, **given}, count)[0].ravel())
    return np.stack(rows).reshape(count, places, -1)


def _values(network: Network, roots: list[Node], data: dict[str, Array], count: int) -> Array:
    """Return the values of ``roots``, flattened: (N, roots, entries)."""
    import numpy as np

    found = network.evaluate(roots, data, count)
    full = [
        array if root.type.batched else np.broadcast_to(array, (count, *array.shape))
        for array, root in zip(found, roots, strict=True)
    ]
    return np.stack([array.reshape(count, -1) for array in full], axis=1)


def _jacobian(network: Network, output: Node, name: str) -> list[Node]:
    """Return the gradient of each coordinate of the output with respect to a weight."""
    shape = _shape(network, output)
    count = 1
    for extent in shape:
        count *= extent
    leaf = param(name, network.module.params[name].type.dims)
    seeds = [literal(Table.of(shape, [float(k == c) for k in range(count)])) for c in range(count)]
    return [gradient(output, [leaf], seed=seed, per_sample=True)[0] for seed in seeds]


def _shape(network: Network, output: Node) -> tuple[int, ...]:
    if output.type.sort:
        raise TpcError(
            Diagnostic("E0927", "the tangent kernel of an output with a width axis is not measured")
        )
    return output.type.shape(network.width, 1)[1:]


def _moving(module: Module) -> tuple[str, ...]:
    if module.loss is not None:
        return module.trained
    return tuple(name for name, spec in module.params.items() if not spec.frozen)


def _rate(network: Network, name: str) -> float:
    spec = network.module.params[name]
    coefficient = step_coefficient(spec)
    line = network.module.optimizer_of(name)
    if spec.rate is not None:
        lr = line.options.get("lr") if line is not None else None
        base = lr if isinstance(lr, Coefficient) else Coefficient.of(1)
        coefficient = coefficient * Coefficient(spec.rate) / base
    return numeric(coefficient, network.width)
