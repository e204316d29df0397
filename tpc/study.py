"""Studies over widths: the same program at several widths, and how its numbers scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.data import drawn_batches

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import Module
    from tpc.ir.node import Node
    from tpc.simulate import Simulation


@dataclass(frozen=True)
class Row:
    """One width of a study: root mean squares over test points, output axes and seeds."""

    width: int
    initial: float
    change: float
    first_loss: float
    last_loss: float
    distance: float | None = None


@dataclass(frozen=True)
class Study:
    """Simulations at several widths. ``against`` names the kernel that distances refer to."""

    simulations: tuple[Simulation, ...]
    rows: tuple[Row, ...]
    against: str | None = None

    def slope(self, column: str) -> float | None:
        """Return d log(column) / d log(width) by least squares (None where it is not defined)."""
        import numpy as np

        points = [(row.width, getattr(row, column)) for row in self.rows]
        points = [(w, v) for w, v in points if v is not None and np.isfinite(v) and v > 0]
        if len(points) < 2:
            return None
        widths, values = zip(*points, strict=True)
        return float(np.polyfit(np.log(widths), np.log(values), 1)[0])

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        columns = ("initial", "change", "distance")
        return {
            "schema": 1,
            "against": self.against,
            "rows": [_finite(vars(row)) for row in self.rows],
            "slopes": {name: self.slope(name) for name in columns},
        }


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with null for what is not a number: JSON has neither NaN nor infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def study(
    module: Module,
    data: Mapping[str, np.ndarray],
    *,
    widths: Sequence[int],
    seeds: Iterable[int],
    steps: int,
    test: Mapping[str, np.ndarray] | None = None,
    batch: int | None = None,
    limit: np.ndarray | None = None,
    against: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Study:
    """Simulate a program at several widths.

    ``batch`` draws minibatches of that size (all samples by default). ``limit`` is the limit of
    the kernel ``against`` ("nngp" or "ntk") on the test points: each row then has the relative
    Frobenius distance of the mean over seeds of the empirical kernel to it. ``progress`` is called
    with the width's number and the steps done.

    Raises:
        TpcError: widths or data do not fit the program.
    """
    from tpc.simulate import simulate

    seeds = tuple(seeds)
    batches = drawn_batches(data, batch, steps)
    simulations, rows = [], []
    for number, width in enumerate(widths):
        done = None if progress is None else _numbered(progress, number)
        simulation = simulate(
            module,
            data,
            width=width,
            steps=steps,
            test=test or None,
            seeds=seeds,
            batches=batches,
            progress=done,
        )
        distance = None
        if limit is not None and against is not None:
            distance = _distance(module, test or data, width, seeds, against, limit)
        simulations.append(simulation)
        rows.append(_row(simulation, distance))
    return Study(tuple(simulations), tuple(rows), against)


def _numbered(progress: Callable[[int, int], None], number: int) -> Callable[[int], None]:
    return lambda done: progress(number, done)


def _row(simulation: Simulation, distance: float | None) -> Row:
    import numpy as np

    f, loss = simulation.f, simulation.loss
    return Row(
        width=simulation.width,
        initial=float(np.sqrt((f[:, 0] ** 2).mean())),
        change=float(np.sqrt(((f[:, -1] - f[:, 0]) ** 2).mean())),
        first_loss=float(loss[:, 0].mean()) if loss.size else float("nan"),
        last_loss=float(loss[:, -1].mean()) if loss.size else float("nan"),
        distance=distance,
    )


def _distance(
    module: Module,
    points: Mapping[str, np.ndarray],
    width: int,
    seeds: tuple[int, ...],
    against: str,
    limit: np.ndarray,
) -> float:
    import numpy as np

    from tpc.simulate import empirical_kernel

    kind: Any = against
    mean = empirical_kernel(module, points, width=width, kind=kind, seeds=seeds).mean
    mean = _per_coordinate(mean, limit.ndim)
    return float(np.linalg.norm(mean - limit) / np.linalg.norm(limit))


def _per_coordinate(kernel: np.ndarray, ndim: int) -> np.ndarray:
    """Average the diagonal over pairs of output axes that the limit drops (i.i.d. copies)."""
    import numpy as np

    while kernel.ndim > ndim:
        half = (kernel.ndim - 2) // 2
        kernel = np.diagonal(kernel, axis1=2, axis2=2 + half).mean(axis=-1)
    return kernel


def random_data(module: Module, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs and targets of the program's shapes, for a look without data.

    Real inputs are Gaussian with unit mean square norm along their last axis (standard normal over
    the square root of its size), so that an input layer with entries of order one gives values of
    order one. Integers are uniform. Targets fit the loss where the graph shows it (see
    :func:`target_kinds`): one-hot rows for a cross-entropy, zeros and ones for a logistic loss,
    standard normal otherwise.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    kinds = target_kinds(module)
    arrays: dict[str, np.ndarray] = {}
    for name, spec in module.inputs.items():
        if spec.role == "noise":
            continue
        shape = (count, *(int(dim.count) for dim in spec.type.dims))
        below = spec.type.below
        if below is not None:
            arrays[name] = random.integers(1, below + 1, shape)
        elif kinds.get(name) == "probabilities":
            arrays[name] = np.eye(shape[-1])[random.integers(0, shape[-1], shape[:-1])]
        elif kinds.get(name) == "binary":
            arrays[name] = random.integers(0, 2, shape).astype(float)
        else:
            norm = shape[-1] if spec.role == "input" and len(shape) > 1 else 1
            arrays[name] = random.standard_normal(shape) / norm**0.5
    return arrays


def target_kinds(module: Module) -> dict[str, str]:
    """Return which targets must be "probabilities" or "binary", read off the loss.

    A target that multiplies a log-softmax is a row of probabilities; one that multiplies what a
    softplus is applied to is a label 0 or 1. Indexing and constant factors are seen through. Other
    losses take any real target.
    """
    from tpc.ir.node import walk

    nodes = list(walk([module.loss])) if module.loss is not None else []
    logits = {
        _plain(node.operands[0])
        for node in nodes
        if node.op.name == "apply" and node.attrs["activation"].name == "softplus"
    }
    found: dict[str, str] = {}
    for node in nodes:
        for target, other in _products(node):
            name = target.attrs["name"]
            if module.inputs[name].role != "target":
                continue
            if _is_log_softmax(other):
                found[name] = "probabilities"
            elif _plain(other) in logits:
                found[name] = "binary"
    return found


def _products(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield (input, other operand) of an elementwise product with an input."""
    if node.op.name == "multiply":
        for one, other in (node.operands, node.operands[::-1]):
            if _plain(one).op.name == "input":
                yield _plain(one), other


def _plain(node: Node) -> Node:
    """Return what a value is before constants multiply it and parts are taken of it."""
    while node.operands and (node.op.transparent or node.op.name == "scale"):
        node = node.operands[0]
    return node


def _is_log_softmax(node: Node) -> bool:
    node = _plain(node)
    parts = [_unrepeated(operand) for operand in node.operands]
    return node.op.name == "add" and any(part.op.name == "logsumexp" for part in parts)


def _unrepeated(node: Node) -> Node:
    node = _plain(node)
    return _plain(node.operands[0]) if node.op.name == "repeat" else node
