"""Training in the limit, as the user asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.checkpoint import EVERY, Checkpoint, Which, digest_of
from tpc.feature.degrees import rule_sizes
from tpc.feature.draws import Draws
from tpc.feature.equations import Readable
from tpc.feature.memory import fitting
from tpc.feature.network import FeatureNetwork, coupled
from tpc.feature.nodes import Nodes
from tpc.feature.plan import Method, dtype_of, method
from tpc.feature.project import rotations
from tpc.feature.record import recorded
from tpc.feature.result import Run, gathered
from tpc.feature.sizes import Sizes
from tpc.feature.space import Full, Gaussians, Particles, Space, TooFew
from tpc.feature.threads import (
    Stopped,
    single_threaded_products,
    termination_interrupts,
    together,
)
from tpc.ops.base import MissingRule
from tpc.simulate.checks import check_batches, check_exponents
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.training import output_roots, training_roots

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array

#: Standard error of the outputs that is aimed at where no tolerance is given.
TOLERANCE = 0.0025
REPLICATES = 8
_FIRST = 2048
_MOST = 2**17
_BEYOND = 16

Progress = Callable[[int, int], None]


def feature_limit(module: Module) -> FeatureLimit:
    """Return the infinite-width limit of a program's training, features included."""
    return FeatureLimit(module)


class FeatureLimit(Readable):
    """The limit of a training run (TP4): a program in which features may move.

    ``method`` says how it is evaluated: see :mod:`tpc.feature.plan`.
    """

    def __init__(self, module: Module) -> None:
        check_exponents(module)
        self.module = module
        self.outputs = output_roots(module)
        self._steps = _rules(training_roots, module)
        self.method: Method = method(module, (*self._steps, *self.outputs.values()))

    def train(
        self,
        data: Mapping[str, Any],
        steps: int,
        *,
        test: Mapping[str, Any] | None = None,
        batches: Sequence[Any] | None = None,
        tolerance: float | None = None,
        particles: int | None = None,
        replicates: int = REPLICATES,
        record: Sequence[str] = (),
        seed: int = 0,
        precision: str = "double",
        progress: Progress | None = None,
        checkpoint: str | Path | None = None,
        save_every: float = EVERY,
    ) -> Run:
        """Train for ``steps`` steps and return the outputs at the test points after each.

        ``data`` has an array (N, axes) for every input and target, ``test`` the points of
        interest (by default those of ``data``). Every step sees all samples, or those of
        ``batches[step]`` (0-based). ``tolerance`` bounds the standard error of every output
        (absolute); ``particles`` fixes the number of samples of Z of each of the independent
        ``replicates`` instead. Linear programs need neither: their limit is exact. ``record``
        names values with a width axis whose kernels E[Z Z'] at the test points are kept.
        ``precision`` "single" takes half of the time where a program has no initial matrices; sums
        over samples are then right to some 1e-6 of their terms.
        ``progress`` is called with the steps done and their total. The state is kept in the file
        ``checkpoint`` every so many seconds, and after the step under way when the run is
        interrupted (Ctrl-C, SIGTERM; the KeyboardInterrupt names the file): the same request
        continues from there, with the same result. The file is removed in the end.

        Raises:
            TpcError: data or request do not fit the program, it has no deterministic limit here,
                an op has no rule, or the run would not fit into memory (with the figure).
        """
        request = _Request(self, data, steps, test, batches, seed, progress, record)
        path = None if checkpoint is None else Path(checkpoint)
        request.dtype = dtype_of(precision, self.method)
        request.keep_in(path, save_every, (tolerance, particles, replicates, precision))
        try:
            with termination_interrupts() if path is not None else nullcontext():
                run = self._run(request, tolerance, particles, replicates)
        except KeyboardInterrupt as stop:
            if path is None or not path.exists():
                raise
            kept = f"the state is in {path}, from which the same request continues"
            raise KeyboardInterrupt(kept) from stop
        request.saved.remove()
        return run

    def _run(
        self, request: _Request, tolerance: float | None, particles: int | None, replicates: int
    ) -> Run:
        if self.method == "linear":
            return request.exact()
        if particles is not None:
            return request.fixed(particles, max(1, replicates))
        rule = request.rule()
        if rule is not None:
            return request.by_rule(rule)
        return request.within(tolerance or TOLERANCE, max(2, replicates))

    def __repr__(self) -> str:
        return f"<FeatureLimit, evaluated by {self.method}>"


class _Request:
    """A checked request."""

    def __init__(
        self,
        limit: FeatureLimit,
        data: Mapping[str, Any],
        steps: int,
        test: Mapping[str, Any] | None,
        batches: Sequence[Any] | None,
        seed: int,
        progress: Progress | None,
        record: Sequence[str],
    ) -> None:
        self.limit, self.module, self.steps = limit, limit.module, steps
        self.seed, self.progress, self.dtype = seed, progress, np.dtype(float)
        self.roots = tuple(limit.outputs.values())
        self.recorded = recorded(limit.module, record)
        points, what = (data, "data") if test is None else (test, "test data")
        names = inputs_of(self.module, (*self.roots, *self.recorded.values()))
        self.points, self.count = checked(self.module, points, names, 1, what)
        self.data, self.batches, self.largest = self._training(data, batches)
        self._rotate()

    def keep_in(self, path: Path | None, every: float, sizes: tuple[Any, ...]) -> None:
        """Keep the run's state in a file, and continue what is there."""
        asked = (self.steps, self.seed, sorted(self.recorded), sizes)
        given = (
            self.data,
            self.points,
            [str(b) if isinstance(b, slice) else b for b in self.batches],
        )
        digest = "" if path is None else digest_of(self.module, (asked, given))
        self.saved = Checkpoint(path, digest, every)

    def _training(
        self, data: Mapping[str, Any], batches: Sequence[Any] | None
    ) -> tuple[dict[str, Array], list[Any], int]:
        loss = self.module.loss
        if not self.steps:
            return {}, [], 1
        if loss is None:
            raise TpcError(Diagnostic("E0927", "this program has no train: block, so no steps"))
        arrays, count = checked(self.module, data, inputs_of(self.module, [loss]), 1)
        if batches is None:
            return arrays, [slice(None)] * self.steps, count
        check_batches(batches, self.steps, count)
        chosen = [np.asarray(batch) for batch in batches[: self.steps]]
        return arrays, chosen, max(len(batch) for batch in chosen)

    def _rotate(self) -> None:
        """Give the data in coordinates of their span where the program cannot tell."""
        loss, *found = self.limit._steps or (None,)
        gradients = dict(zip(self.module.trained, found, strict=True)) if loss is not None else {}
        sets = [self.data or self.points, self.points]
        watched = (*self.roots, *self.recorded.values())
        self.extents: dict[tuple[str, int], int] = {}
        for rotation in rotations(self.module, watched, gradients, loss, sets):
            self.data = rotation.applied(self.data)
            self.points = rotation.applied(self.points)
            self.extents |= dict.fromkeys(rotation.params, len(rotation.basis))
        self.sizes = Sizes(
            self.module, self.limit._steps, self.roots, self.steps, self.largest, self.extents
        )

    # -- ways to evaluate --------------------------------------------------------------------------

    def exact(self) -> Run:
        """Evaluate a linear program with as many Gaussians as it turns out to need."""
        size = self.sizes.exact()
        while True:
            try:
                found = self._replicates(size, range(1), partial(_gaussians, size))
            except Full as full:
                size = 2 * full.needed
                continue
            return gathered(self.module, found, self.limit.method, size)

    def rule(self) -> list[int] | None:
        """Return the points for each Gaussian of a product rule that is exact, if there is one."""
        if self.limit.method != "quasi":
            return None
        counts = self.sizes.gaussians()
        watched = self.roots, tuple(self.recorded.values())
        points = rule_sizes(self.module, self.steps, self.limit._steps, *watched, counts)
        if points is None:
            return None
        return [points[name] for name, count in counts.items() for _ in range(count)]

    def by_rule(self, rule: Sequence[int]) -> Run:
        """Evaluate polynomials of Gaussians by a rule that is exact."""
        size = int(np.prod(rule, dtype=np.int64))
        found = self._replicates(size, range(1), lambda _: Nodes(rule))
        return gathered(self.module, found, "polynomial", size)

    def sampled(self, particles: int, replicates: int) -> Run:
        """Evaluate independent replicates of a given number of particles."""
        found = self._particles(particles, range(replicates))
        return gathered(self.module, found, self.limit.method, particles)

    def _particles(self, particles: int, numbers: range) -> list[Any]:
        quasi = self.sizes.quasi()

        def space(replicate: int) -> Space:
            draws = Draws(self.seed * 1_000_003 + replicate, quasi)
            return Particles(particles, draws, dtype=self.dtype)

        return self._replicates(particles, numbers, space)

    def _replicates(self, size: int, numbers: range, space: Callable[[int], Space]) -> list[Any]:
        """Return outputs and losses of independent replicates, those that are saved as saved."""
        workers = min(len(numbers), os.cpu_count() or 1)
        needs = self.sizes.needs(size)
        chunk = fitting(needs, self.count, coupled(self.roots), workers)
        self._done, self._total = 0, len(numbers) * self.steps
        making, self._stop = Lock(), Event()

        def one(replicate: int) -> Any:
            which = (size, replicate)
            result = self.saved.finished(which)
            if result is None:
                with making:  # graphs are made by one thread at a time
                    network = self._network(space(replicate))
                result = self._train(network, chunk, which)
                self.saved.finish(which, result)
            else:
                self._done += self.steps
            return result

        with single_threaded_products():
            return together(one, numbers, workers, self._stop)

    def fixed(self, particles: int, replicates: int) -> Run:
        """Evaluate with a number of particles that the user asks for."""
        try:
            return self.sampled(particles, replicates)
        except TooFew as few:
            raise TpcError(
                Diagnostic(
                    "E0953",
                    f"{particles} particles are too few for this many steps and samples: "
                    f"take at least {few.needed}",
                )
            ) from few

    def within(self, tolerance: float, replicates: int) -> Run:
        """Evaluate with more and more particles, until the error bar is below ``tolerance``."""
        particles = _FIRST
        while True:
            try:
                run = self._topped_up(particles, replicates, tolerance)
            except TooFew as few:
                particles = 2 ** int(np.ceil(np.log2(2 * few.needed)))
                continue
            worst = float(np.nanmax(run.error, initial=0.0))
            if worst <= tolerance or not np.isfinite(run.f).all():
                return run
            # errors fall like 1/sqrt(M), or faster where points are quasi-random
            wanted = int(particles * max(2.0, 1.3 * (worst / tolerance) ** 2))
            particles = min(2 ** (wanted - 1).bit_length(), 16 * particles, _MOST)
            if particles == run.particles or wanted > _BEYOND * _MOST:
                raise TpcError(
                    Diagnostic(
                        "E0953",
                        f"a standard error of {tolerance:g} would need about {wanted:,} "
                        f"particles (it is {worst:.2g} with {run.particles})",
                        help="allow a larger tolerance, or more replicates",
                    )
                )

    def _topped_up(self, particles: int, replicates: int, tolerance: float) -> Run:
        """Evaluate with so many particles, and with more replicates where a few more will do."""
        found = self._particles(particles, range(replicates))
        run = gathered(self.module, found, self.limit.method, particles)
        share = 1.2 * float(np.nanmax(run.error, initial=0.0) / tolerance) ** 2
        if 1.2 < share < 3.0:
            found += self._particles(particles, range(replicates, int(replicates * share) + 1))
            run = gathered(self.module, found, self.limit.method, particles)
        return run

    def _network(self, space: Space) -> FeatureNetwork:
        made: FeatureNetwork = _rules(
            FeatureNetwork, self.module, space, self.steps, self.seed, self.extents
        )
        return made

    def _train(self, network: FeatureNetwork, chunk: int, which: Which) -> Any:
        """Return outputs (steps + 1, N_test, axes) by name and losses; NaN after divergence."""
        saved = self.saved.resume(which, network)
        path, losses = saved or ([self._predict(network, chunk)], np.full(self.steps, np.nan))
        self._done += len(path) - 1
        for step in range(len(path) - 1, self.steps):
            batch = self.batches[step]
            rows = {name: array[batch] for name, array in self.data.items()}
            count = len(next(iter(rows.values()))) if rows else 1
            try:
                with np.errstate(all="ignore"):
                    losses[step] = _rules(network.step, rows, count)
                    path.append(self._predict(network, chunk))
            except (np.linalg.LinAlgError, FloatingPointError):
                break  # infinite or undefined numbers: the run has diverged
            self._done += 1
            self.saved.keep(which, network, path, losses, now=self._stop.is_set())
            if self._stop.is_set():
                raise Stopped
            if self.progress is not None:
                self.progress(self._done, self._total)
        missing = self.steps + 1 - len(path)
        path += [{name: np.full(a.shape, np.nan) for name, a in path[0].items()}] * missing
        return {name: np.stack([each[name] for each in path]) for name in path[0]}, losses

    def _predict(self, network: FeatureNetwork, chunk: int) -> dict[Any, Array]:
        parts = []
        for start in range(0, self.count, chunk):
            rows = {name: array[start : start + chunk] for name, array in self.points.items()}
            count = min(chunk, self.count - start)
            found = _rules(network.predict, self.roots, rows, count, start)
            parts.append(
                [
                    _spread(a, root.type.batched, count)
                    for a, root in zip(found, self.roots, strict=True)
                ]
            )
        result: dict[Any, Array] = {
            name: np.concatenate([part[k] for part in parts])
            for k, name in enumerate(self.limit.outputs)
        }
        if self.recorded:
            nodes = tuple(self.recorded.values())
            kernels = _rules(network.kernels, nodes, self.points, self.count)
            keys = [(name, "kernel") for name in self.recorded]
            result |= dict(zip(keys, kernels, strict=True))
        return result


def _gaussians(size: int, replicate: int) -> Space:
    return Gaussians(size)


def _spread(array: Array, batched: bool, count: int) -> Array:
    return array if batched else np.broadcast_to(array, (count, *array.shape))


def _rules(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a stage; a rule that is missing becomes a message for the user."""
    try:
        return function(*arguments)
    except MissingRule as missing:
        raise TpcError(Diagnostic("E0952", str(missing))) from missing
