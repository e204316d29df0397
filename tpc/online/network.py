"""A network that is trained by a compiled online step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.codegen.load import load
from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.memory import require
from tpc.ops.base import EvalContext
from tpc.ops.scale import numeric
from tpc.simulate.checks import check_exponents, check_width
from tpc.simulate.data import checked
from tpc.simulate.initialise import initial_weights

if TYPE_CHECKING:
    from tpc.exact import Coefficient
    from tpc.ir.module import Module
    from tpc.online.gauge import Gauge
    from tpc.online.write import Written

Weights = dict[str, np.ndarray]


class OnlineNetwork:
    """Tables of rows, moved in place by :meth:`train`.

    ``weights`` are the effective W by name, (words, width); in the limit (``width`` None) they are
    coefficients over the initial rows. ``steps_done`` of ``steps`` steps are behind: these two and
    the weights are the whole state.
    """

    def __init__(
        self,
        module: Module,
        written: Written,
        weights: Weights,
        width: int | None,
        steps: int,
        gauge: Gauge | None = None,
    ) -> None:
        self.module, self.weights, self.width, self.steps = module, weights, width, steps
        self.steps_done = 0
        self._written, self._train = written, load(written.source).train
        kind = weights[written.tables[0]].dtype
        tables, everything = written.tables, dict.fromkeys(written.tables, True)
        moving = everything if gauge is None else gauge.moving
        decaying = everything if gauge is None else gauge.decaying
        self._numbers = np.array([self._number(c) for c in written.constants] or [0.0])
        self._rates = np.array([self._number(written.rates[n]) * moving[n] for n in tables])
        shrinks = [self._number(written.shrinks[n]) * decaying[n] for n in tables]
        self._shrinks = np.array(shrinks, kind)
        self._falls = np.array([float(written.falls[name]) for name in tables])

    @property
    def source(self) -> str:
        """The source that trains it."""
        return self._written.source

    @property
    def memory(self) -> int:
        """Bytes that the weights take."""
        return sum(array.nbytes for array in self.weights.values())

    def train(self, data: Mapping[str, Any]) -> np.ndarray:
        """Train on samples, one step each, in order; return the loss (samples,) before each.

        ``data`` has an array (samples, axes) for every input and target of the loss; words count
        from 1.

        Raises:
            TpcError: data do not fit the program, there are more samples than steps are left, or
                the numbers overflow.
        """
        names = self._written.inputs
        arrays, count = checked(self.module, data, names, 1)
        if self.steps_done + count > self.steps:
            raise TpcError(
                Diagnostic(
                    "E0927",
                    f"{count} more steps after {self.steps_done}, but the run has {self.steps}",
                )
            )
        losses = np.empty(count)
        tables = [self.weights[name] for name in self._written.tables]
        inputs = [np.ascontiguousarray(arrays[name]) for name in names]
        settings = (self._numbers, self._rates, self._shrinks, self._falls)
        self._train(*tables, *inputs, *settings, self.steps_done, self.steps, losses)
        if not np.isfinite(losses).all():
            raise TpcError(
                Diagnostic(
                    "E0950",
                    f"training diverged between steps {self.steps_done + 1} and "
                    f"{self.steps_done + count}",
                    help="take a smaller learning rate",
                )
            )
        self.steps_done += count
        return losses

    def _number(self, coefficient: Coefficient) -> float:
        if self.width is None:  # powers of the width cancel (tpc.online.gauge)
            return float(coefficient.constant.value)
        return numeric(coefficient, self.width)


def finite_weights(module: Module, width: int, seed: int, dtype: str) -> Weights:
    """Return the initial weights of a finite width, as ``simulate`` draws them.

    Raises:
        TpcError: the width is not one, or the weights do not fit into memory.
    """
    check_width(module, width)
    check_exponents(module)
    context = EvalContext(width)
    shapes = {name: context.shape(spec.type) for name, spec in module.params.items()}
    _check_fits(shapes, 8 + np.dtype(dtype).itemsize)
    found = initial_weights(module, width, seed)
    return {name: np.ascontiguousarray(array, dtype) for name, array in found.items()}


def limit_weights(module: Module, gauge: Gauge, dtype: str) -> Weights:
    """Return the limit's initial weights: scaled identities, or zero.

    Raises:
        TpcError: they do not fit into memory.
    """
    words = {name: int(spec.type.dims[0].count) for name, spec in module.params.items()}
    shapes = {name: (count, gauge.width) for name, count in words.items()}
    _check_fits(shapes, np.dtype(dtype).itemsize)
    weights = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
    for name, size in gauge.sizes.items():
        if size:
            rows = np.arange(words[name])
            weights[name][rows, rows + gauge.first[name]] = size
    return weights


def _check_fits(shapes: Mapping[str, tuple[int, ...]], size: int) -> None:
    needed = size * sum(int(np.prod(shape)) for shape in shapes.values())
    said = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
    require(needed, f"{said} need", "take fewer words (a larger minimal count) or a smaller width")
