"""Training on a stream of batches: one network, at finite width or in the limit, step by step.

``program.limit("feature").train`` and ``program.simulate`` take all data at once and report outputs
after every step. A session is for runs whose data come as they go: meta-learning, text. It trains
on one batch at a time, evaluates outputs when asked to, and can be saved and continued.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.simulate.checks import check_exponents, check_memory, check_width
from tpc.simulate.data import checked, inputs_of
from tpc.simulate.training import output_roots, training_roots

if TYPE_CHECKING:
    from tpc.ir import Module
    from tpc.ops.base import Array

Batch = Mapping[str, Any]


class Session(ABC):
    """A network that is trained batch by batch.

    ``method`` says how it is evaluated: "finite", or see :mod:`tpc.feature.plan`.
    """

    method: str

    def __init__(self, module: Module, width: int) -> None:
        check_exponents(module)
        if module.loss is None:
            raise TpcError(Diagnostic("E0927", "this program has no train: block, so no steps"))
        self.module, self._width = module, width
        self._needed = inputs_of(module, training_roots(module))

    def step(self, batch: Batch) -> float:
        """Train for one step; return the loss before it.

        ``batch`` has an array (samples, axes) for every input and target of the loss.

        Raises:
            TpcError: the arrays do not fit the program.
        """
        data, count = checked(self.module, batch, self._needed, self._width, "batch")
        return self._step(data, count)

    def outputs(self, batch: Batch, module: Module | None = None) -> dict[str, Array]:
        """Return the outputs (samples, axes) by name; the network is not changed.

        ``module`` may be another program on the same weights: one with more inner steps, say.

        Raises:
            TpcError: the arrays do not fit the program, or it has weights that are not these.
        """
        asked = self.module if module is None else self._same_weights(module)
        roots = output_roots(asked)
        names = inputs_of(asked, roots.values())
        data, count = checked(asked, batch, names, self._width, "batch")
        found = self._evaluate(asked, roots, data, count)
        return dict(zip(roots, found, strict=True))

    def _same_weights(self, module: Module) -> Module:
        for name, spec in module.params.items():
            known = self.module.params.get(name)
            if known is None or known.type != spec.type:
                raise TpcError(
                    Diagnostic("E0927", f"the trained program has no weight `{name}` : {spec.type}")
                )
        return module

    @abstractmethod
    def _step(self, data: Mapping[str, Array], count: int) -> float: ...

    @abstractmethod
    def _evaluate(
        self, module: Module, roots: Mapping[str, Any], data: Mapping[str, Array], count: int
    ) -> tuple[Array, ...]: ...

    @property
    @abstractmethod
    def steps_done(self) -> int:
        """How many steps the network has made."""

    @abstractmethod
    def state(self) -> bytes:
        """Return all that training has changed, to be given to :meth:`restore`."""

    @abstractmethod
    def restore(self, state: bytes) -> None:
        """Put the network into a state of the same program.

        Raises:
            ValueError: these bytes are no such state.
        """


class FiniteSession(Session):
    """A network of finite width."""

    method = "finite"

    def __init__(self, module: Module, width: int, seed: int = 0, steps: int = 0) -> None:
        from tpc.simulate.training import Network

        check_width(module, width)
        super().__init__(module, width)
        self._network = Network(module, width, seed, steps)
        self._checked = 0

    def _step(self, data: Mapping[str, Array], count: int) -> float:
        if count > self._checked:
            check_memory(self.module, training_roots(self.module), self._width, count)
            self._checked = count
        return self._network.step(data, count)

    def _evaluate(
        self, module: Module, roots: Mapping[str, Any], data: Mapping[str, Array], count: int
    ) -> tuple[Array, ...]:
        return self._network.evaluate(tuple(roots.values()), data, count, -1 - self.steps_done)

    @property
    def steps_done(self) -> int:
        """How many steps the network has made."""
        return self._network.steps_done

    def state(self) -> bytes:
        """Return weights and the optimizer's state."""
        import numpy as np

        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **self._network.state())
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        """Put the network into a state."""
        import numpy as np

        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
                self._network.restore(dict(arrays))
        except Exception as error:
            raise ValueError(f"no state of this network: {error}") from error


class LimitSession(Session):
    """The infinitely wide network; ``particles`` samples of Z where it is not exact."""

    def __init__(
        self, module: Module, seed: int = 0, steps: int = 0, particles: int = 2048
    ) -> None:
        from tpc.feature import feature_limit
        from tpc.feature.network import FeatureNetwork
        from tpc.feature.space import Gaussians, Particles, Space

        super().__init__(module, 1)
        limit = feature_limit(module)
        self.method, self.particles = limit.method, particles
        space: Space
        if limit.method == "linear":
            self.particles = _gaussians(module, steps)
            space = Gaussians(self.particles)
        else:
            from tpc.feature.draws import SOBOL, Draws

            space = Particles(particles, Draws(seed, SOBOL))
        self._network = _rules(FeatureNetwork, module, space, max(steps, 1), seed)

    def _step(self, data: Mapping[str, Array], count: int) -> float:
        loss: float = _rules(self._network.step, data, count)
        return loss

    def _evaluate(
        self, module: Module, roots: Mapping[str, Any], data: Mapping[str, Array], count: int
    ) -> tuple[Array, ...]:
        found: tuple[Array, ...] = _rules(self._network.predict, tuple(roots.values()), data, count)
        return found

    @property
    def steps_done(self) -> int:
        """How many steps the network has made."""
        done: int = self._network.steps_done
        return done

    def state(self) -> bytes:
        """Return weights, samples, and the optimizer's state."""
        from tpc.feature.checkpoint import saved_state

        return saved_state(self._network)

    def restore(self, state: bytes) -> None:
        """Put the network into a state."""
        from tpc.feature.checkpoint import restore_state

        restore_state(self._network, state)


def _gaussians(module: Module, steps: int) -> int:
    """Return how many Gaussians carry a linear network: initial vectors, and the constant.

    Raises:
        TpcError: products with matrices need further ones at every step.
    """
    total = 1
    for spec in module.params.values():
        if spec.type.sort > 1:
            raise TpcError(
                Diagnostic(
                    "E0952",
                    f"`{spec.name}`: a linear network with hidden matrices has no session yet",
                    spec.span,
                    help="train it with limit('feature').train, on data given at once",
                )
            )
        if spec.type.sort == 1 and spec.init == "normal":
            total += spec.type.finite_count
    return total


def _rules(function: Any, *arguments: Any) -> Any:
    """Call a stage of the limit; what it cannot do becomes a message for the user."""
    from tpc.feature.space import TooFew
    from tpc.ops.base import MissingRule

    try:
        return function(*arguments)
    except MissingRule as missing:
        raise TpcError(Diagnostic("E0952", str(missing))) from missing
    except TooFew as few:
        raise TpcError(
            Diagnostic(
                "E0953",
                f"too few particles for this many steps and samples: take at least {few.needed}",
            )
        ) from few
