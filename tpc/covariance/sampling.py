"""Kernels by sampling neurons: replicates, their spread, and how many of them are needed.

The whole recursion runs on every replicate, so the spread over replicates is the error of an entry,
whatever it was computed from. Kernels of a batch norm over the samples are those of the batch that
is given: the samples of one batch depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpc.covariance.draws import Normals
from tpc.covariance.fluctuating import require_steady
from tpc.covariance.neurons import NOMINAL, Neurons
from tpc.covariance.readouts import Outputs, outputs
from tpc.covariance.run import threads
from tpc.covariance.tails import NotFiniteError
from tpc.ir.node import walk
from tpc.limit.mixtures import require_no_scalars
from tpc.limit.moment import LimitRefusal
from tpc.limit.tangent import moved_params, step
from tpc.ops.param import PARAM
from tpc.runtime.blas import one_blas_thread

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.module import Module

Array = NDArray[np.float64]
REPLICATES = 16
FIRST, LARGEST = 2048, 65536
"""Draws of a replicate: at first, and at most."""
MOST = 2**25
"""Draws in all at most."""
MEMORY = 2.5e8
"""Numbers that the arrays of a replicate may hold."""
BLOCK = 512
"""Samples and positions of a side of a block, where samples do not depend on each other."""
PROBE = (4, 32)
"""Samples and draws of the run that finds the powers of the width."""


class SamplingError(ArithmeticError):
    """An error bound that would take too many draws; ``error`` is what was reached."""

    def __init__(self, sampling: float, error: float) -> None:
        super().__init__(
            f"neurons were sampled to a relative standard error of {error:.3g} only, not "
            f"{sampling:.3g}"
        )
        self.error = error


@dataclass(frozen=True)
class SampledKernel:
    """Kernels of a batch by sampled neurons. A power is that of the width, None for zero."""

    module: Module
    outputs: Outputs
    steps: Mapping[str, Coefficient]
    inputs: Mapping[str, tuple[int, ...]]
    powers: Mapping[str, Fraction | None]

    @property
    def kept(self) -> tuple[int, ...]:
        """The sizes of the output axes that kernels keep."""
        return self.outputs.kept

    def replicate(
        self,
        data: Mapping[str, Any],
        count: int,
        number: int,
        steps: Mapping[str, Coefficient],
        nominal: int = NOMINAL,
    ) -> dict[str, Array]:
        """Return both kernels (N, N, kept axes twice) from ``count`` draws."""
        normals = Normals(count, number)
        probing = nominal != NOMINAL or number > 0
        neurons = Neurons(self.module.params, steps, data, normals, number, nominal, probing)
        sampled = neurons.run(self.outputs.values)
        nngp, ntk = self.outputs.kernels(neurons, sampled)
        if not (np.isfinite(nngp).all() and np.isfinite(ntk).all()):
            raise NotFiniteError
        return {"nngp": nngp, "ntk": ntk}

    def evaluate(
        self, data: Mapping[str, Any], kinds: tuple[str, ...], sampling: float
    ) -> tuple[Array, Array]:
        """Return kernels and standard errors, both (kinds, N, N, kept axes twice).

        ``sampling`` bounds the errors relative to the geometric mean of the diagonal entries.

        Raises:
            SamplingError: it is out of reach.
        """
        if all(self.powers[kind] != 0 for kind in kinds):
            count = len(next(iter(data.values())))
            found = np.zeros((len(kinds), count, count, *self.kept, *self.kept))
            return found, found
        steps = self.steps if "ntk" in kinds else {}
        first, count = self._draws(data)
        moments = _Moments()
        self._add(moments, data, kinds, steps, first, range(REPLICATES))
        worst = moments.worst(self.kept)
        if worst > sampling:
            wanted = first * REPLICATES * (worst / sampling) ** 2
            count = int(min(count, max(2 * first, 2 ** np.ceil(np.log2(wanted / REPLICATES)))))
            moments = _Moments()
            self._add(moments, data, kinds, steps, count, range(REPLICATES))
        while (worst := moments.worst(self.kept)) > sampling:
            wanted = moments.replicates * min((1.1 * worst / sampling) ** 2, 8.0)
            total = int(np.ceil(wanted))
            if total * count > MOST:
                raise SamplingError(sampling, worst)
            self._add(moments, data, kinds, steps, count, range(moments.replicates, total))
        return moments.mean, moments.error

    def active(self) -> tuple[str, ...]:
        """Return the weights with a share of the tangent kernel."""
        if self.powers["ntk"] != 0:
            return ()
        used = [name for name in self.steps if name in self.weights]
        return tuple(name for name in used if _power(self, "ntk", {name: self.steps[name]}) == 0)

    @property
    def weights(self) -> frozenset[str]:
        """The weights that the output is made of."""
        leaves = (node for node in walk([self.outputs.output]) if not node.operands)
        return frozenset(str(n.attrs["name"]) for n in leaves if n.op is PARAM)

    def _draws(self, data: Mapping[str, Any]) -> tuple[int, int]:
        """Return how many draws a replicate has at first, and at most."""
        rows = len(next(iter(data.values()))) * self.places()
        most = max(1024, min(LARGEST, 2 ** int(np.log2(max(MEMORY / (8 * rows), 1.0)))))
        enough = 2 ** int(np.ceil(np.log2(16 * rows)))
        return min(most, max(FIRST, enough)), most

    def places(self) -> int:
        """Return how many positions a value has, at most."""
        nodes = walk([self.outputs.output])
        return max((node.type.finite_count for node in nodes if node.type.sort == 1), default=1)

    def _add(
        self,
        moments: _Moments,
        data: Mapping[str, Any],
        kinds: tuple[str, ...],
        steps: Mapping[str, Coefficient],
        count: int,
        numbers: range,
    ) -> None:
        def one(number: int) -> Array:
            found = self.replicate(data, count, number, steps)
            return np.stack([self._settled(found[kind], kind) for kind in kinds])

        rest = list(numbers)
        with one_blas_thread():  # replicates have the cores for themselves
            if rest and not moments.replicates:
                moments.add(one(rest.pop(0)))  # what is wrong with the samples is found here
            with ThreadPoolExecutor(threads()) as pool:
                for found in pool.map(one, rest):
                    moments.add(found)

    def _settled(self, kernel: Array, kind: str) -> Array:
        power = self.powers[kind]
        return kernel if power == 0 else np.zeros_like(kernel)


def in_blocks(
    plan: SampledKernel,
    left: Mapping[str, Any],
    right: Mapping[str, Any] | None,
    kinds: tuple[str, ...],
    sampling: float,
) -> tuple[Array, Array]:
    """Return kernels and errors where samples do not depend on each other, in blocks of pairs.

    Shapes as in :meth:`SampledKernel.evaluate`, between ``left`` and ``right`` (left where None).
    """
    height = max(1, BLOCK // plan.places())
    sides = [_parts(left, height), _parts(left if right is None else right, height)]
    counts = [sum(len(next(iter(part.values()))) for part in side) for side in sides]
    shape = (len(kinds), *counts, *plan.kept, *plan.kept)
    value, error = np.zeros(shape), np.zeros(shape)
    rank = len(plan.kept)
    back = (0, 2, 1, *range(3 + rank, 3 + 2 * rank), *range(3, 3 + rank))
    for i, one in enumerate(sides[0]):
        rows = slice(i * height, (i + 1) * height)
        for j, two in enumerate(sides[1]):
            columns = slice(j * height, (j + 1) * height)
            if right is None and j < i:
                value[:, rows, columns] = value[:, columns, rows].transpose(back)
                error[:, rows, columns] = error[:, columns, rows].transpose(back)
                continue
            same = right is None and i == j
            count = len(next(iter(one.values())))
            data = one if same else {k: np.concatenate([one[k], two[k]]) for k in one}
            found = plan.evaluate(data, kinds, sampling)
            take = (slice(None),) if same else (slice(None), slice(count), slice(count, None))
            value[:, rows, columns], error[:, rows, columns] = (part[take] for part in found)
    return value, error


def _parts(data: Mapping[str, Any], height: int) -> list[dict[str, Any]]:
    count = len(next(iter(data.values())))
    return [
        {name: values[start : start + height] for name, values in data.items()}
        for start in range(0, count, height)
    ]


class _Moments:
    """Mean and spread over replicates (Welford)."""

    def __init__(self) -> None:
        self.replicates = 0
        self.mean: Array = np.zeros(())
        self._squares: Array = np.zeros(())

    def add(self, values: Array) -> None:
        self.replicates += 1
        off = values - self.mean
        self.mean = self.mean + off / self.replicates
        self._squares = self._squares + off * (values - self.mean)

    @property
    def error(self) -> Array:
        count = self.replicates
        return np.asarray(np.sqrt(self._squares / (count * (count - 1))))

    def worst(self, kept: tuple[int, ...]) -> float:
        """Return the largest error, relative to the diagonal entries of its row and column."""
        error = self.error
        kinds, count = error.shape[:2]
        size = int(np.prod(kept, dtype=int))
        full = error.reshape(kinds, count, count, size, size)
        own = np.abs(self.mean.reshape(full.shape)[:, np.arange(count), np.arange(count)])
        scale = np.sqrt(np.diagonal(own, axis1=2, axis2=3))
        both = scale[:, :, None, :, None] * scale[:, None, :, None, :]
        bad = full > 0
        return float((full[bad] / np.maximum(both[bad], 1e-300)).max(initial=0.0))


def sampled_kernel(module: Module, kinds: tuple[str, ...]) -> SampledKernel:
    """Return the plan of kernels by sampled neurons.

    Raises:
        MissingRule: an op has no rule for it.
        LimitRefusal: there is no such kernel.
    """
    output = module.output.node
    require_no_scalars(output, module.params, tangent=False)
    steps = {}
    if "ntk" in kinds:
        require_no_scalars(output, module.params, tangent=True)
        steps = {spec.name: step(module, spec) for spec in moved_params(module)}
    leaves = {n.attrs.get("name") for n in walk([output]) if not n.operands}
    inputs = {
        name: tuple(int(dim.count) for dim in spec.type.dims)
        for name, spec in module.inputs.items()
        if name in leaves
    }
    plan = SampledKernel(module, outputs(output), steps, inputs, {})
    require_steady(plan.outputs, module.params)
    powers = {kind: _power(plan, kind, steps) for kind in kinds}
    for power in powers.values():
        if power is not None and power > 0:
            raise LimitRefusal(
                f"the kernel grows like n^({power}) with the width",
                output,
                "choose a stable parametrization, e.g. parametrization ntk",
            )
    return SampledKernel(module, plan.outputs, steps, inputs, powers)


def _power(plan: SampledKernel, kind: str, steps: Mapping[str, Coefficient]) -> Fraction | None:
    """Return the power of the width of a kernel, from runs at two widths on random samples."""
    batch, count = PROBE
    data = _probe_data(plan.module, plan.inputs, batch)
    traces = []
    for exponent in (40, 80):
        try:
            found = plan.replicate(data, count, 0, steps, 2**exponent)[kind]
        except NotFiniteError as error:
            where = plan.outputs.output
            raise LimitRefusal("something that vanishes is divided by", where) from error
        traces.append(float(np.abs(found).max()))
    if 0.0 in traces:
        return None
    return Fraction(float(np.log2(traces[1] / traces[0]) / 40)).limit_denominator(24)


def _probe_data(
    module: Module, inputs: Mapping[str, tuple[int, ...]], batch: int
) -> dict[str, Array]:
    random = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for name, shape in inputs.items():
        below = module.inputs[name].type.below
        if below is None:
            found[name] = random.standard_normal((batch, *shape))
        else:
            found[name] = random.integers(1, below + 1, (batch, *shape)).astype(np.float64)
    return found
