"""What the compiler finds of a program that looks words up, and its online step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tpc.online.forms import Buffer
from tpc.online.gauge import Gauge, gauge
from tpc.online.network import OnlineNetwork, finite_weights, limit_weights
from tpc.online.plan import count
from tpc.online.write import Written, write

if TYPE_CHECKING:
    from tpc.ir.module import Module


@dataclass(frozen=True)
class Online:
    """A program's compiled online step: gradient descent on one sample at a time, in place.

    ``method`` is "linear": vectors are only combined linearly, so that the limit is exact.
    """

    module: Module
    written: Written
    method: str = "linear"

    @property
    def source(self) -> str:
        """The generated Numba source."""
        return self.written.source

    @cached_property
    def gauge(self) -> Gauge:
        """The limit's initial weights.

        Raises:
            TpcError: the program has no limit of this kind.
        """
        return gauge(self.module)

    def network(
        self, width: int, *, seed: int = 0, steps: int = 0, dtype: str = "float32"
    ) -> OnlineNetwork:
        """Return a network of finite width at initialisation, the same as that of ``simulate``.

        ``steps`` is how many steps there will be: a schedule needs it.

        Raises:
            TpcError: the width is not one, or does not fit into memory.
        """
        weights = finite_weights(self.module, width, seed, dtype)
        return OnlineNetwork(self.module, self.written, weights, width, steps)

    def limit(self, *, steps: int = 0, dtype: str = "float32") -> OnlineNetwork:
        """Return the network of infinite width at initialisation.

        Its weights are coefficients over the initial rows, of shape (words, rows), and inner
        products of rows are those of the infinitely wide network's rows, each scaled by its own
        power of the width.

        Raises:
            TpcError: the program has no such limit, or it does not fit into memory.
        """
        weights = limit_weights(self.module, self.gauge, dtype)
        return OnlineNetwork(self.module, self.written, weights, None, steps, self.gauge)

    def text(self) -> str:
        """Return what was found, as text."""
        plan = self.written.plan
        reads = {
            name: sum(count(plan.shapes[ids]) for ids in words)
            for name, words in plan.lookups.items()
        }
        rows = ", ".join(f"at most {n} rows of {name}" for name, n in reads.items())
        kept = sum(count(buffer.shape) for buffer in plan.buffers if isinstance(buffer, Buffer))
        lines = [
            f"method: {self.method}; inputs are one-hot, so a step touches {rows}",
            f"vectors kept during a step: {kept}",
            f"the limit closes at width {self.gauge.width:,}: one direction for each initial row",
        ]
        still = [name for name, moves in self.gauge.moving.items() if not moves]
        lines += [f"in the limit {', '.join(still)} stands still"] if still else []
        return "\n".join(lines)


def online(module: Module) -> Online:
    """Compile the online step of a program.

    Raises:
        TpcError: the program does not look its weights up, or combines vectors nonlinearly.
    """
    return Online(module, write(module))
