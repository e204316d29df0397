"""Training in the kernel regime, step by step, under the program's own loss and optimizer.

In the kernel regime the tangent kernel K stays what it is at initialisation, so that gradient
descent on the weights is gradient descent on the outputs (Jacot, Gabriel & Hongler 2018; Yang &
Littwin 2021, for any program):

    f_{t+1}(x) = f_t(x) - lr * sum_i K(x, x_i) dL/df_i.

K sums over the weights that move f at the program's exponents, and over no others. An optimizer
that is linear in the gradients acts on ``sum_i K(x, x_i) dL/df_i`` as it does on gradients. Before
training f is Gaussian with the NNGP covariance, or zero where that vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.differentiate import gradient
from tpc.exact import Affine, Coefficient
from tpc.feature.memory import require
from tpc.feature.result import Run
from tpc.ir.node import Node, walk
from tpc.limit import expressions as ex
from tpc.limit.kernels import moved_params, output_axes
from tpc.ops.base import EvalContext
from tpc.ops.fill import constant
from tpc.ops.input import INPUT
from tpc.ops.param import PARAM
from tpc.optimizers.settings import settings
from tpc.simulate.checks import check_batches
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.execute import execute

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.limit.limit import Limit
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings

#: Where f starts: a draw of its Gaussian process, the mean over draws, or given values at the
#: training and at the test points.
Start = Literal["draw", "mean"] | tuple[Any, Any]
DRAWS = 256


def descend(
    limit: Limit,
    nngp: Callable[[], Limit],
    data: Mapping[str, Any],
    steps: int,
    *,
    test: Mapping[str, Any] | None = None,
    batches: Sequence[Any] | None = None,
    start: Start = "draw",
    draws: int = DRAWS,
    seed: int = 0,
    tolerance: float = 1e-10,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Train under a tangent kernel: see :meth:`tpc.limit.limit.Limit.train`."""
    loss = Loss(limit.module) if steps else None
    rule = _rule(limit.module) if steps else None
    problem = _Problem(limit, data, test, loss, tolerance)
    rows = _rows(steps, problem.count, batches)
    if isinstance(start, tuple):
        starts: Iterator[Array] = iter([problem.joined(start)])
        total = 1
    elif start == "mean" and (loss is None or loss.is_quadratic):
        starts, total = iter([problem.zeros()]), 1  # the mean of affine maps of f_0
    else:
        starts, total = problem.drawn(nngp(), seed, 1 if start == "draw" else draws)
    paths, losses = [], []
    for number, first in enumerate(starts):
        shown = None if progress is None else _shown(progress, number * steps, total * steps)
        path, loss_path = problem.path(first, rows, loss, rule, shown)
        paths.append(path)
        losses.append(loss_path)
    return _gathered(limit.module.output.name, np.stack(paths), np.stack(losses))


def follow(
    limit: Limit,
    data: Mapping[str, Any],
    steps: int,
    starts: Iterable[tuple[Any, Any]],
    *,
    test: Mapping[str, Any] | None = None,
    batches: Sequence[Any] | None = None,
) -> Array:
    """Return f (starts, steps + 1, N_test, axes), from each of several given f_0."""
    loss = Loss(limit.module) if steps else None
    rule = _rule(limit.module) if steps else None
    problem = _Problem(limit, data, test, loss, 1e-10)
    rows = _rows(steps, problem.count, batches)
    return np.stack(
        [problem.path(problem.joined(each), rows, loss, rule, None)[0] for each in starts]
    )


def _shown(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)


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
            raise _no_training(f"the loss is no function of the output alone: {why}")


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


def _rule(module: Module) -> Settings:
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
        raise _no_training("the weights have optimizers that differ")
    if first.optimizer.kind != "linear":
        raise _no_training(f"a step of {first.optimizer.name} is not linear in the gradients")
    if any(not each.decay.is_zero for each in found):
        raise _no_training("weight decay moves the initial weights")
    if any(each.clip is not None for each in found):
        raise _no_training("the norm of the gradients is bounded (clip)")
    if not isinstance(rate, Coefficient) or rate.power != Affine.of(0):
        raise _no_training("the learning rate lr is no constant")
    return replace(first, rate=rate)  # the kernel has what is the weights' own


def _no_training(why: str) -> TpcError:
    return TpcError(
        Diagnostic(
            "E0967",
            f"{why}: no training under a fixed kernel",
            help="tpc simulate trains the program as it is, at finite widths",
        )
    )


class _Problem:
    """Kernels at the data: training points first, test points after them."""

    def __init__(
        self,
        limit: Limit,
        data: Mapping[str, Any],
        test: Mapping[str, Any] | None,
        loss: Loss | None,
        tolerance: float,
    ) -> None:
        module, names = limit.module, list(limit.inputs)
        targets = [] if loss is None else loss.inputs
        self.data, self.count = checked(module, data, [*names, *targets], 1)
        self.tolerance, self.tested = tolerance, test is not None
        self._kept, dropped = output_axes(module)
        dims = [int(dim.count) for dim in module.output.node.type.dims]
        self._axes = tuple(dims)
        self._sizes = [dims[axis] for axis in self._kept], [dims[axis] for axis in dropped]
        self._inner = int(np.prod(self._sizes[0], dtype=int))
        train = {name: self.data[name] for name in names}
        self._all = train
        blocks = []
        if test is not None:
            found, more = checked(module, test, names, 1, "test data")
            self._all = {name: np.concatenate([train[name], found[name]]) for name in names}
        else:
            more = 0
        self.total = self.count + more
        require(
            8 * self._inner**2 * self.total * (2 * self.count + 4 * self.total),
            f"kernels of {self.count} training and {more} test points need",
            "take fewer points",
        )
        if loss is not None:
            blocks.append(limit.evaluate(train, tolerance=tolerance))
            if test is not None:
                blocks.append(limit.evaluate(found, train, tolerance=tolerance))
            self._kernel = self._matrix(np.concatenate(blocks))

    def _matrix(self, kernel: Array) -> Array:
        """Return (P, N, kept, kept) as a matrix (P * kept, N * kept)."""
        rows, columns, inner = *kernel.shape[:2], self._inner
        array = kernel.reshape(rows, columns, inner, inner).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(array.reshape(rows * inner, columns * inner))

    def _columns(self, f: Array) -> Array:
        """Return (points, axes) as (points * kept, dropped): what kernels act on."""
        order = (0, *(1 + axis for axis in self._kept), *self._rest())
        return f.transpose(order).reshape(len(f) * self._inner, -1)

    def _outputs(self, columns: Array) -> Array:
        """Undo :meth:`_columns`."""
        order = (0, *(1 + axis for axis in self._kept), *self._rest())
        shape = (len(columns) // self._inner, *self._sizes[0], *self._sizes[1])
        return columns.reshape(shape).transpose(np.argsort(order))

    def _rest(self) -> tuple[int, ...]:
        return tuple(1 + axis for axis in range(len(self._axes)) if axis not in self._kept)

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
        if all(ex.is_zero(e) for e in (*nngp.kernels.entries, *nngp.kernels.diagonal)):
            return iter([self.zeros()]), 1
        gram = self._matrix(nngp.evaluate(self._all, tolerance=self.tolerance))
        values, vectors = np.linalg.eigh((gram + gram.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        copies = int(np.prod(self._sizes[1], dtype=int))

        def each() -> Iterator[Array]:
            for number in range(draws):
                random = np.random.default_rng([seed, number])
                yield self._outputs(root @ random.standard_normal((len(root), copies)))

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
                pull = self._outputs(self._kernel @ self._columns(full))
                options = {key: each.constant.value for key, each in rule.options.items()}
                direction, state = rule.optimizer.direction(pull, f, state, step + 1, options)
                f = f - rule.rate.constant.value * direction
            path.append(self._shown(f))
            if progress is not None:
                progress(step + 1)
        return np.stack(path), losses

    def _shown(self, f: Array) -> Array:
        return f[self.count :] if self.tested else f


def _rows(steps: int, count: int, batches: Sequence[Any] | None) -> list[Any]:
    if batches is None:
        return [np.arange(count)] * steps
    check_batches(batches, steps, count)
    return [np.asarray(batch) for batch in batches[:steps]]


def _gathered(name: str, paths: Array, losses: Array) -> Run:
    """Return the mean over draws with its standard error (zero for one)."""
    pairs = []
    for array in (paths, losses):
        spread = array.std(axis=0, ddof=1) if len(array) > 1 else np.zeros(array.shape[1:])
        pairs.append((array.mean(axis=0), spread / len(array) ** 0.5))
    (f, error), (loss, loss_error) = pairs
    nothing: Mapping[str, Array] = MappingProxyType({})
    outputs, errors = MappingProxyType({name: f}), MappingProxyType({name: error})
    return Run(
        f, error, loss, loss_error, outputs, errors, nothing, nothing, "kernel", 0, len(paths)
    )
