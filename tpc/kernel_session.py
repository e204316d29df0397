"""Few-shot learning in the kernel regime: a list of rows that tasks and meta-steps append to.

A network in the kernel regime is linear in features that never change, ``f(x) = f_0(x) + sum_i
K(x, x_i) c_i``: a row for every image that a gradient was taken at. An inner step appends rows for
the support images of its task, which the end of the task drops. A first-order meta-step appends
rows for all query images, for good. The list grows by as many rows in every step, so that the cost
of a step is linear in the steps done.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import walk
from tpc.ops.batch import batch_mean
from tpc.ops.cross_entropy import cross_entropy
from tpc.ops.input import INPUT

if TYPE_CHECKING:
    import numpy as np

    from tpc.diagnostics import Span
    from tpc.ir.module import Module
    from tpc.limit import Limit

Batch = Mapping[str, Any]
#: Rows that a kernel is evaluated with at once.
_ROWS = 4096


@dataclass(frozen=True)
class Meta:
    """Settings of first-order MAML: cross-entropy, its gradients summed over the tasks.

    They replace the learning rate of the network's own program, which therefore is to be one.

    ``inner`` is the step within a task, ``inner_steps`` their number; ``rate`` the meta learning
    rate; the norm of the summed gradient is bounded by ``clip`` (None: not).
    """

    inner: float = 0.4
    inner_steps: int = 1
    rate: float = 0.1
    clip: float | None = 0.5


class KernelSession:
    """First-order MAML of an infinitely wide network in the kernel regime.

    ``limit`` is the NTK (all weights that move) or the NNGP (the readout alone) of a network of one
    input of axes (d); f_0 is taken as zero, its mean. Batches are as :class:`tpc.datasets.tasks
    .Tasks` gives them.

    Raises:
        TpcError: the program's loss is not the cross-entropy of its output, its optimizer is not
            plain gradient descent of rate one, or the kernel has axes besides samples.
    """

    def __init__(self, limit: Limit, ways: int, meta: Meta | None = None) -> None:
        _check(limit.module)
        self.limit, self.ways, self.meta = limit, ways, meta or Meta()
        self.method = limit.kind
        self.steps_done = 0
        self._rows: list[np.ndarray] = []
        self._coefficients: list[np.ndarray] = []

    def step(self, batch: Batch) -> float:
        """Make one meta-step; return the loss before it, summed over the tasks."""
        import numpy as np

        xs, xq, ys, yq = (np.asarray(batch[k], dtype=float) for k in ("xs", "xq", "ys", "yq"))
        logits = self._adapted(xs, ys, xq, self.meta.inner_steps)
        chi = (_softmax(logits) - yq) / xq.shape[1]
        loss: float = -float((_log_softmax(logits) * yq).sum()) / xq.shape[1]
        rows, coefficients = xq.reshape(-1, xq.shape[-1]), chi.reshape(-1, self.ways)
        self._append(rows, coefficients * (self.meta.rate * self._factor(rows, coefficients)))
        self.steps_done += 1
        return loss

    def outputs(self, batch: Batch, inner_steps: int | None = None) -> dict[str, np.ndarray]:
        """Return the logits ``f`` (tasks, queries, ways) after the inner steps."""
        import numpy as np

        xs, xq, ys = (np.asarray(batch[k], dtype=float) for k in ("xs", "xq", "ys"))
        count = self.meta.inner_steps if inner_steps is None else inner_steps
        return {"f": self._adapted(xs, ys, xq, count)}

    def state(self) -> bytes:
        """Return the rows and their coefficients."""
        import numpy as np

        file = io.BytesIO()
        np.savez(
            file,
            steps=self.steps_done,
            rows=_joined(self._rows),
            coefficients=_joined(self._coefficients),
        )
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        """Put the session into a state.

        Raises:
            ValueError: these bytes are no such state.
        """
        import numpy as np

        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as found:
                self.steps_done = int(found["steps"])
                self._rows, self._coefficients = [], []
                for start in range(0, len(found["rows"]), _ROWS):
                    part = slice(start, start + _ROWS)
                    self._append(found["rows"][part], found["coefficients"][part])
        except Exception as error:
            raise ValueError(f"no state of this network: {error}") from error

    # -- functions ---------------------------------------------------------------------------------

    def _adapted(self, xs: np.ndarray, ys: np.ndarray, xq: np.ndarray, steps: int) -> np.ndarray:
        """Return the logits at the queries of every task, after steps on its support."""
        import numpy as np

        tasks, shots = xs.shape[:2]
        points = np.concatenate([xs, xq], axis=1)
        z = self._values(points.reshape(-1, points.shape[-1])).reshape(tasks, -1, self.ways)
        for task in range(tasks):
            kernel = self._kernel(points[task], xs[task])
            for _ in range(steps):
                chi = (_softmax(z[task, :shots]) - ys[task]) / shots
                z[task] -= self.meta.inner * (kernel @ chi)
        return z[:, shots:]

    def _values(self, x: np.ndarray) -> np.ndarray:
        """Return f at points (N, d): (N, ways)."""
        import numpy as np

        result = np.zeros((len(x), self.ways))
        for rows, coefficients in zip(self._rows, self._coefficients, strict=True):
            result -= self._kernel(x, rows) @ coefficients
        return result

    def _kernel(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.limit.evaluate(x, y)
        if found.ndim != 2:
            raise TpcError(
                Diagnostic(
                    "E0915", f"rows need one kernel for each pair, this one has axes {found.shape}"
                )
            )
        return found

    def _factor(self, rows: np.ndarray, coefficients: np.ndarray) -> float:
        """Return what bounds the norm: the gradient is ``sum_i c_i`` times the features of i."""
        if self.meta.clip is None:
            return 1.0
        kernel = self._kernel(rows, rows)
        square = float(((coefficients @ coefficients.T) * kernel).sum())
        norm = math.sqrt(max(0.0, square))
        return min(1.0, self.meta.clip / max(norm, 1e-300))

    def _append(self, rows: np.ndarray, coefficients: np.ndarray) -> None:
        """Append rows; blocks grow to a size that a kernel is evaluated with at once."""
        import numpy as np

        if self._rows and len(self._rows[-1]) + len(rows) <= _ROWS:
            rows = np.concatenate([self._rows.pop(), rows])
            coefficients = np.concatenate([self._coefficients.pop(), coefficients])
        self._rows.append(rows)
        self._coefficients.append(coefficients)


def _check(module: Module) -> None:
    """Check that a program says what rows do.

    Raises:
        TpcError: it says something else.
    """
    if not _has_cross_entropy(module):
        raise _unlike("its loss is not the cross-entropy of its output and its target")
    for name in module.trained:
        line, spec = module.optimizer_of(name), module.params[name]
        if line is None:
            continue
        given = {key: value for key, value in line.options.items() if value is not None}
        if line.name != "sgd" or set(given) > {"lr"} or spec.decay is not None:
            raise _unlike(f"`{name}` is not trained by plain gradient descent", line.span)
        if spec.rate is not None or str(given.get("lr")) != "1":
            raise _unlike(f"the learning rate of `{name}` is not one", line.span)


def _has_cross_entropy(module: Module) -> bool:
    """Whether the loss is the samples' mean cross-entropy: equal graphs are one object."""
    targets = [spec for spec in module.inputs.values() if spec.role == "target"]
    if len(module.outputs) != 1 or len(targets) != 1:
        return False
    (output,), (target,) = module.outputs, targets
    leaves = [node for node in walk([module.loss]) if node.op is INPUT] if module.loss else []
    labels = [node for node in leaves if node.attrs["name"] == target.name]
    if len(labels) != 1 or labels[0].type.dims != output.node.type.dims:
        return False
    return module.loss is batch_mean(cross_entropy.build(f=output.node, y=labels[0]))


def _unlike(what: str, span: Span | None = None) -> TpcError:
    return TpcError(
        Diagnostic(
            "E0938",
            f"few-shot rows cannot follow this program: {what}",
            span,
            help="write `loss = cross_entropy(f(x), y)` and `optimizer sgd(lr = 1)`; "
            "the steps' sizes and the bound on the norm are those of Meta",
        )
    )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.concatenate(parts) if parts else np.empty((0, 0))


def _softmax(z: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(np.exp(_log_softmax(z)))


def _log_softmax(z: np.ndarray) -> np.ndarray:
    import numpy as np

    shifted = z - z.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
