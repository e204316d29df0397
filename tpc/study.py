"""Studies over widths: the same program at several widths, and how its numbers scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import Module
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
            "rows": [vars(row) for row in self.rows],
            "slopes": {name: self.slope(name) for name in columns},
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
    from tpc.simulate import minibatches, simulate

    seeds = tuple(seeds)
    batches = None
    if batch is not None and steps:
        count = len(next(iter(data.values())))
        if not 1 <= batch <= count:
            raise TpcError(
                Diagnostic("E0914", f"batches of {batch} samples out of {count} in the data")
            )
        batches = minibatches(count, batch, steps)
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
    """Return random inputs and targets of the program's shapes, for a quick look without data.

    Real inputs are standard normal, integer inputs uniform, targets standard normal (one-hot rows
    where the loss is a cross-entropy makes no difference to scaling, so none is guessed).
    """
    import numpy as np

    random = np.random.default_rng(seed)
    arrays = {}
    for name, spec in module.inputs.items():
        if spec.role == "noise":
            continue
        shape = (count, *(int(dim.count) for dim in spec.type.dims))
        below = spec.type.below
        arrays[name] = (
            random.standard_normal(shape) if below is None else random.integers(1, below + 1, shape)
        )
    return arrays
