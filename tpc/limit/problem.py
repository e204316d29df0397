"""Training under a tangent kernel on given data: kernels, starts, and paths of gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tpc.conditional.routes import require_fixed
from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.memory import require
from tpc.limit.layout import layout
from tpc.limit.lengths import given, joined
from tpc.simulate.data import checked

if TYPE_CHECKING:
    from tpc.limit.limit import Limit
    from tpc.limit.loss import Loss
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings


#: Where f starts: a draw of its Gaussian process, the mean over draws, or given values at the
#: training and at the test points.
Start = Literal["draw", "mean"] | tuple[Any, Any]
DRAWS = 256


class Problem:
    """Kernels at the data: training points first, test points after them."""

    def __init__(
        self,
        limit: Limit,
        data: Mapping[str, Any],
        test: Mapping[str, Any] | None,
        loss: Loss | None,
        tolerance: float,
    ) -> None:
        require_fixed(limit)
        module, names = limit.module, list(limit.inputs)
        targets = [] if loss is None else loss.inputs
        own, self.count = given(limit, data)
        others = [name for name in targets if name not in names]
        found, count = checked(module, data, others, 1) if others else ({}, self.count)
        if count != self.count:
            said = f"the data have {self.count} samples but {count} targets"
            raise TpcError(Diagnostic("E0922", said))
        self.data = {**own, **found}
        self.tolerance, self.tested = tolerance, test is not None
        self.layout = layout(module)
        self._axes = self.layout.axes
        train = {name: self.data[name] for name in names}
        self._all = train
        blocks = []
        if test is not None:
            found, more = given(limit, test, "test data")
            self._all = {name: joined(train[name], found[name]) for name in names}
        else:
            more = 0
        self.total = self.count + more
        require(
            8 * self.layout.inner**2 * self.total * (2 * self.count + 4 * self.total),
            f"kernels of {self.count} training and {more} test points need",
            "take fewer points",
        )
        if loss is not None:
            blocks.append(limit.evaluate(train, tolerance=tolerance))
            if test is not None:
                blocks.append(limit.evaluate(found, train, tolerance=tolerance))
            self.kernel = self.layout.matrix(np.concatenate(blocks))

    # -- where f starts ----------------------------------------------------------------------------

    def zeros(self) -> Array:
        """Return outputs of zero at all points."""
        return np.zeros((self.total, *self._axes))

    def joined(self, start: tuple[Any, Any]) -> Array:
        """Return given outputs at the training and test points as one array."""
        parts = [np.asarray(part, dtype=float) for part in start[: 1 + self.tested]]
        result = np.concatenate(parts)
        if result.shape != (self.total, *self._axes):
            raise TpcError(
                Diagnostic(
                    "E0922",
                    f"the outputs to start from have shape {result.shape}, "
                    f"expected {(self.total, *self._axes)}",
                    help="give those at the training points and those at the test points",
                )
            )
        return result

    def drawn(self, nngp: Limit, seed: int, draws: int) -> tuple[Iterator[Array], int]:
        """Return draws of the Gaussian process at all points jointly, and how many they are."""
        if nngp.vanishes:
            return iter([self.zeros()]), 1
        gram = self.layout.matrix(nngp.evaluate(self._all, tolerance=self.tolerance))
        values, vectors = np.linalg.eigh((gram + gram.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        copies = self.layout.copies

        def each() -> Iterator[Array]:
            for number in range(draws):
                random = np.random.default_rng([seed, number])
                yield self.layout.outputs(root @ random.standard_normal((len(root), copies)))

        return each(), draws

    # -- training ----------------------------------------------------------------------------------

    def path(
        self,
        start: Array,
        rows: Sequence[Any],
        loss: Loss | None,
        rule: Settings | None,
        progress: Callable[[int], None] | None,
    ) -> tuple[Array, Array]:
        """Return f (steps + 1, N_test, axes) and the losses (steps,) from one start."""
        f, state = start, {} if rule is None else rule.optimizer.start(start.shape)
        path, losses = [self._shown(f)], np.empty(len(rows))
        for step, batch in enumerate(rows):
            assert loss is not None
            assert rule is not None
            data = {name: self.data[name][batch] for name in loss.inputs}
            losses[step], slope = loss.at(f[batch], data, step + 1)
            full = np.zeros((self.count, *self._axes))
            np.add.at(full, batch, slope)
            with np.errstate(all="ignore"):  # a rate that is too large: infinities are the answer
                pull = self.layout.outputs(self.kernel @ self.layout.columns(full))
                options = {key: each.constant.value for key, each in rule.options.items()}
                direction, state = rule.optimizer.direction(pull, f, state, step + 1, options)
                f = f - rule.rate.constant.value * direction
            path.append(self._shown(f))
            if progress is not None:
                progress(step + 1)
        return np.stack(path), losses

    def _shown(self, f: Array) -> Array:
        return f[self.count :] if self.tested else f


def starts_of(
    problem: Problem,
    loss: Loss | None,
    nngp: Callable[[], Limit],
    start: Start,
    draws: int,
    seed: int,
) -> tuple[Iterator[Array], int]:
    """Return where f starts, one or several times, and how many times."""
    if isinstance(start, tuple):
        return iter([problem.joined(start)]), 1
    if start == "mean" and (loss is None or loss.is_quadratic):
        return iter([problem.zeros()]), 1  # the mean of affine maps of f_0
    return problem.drawn(nngp(), seed, 1 if start == "draw" else draws)


def mean_of(paths: Array) -> tuple[Array, Array]:
    """Return the mean over starts with its standard error (zero for one)."""
    spread = paths.std(axis=0, ddof=1) if len(paths) > 1 else np.zeros(paths.shape[1:])
    return paths.mean(axis=0), spread / len(paths) ** 0.5
