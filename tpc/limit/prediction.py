"""What a kernel limit predicts at test points: one function for all kinds, axes and solvers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tpc.conditional.routes import require_fixed
from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.memory import available
from tpc.limit.classes import probabilities, sampled_probabilities
from tpc.limit.layout import Layout, layout
from tpc.limit.lengths import given
from tpc.limit.predict import Posterior, ensemble, posterior, tangent
from tpc.limit.ridge import Ridge, choose_ridge
from tpc.limit.solving import TILE, Method, factor_fits, solve
from tpc.limit.union import together
from tpc.simulate.data import checked

if TYPE_CHECKING:
    from tpc.limit.limit import Limit
    from tpc.ops.base import Array

RidgeChoice = float | Literal["loo", "mll"]


@dataclass(frozen=True, repr=False)
class Prediction:
    """What networks of infinite width predict at M test points.

    * ``mean`` (M, axes of f), over the posterior of the NNGP, or over initialisations;
    * ``covariance`` (M, M) and the kept axes of f twice, or None where it was not asked for: of one
      of the independent copies along the other axes;
    * ``ridge``: the one that was used; ``chosen`` how it scored, where it was chosen;
    * ``kernel`` (N, N), ``kernel_test`` (M, N), with the kept axes twice: what it is made from;
    * ``note``: how the linear systems were solved;
    * ``scale``: for the NNGP with a covariance, the factor of kernel and ridge under which the
      targets are most likely (:class:`tpc.limit.predict.Posterior`).
    """

    kind: str
    mean: Array
    covariance: Array | None
    ridge: float
    chosen: Ridge | None
    kernel: Array
    kernel_test: Array
    note: str
    layout: Layout
    scale: float = 1.0

    @property
    def deviation(self) -> Array:
        """The standard deviations, (M, axes of f).

        Raises:
            ValueError: the covariance was not asked for.
        """
        if self.covariance is None:
            raise ValueError("this prediction was made without covariance=True")
        variance = np.maximum(np.diag(self.layout.matrix(self.covariance)), 0.0)
        columns = np.repeat(np.sqrt(variance)[:, None], self.layout.copies, axis=1)
        return self.layout.outputs(columns)

    def probabilities(self, seed: int = 0) -> Array:
        """Return the probability that each of the k outputs is the largest, (M, k).

        Under the posterior of the NNGP, whose ridge is noise of the targets, both times ``scale``:
        the class does not hang on it, the confidence does. Under the NTK, as a share of the trained
        networks. Exact where the k outputs are independent, else over draws.

        Raises:
            ValueError: the covariance was not asked for, or the output has not one axis.
        """
        if len(self.layout.axes) != 1:
            raise ValueError(f"an output of axes {self.layout.axes} is no choice of a class")
        deviation, noise = self.deviation, self.ridge if self.kind == "nngp" else 0.0
        if self.layout.inner == 1:
            variance = self.scale * (deviation[:, 0] ** 2 + noise)
            return probabilities(self.mean, np.sqrt(variance))
        assert self.covariance is not None
        places = np.arange(len(self.mean))
        own = self.covariance[places, places] + noise * np.eye(self.layout.inner)
        return sampled_probabilities(self.mean, self.scale * own, seed=seed)

    def __repr__(self) -> str:
        return f"<Prediction {self.kind}, mean {self.mean.shape}, ridge {self.ridge:g}>"


def predict(
    limit: Limit,
    nngp: Callable[[], Limit],
    train: Mapping[str, Any],
    targets: Array,
    test: Mapping[str, Any],
    *,
    time: float = math.inf,
    ridge: RidgeChoice = 0.0,
    covariance: bool = False,
    centre: bool = False,
    solver: Method = "auto",
    tolerance: float = 1e-10,
    kernels: tuple[Array, Array] | None = None,
) -> Prediction:
    """Predict at the test points from a kernel limit and targets at the training points.

    For ``nngp`` the posterior of the Gaussian process with noise variance ``ridge``. For ``ntk``
    the ensemble over initialisations after ``time`` of gradient flow on half the summed squared
    error, plus half the ``ridge`` times the squared distance of the weights from their start (Lee
    et al. 2019). ``ridge`` may be "loo" or "mll": chosen by leave-one-out error or by marginal
    likelihood. ``targets`` are (N, axes of f); ``centre`` subtracts their mean over the samples and
    adds it again. ``solver`` is that of :func:`tpc.limit.solving.solve`, ``kernels`` are those
    between the training and from the test points, where they are known (memory maps may be given).

    Raises:
        TpcError: targets that do not fit the output, a system that is not solved, or conjugate
            gradients at finite time.
    """
    require_fixed(limit)
    limit = together(limit, train, test)
    shape = layout(limit.module)
    y = _columns(shape, targets)
    middle = y.reshape(len(targets), -1).mean(axis=0) if centre else None
    if middle is not None:
        y = y - np.tile(middle.reshape(shape.inner, -1), (len(targets), 1))
    if isinstance(ridge, str) or (math.isfinite(time) and limit.kind == "ntk"):
        what = "the choice of a ridge" if isinstance(ridge, str) else "training for a finite time"
        _require_vectors(what, len(y), solver)
    first, second = kernels or (
        training_kernel(limit, train, solver, tolerance),
        limit.evaluate(test, train, tolerance=tolerance),
    )
    own, far = shape.matrix(first), shape.matrix(second)
    chosen = choose_ridge(own, y, by=ridge, block=shape.inner) if isinstance(ridge, str) else None
    strength = chosen.ridge if chosen is not None else float(ridge)
    job = _Job(limit, nngp, train, test, shape, tolerance, solver)
    found = job.done(own, far, y, strength, time, covariance)
    mean = found.mean
    if middle is not None:
        mean = mean + np.tile(middle.reshape(shape.inner, -1), (len(mean) // shape.inner, 1))
    spread = shape.kernel(found.covariance) if covariance else None
    outputs = _outputs(shape, mean, targets)
    return Prediction(
        limit.kind, outputs, spread, strength, chosen, first, second, found.note, shape, found.scale
    )


def predict_data(
    limit: Limit, data: Mapping[str, Any], test: Mapping[str, Any], **options: Any
) -> Prediction:
    """Predict from a program's inputs and its only target by name: see :func:`predict`.

    Raises:
        TpcError: arrays that are missing or do not fit, or a program without a single target.
    """
    module = limit.module
    names = [name for name, spec in module.inputs.items() if spec.role == "target"]
    if len(names) != 1:
        said = f"predictions need a program with one target, this one has {len(names)}"
        raise TpcError(Diagnostic("E0910", said))
    train, count = given(limit, data)
    targets = checked(module, data, names, 1)[0][names[0]]
    if len(targets) != count:
        said = f"the data have {count} samples but {len(targets)} targets"
        raise TpcError(Diagnostic("E0922", said))
    points, _ = given(limit, test, "test data")
    return predict(limit, lambda: limit.other("nngp"), train, targets, points, **options)


@dataclass(frozen=True)
class _Job:
    """The data of a prediction, and the kernels that only covariances need."""

    limit: Limit
    nngp: Callable[[], Limit]
    train: Mapping[str, Any]
    test: Mapping[str, Any]
    layout: Layout
    tolerance: float
    solver: Method

    def done(
        self, own: Array, far: Array, y: Array, ridge: float, time: float, covariance: bool
    ) -> Posterior:
        """Return mean and, where it is asked for, covariance, as columns."""
        flows = self.limit.kind == "ntk" and math.isfinite(time)
        if flows:
            training = tangent(own, far, y, ridge=ridge)
            if covariance:
                return training.ensemble(self._prior(), time=time)
            (mean,) = training.flow([time])[1]
            return Posterior(mean, np.empty((0, 0)), "solved by eigenvectors")
        if not covariance:
            found = solve(own, y, ridge, method=self.solver)
            return Posterior(far @ found.x, np.empty((0, 0)), found.note)
        if self.limit.kind == "nngp":
            square = self.layout.matrix(self.limit.evaluate(self.test, tolerance=self.tolerance))
            return posterior(own, far, square, y, ridge, method=self.solver)
        return ensemble(own, far, y, self._prior(), ridge, method=self.solver)

    def _prior(self) -> tuple[Array, Array, Array]:
        """Return the covariance of f before training: zeros where f vanishes."""
        nngp = together(self.nngp(), self.train, self.test)
        pairs = (self.train, None), (self.test, self.train), (self.test, None)
        if nngp.vanishes:
            n, m = (len(next(iter(side.values()))) for side in (self.train, self.test))
            inner = self.layout.inner
            return tuple(np.zeros((p * inner, q * inner)) for p, q in ((n, n), (m, n), (m, m)))  # type: ignore[return-value]
        one, two, three = (
            self.layout.matrix(nngp.evaluate(*pair, tolerance=self.tolerance)) for pair in pairs
        )
        return one, two, three


def _columns(shape: Layout, targets: Array) -> Array:
    if targets.shape[1:] == shape.axes:
        return shape.columns(targets)
    if shape.inner == 1:
        return targets.reshape(len(targets), -1)
    raise TpcError(
        Diagnostic(
            "E0915",
            f"the targets have shape {targets.shape}, the output {('N', *shape.axes)}",
            help="where entries of the output are correlated, targets have its axes",
        )
    )


def _outputs(shape: Layout, columns: Array, targets: Array) -> Array:
    if targets.shape[1:] == shape.axes:
        return shape.outputs(columns)
    return columns.reshape(-1, *targets.shape[1:])


def _require_vectors(what: str, count: int, solver: Method) -> None:
    if solver == "cg" or (solver == "auto" and not factor_fits(count, available())):
        raise TpcError(
            Diagnostic(
                "E0968",
                f"{what} needs the eigenvectors of the kernel, not conjugate gradients",
                help="take fewer samples, or a ridge and infinite time",
            )
        )


def training_kernel(
    limit: Limit, train: Mapping[str, Any], solver: Method, tolerance: float
) -> Array:
    """Return the kernel between training points, mapped from a file where it is for cg and large.

    The file is a temporary one that ends with the process.
    """
    count = len(next(iter(train.values()))) * layout(limit.module).inner
    large = 8 * count**2 > TILE and solver == "cg"
    if not large and (solver == "cholesky" or factor_fits(count, available())):
        return limit.evaluate(train, tolerance=tolerance)
    with TemporaryDirectory(prefix="tpc-") as folder:  # a mapped file outlives its name
        return limit.evaluate(train, tolerance=tolerance, out=Path(folder) / "kernel.npy")
