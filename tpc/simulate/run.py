"""Several networks of one width, trained and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean
from tpc.ir.node import Node, walk
from tpc.ops.base import EvalContext
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.input import INPUT
from tpc.simulate.checks import check_batches, check_exponents, check_memory, check_width
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.execute import peak_entries
from tpc.simulate.simulation import Simulation
from tpc.simulate.training import Network, output_roots, training_roots

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array

#: Test points are evaluated in groups that keep about this many numbers alive (half a gigabyte).
ENTRIES_AT_ONCE = 2**26


def simulate(
    module: Module,
    data: Mapping[str, Any],
    *,
    width: int,
    steps: int = 0,
    test: Mapping[str, Any] | None = None,
    seeds: Iterable[int] = (0,),
    batches: Sequence[Any] | None = None,
    record: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Initialise and train networks of one width, and return what they compute.

    ``data`` has an array (N, axes) for every input and target; ``test`` the points at which outputs
    and recorded values are wanted (by default those of ``data``; targets are not needed there).
    Every step sees all samples, or those of ``batches[step]`` (0-based sample numbers; see
    :func:`tpc.simulate.minibatches`). ``record`` names values or weights to keep before and after
    training. Random numbers depend on the seed and on names only. ``progress`` is called with the
    number of steps done, over all seeds.

    Raises:
        TpcError: data, width or request do not fit the program; all faults of the data at once.
    """
    check_width(module, width)
    check_exponents(module)
    run = _Run(module, data, width, steps, test, batches, record)
    results, seeds = [], tuple(int(seed) for seed in seeds)
    for position, seed in enumerate(seeds):
        results.append(run.network(seed, progress, position * steps))
    if not results:
        raise TpcError(Diagnostic("E0927", "a simulation needs at least one seed"))
    return run.gather(seeds, results)


class _Run:
    """A checked request; it is run once for each seed."""

    def __init__(
        self,
        module: Module,
        data: Mapping[str, Any],
        width: int,
        steps: int,
        test: Mapping[str, Any] | None,
        batches: Sequence[Any] | None,
        record: Sequence[str],
    ) -> None:
        self.module, self.width, self.steps = module, width, steps
        self.outputs = output_roots(module)
        self.values, self.kept_weights = _recorded(module, record)
        watched = [*self.outputs.values(), *self.values.values()]
        self._read(data, test, watched)
        self.batches = self._training(batches)
        self.chunk = self._chunk(watched)
        check_memory(module, watched, width, self.chunk)

    def _read(
        self, data: Mapping[str, Any], test: Mapping[str, Any] | None, watched: Sequence[Node]
    ) -> None:
        """Check all arrays, and report the faults of all of them together."""
        module, loss = self.module, self.module.loss
        if self.steps and loss is None:
            raise TpcError(Diagnostic("E0927", "this program has no train: block, so no steps"))
        trained = [loss] if self.steps and loss is not None else []
        shown = inputs_of(module, watched)
        needed = inputs_of(module, [*trained, *([] if test is not None else watched)])
        faults: list[Diagnostic] = []
        found: dict[str, tuple[dict[str, Array], int]] = {}
        for what, arrays, names in (("data", data, needed), ("test data", test, shown)):
            if arrays is None:
                continue
            try:
                found[what] = checked(module, arrays, names, self.width, what)
            except TpcError as error:
                faults += error.diagnostics
        if faults:
            raise TpcError(faults)
        self.data, self.samples = found["data"]
        self.points, self.count = found["data" if test is None else "test data"]

    def _training(self, batches: Sequence[Any] | None) -> list[Any]:
        """Return the sample numbers of each step (None: all of them)."""
        if not self.steps:
            return []
        largest, chosen = self.samples, [None] * self.steps
        if batches is not None:
            check_batches(batches, self.steps, self.samples)
            chosen = list(batches[: self.steps])
            largest = max(len(batch) for batch in batches[: self.steps])
        check_memory(self.module, training_roots(self.module), self.width, largest)
        return chosen

    def _chunk(self, watched: Sequence[Node]) -> int:
        """Return how many points to evaluate at once: all where samples are not independent."""
        if any(_joint(self.module, node) for node in walk(watched)):
            return self.count
        one, two = (peak_entries(watched, EvalContext(self.width, count)) for count in (1, 2))
        return max(1, min(self.count, ENTRIES_AT_ONCE // max(two - one, 1)))

    def network(
        self, seed: int, progress: Callable[[int], None] | None, done: int
    ) -> dict[str, Any]:
        """Train one network; return its outputs, losses and records."""
        network = Network(self.module, self.width, seed, self.steps)
        before = self._watch(network, {**self.outputs, **self.values}, 0)
        kept = {name: network.weights[name] for name in self.kept_weights}
        path = {name: [before[name]] for name in self.outputs}
        losses = []
        after = before
        for step, batch in enumerate(self.batches, start=1):
            losses.append(self._step(network, batch))
            last = step == self.steps
            after = self._watch(
                network, {**self.outputs, **self.values} if last else self.outputs, step
            )
            for name in self.outputs:
                path[name].append(after[name])
            if progress is not None:
                progress(done + step)
        return {
            "outputs": path,
            "loss": losses,
            "initial": kept | {name: before[name] for name in self.values},
            "final": {name: network.weights[name] for name in self.kept_weights}
            | {name: after[name] for name in self.values},
        }

    def _step(self, network: Network, batch: Any) -> float:
        if batch is None:
            return network.step(self.data, self.samples)
        rows = {name: array[batch] for name, array in self.data.items()}
        return network.step(rows, len(batch))

    def _watch(self, network: Network, nodes: Mapping[str, Node], step: int) -> dict[str, Array]:
        """Return values at all test points, in groups."""
        import numpy as np

        groups: list[tuple[Array, ...]] = []
        for rows in self._groups():
            part = {name: array[rows] for name, array in self.points.items()}
            count = rows.stop - rows.start
            # draws for predictions are others than those of the training steps
            found = network.evaluate(tuple(nodes.values()), part, count, -1 - step)
            groups.append(
                tuple(
                    array if node.type.batched else np.broadcast_to(array, (count, *array.shape))
                    for array, node in zip(found, nodes.values(), strict=True)
                )
            )
        columns = zip(*groups, strict=True)
        return {name: np.concatenate(parts) for name, parts in zip(nodes, columns, strict=True)}

    def _groups(self) -> Iterator[slice]:
        for start in range(0, self.count, self.chunk):
            yield slice(start, min(start + self.chunk, self.count))

    def gather(self, seeds: tuple[int, ...], results: list[dict[str, Any]]) -> Simulation:
        """Return the results of all seeds as one."""
        import numpy as np

        outputs = {
            name: np.stack([np.stack(result["outputs"][name]) for result in results])
            for name in self.outputs
        }
        records = {
            which: {
                name: np.stack([result[which][name] for result in results])
                for name in (*self.kept_weights, *self.values)
            }
            for which in ("initial", "final")
        }
        return Simulation(
            self.width,
            seeds,
            outputs[self.module.output.name],
            np.array([result["loss"] for result in results], dtype=float),
            MappingProxyType(outputs),
            MappingProxyType(records["initial"]),
            MappingProxyType(records["final"]),
        )


def _recorded(module: Module, record: Sequence[str]) -> tuple[dict[str, Node], tuple[str, ...]]:
    known = {value.name: value.node for value in (*module.values, *module.outputs)}
    values: dict[str, Node] = {}
    weights = []
    for name in record:
        if name in known:
            values[name] = known[name]
        elif name in module.params:
            weights.append(name)
        else:
            hint = did_you_mean(name, [*known, *module.params])
            raise TpcError(
                Diagnostic("E0927", f"there is no value or weight `{name}` to record", help=hint)
            )
    return values, tuple(weights)


def _joint(module: Module, node: Node) -> bool:
    """Whether a node couples samples, or draws numbers that grouping would change."""
    if node.op is INPUT:
        return module.inputs[node.attrs["name"]].role == "noise"
    return node.op in (BATCH_MEAN, BATCH_SUM, PER_SAMPLE, BERNOULLI)
