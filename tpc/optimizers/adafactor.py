"""Adafactor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import Kind, Optimizer, Option, number, ratio

if TYPE_CHECKING:
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern 2018): factored second moments, steps relative to the weight.

    Averages `r` and `s` of `g^2` over columns and rows (the last two axes) with
    `beta_t = 1 - t^-decay_rate` give `v = r s / mean(r)`; weights of one axis keep v itself. The
    direction is `u / max(1, rms(u) / threshold)` with `u = g / sqrt(v)`, times `rms(w)` (times 1
    while w is exactly zero). There is no first moment, and nothing is added to squares (0/0 := 0).
    """

    name: ClassVar[str] = "adafactor"
    kind: ClassVar[Kind] = "parameter_scaled"
    decoupled: ClassVar[bool] = True
    own: ClassVar[tuple[Option, ...]] = (
        number("decay_rate", "0.8", "how fast the averages forget the past"),
        number("threshold", 1, "bound on the root mean square of a step"),
    )

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        if len(shape) < 2:
            return {"v": np.zeros(shape)}
        return {"r": np.zeros(shape[:-1]), "s": np.zeros((*shape[:-2], shape[-1]))}

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        import numpy as np

        beta = 1.0 - float(step) ** -options["decay_rate"]
        square, new = gradient**2, {}
        if "v" in state:
            new["v"] = v = beta * state["v"] + (1.0 - beta) * square
        else:
            new["r"] = r = beta * state["r"] + (1.0 - beta) * square.mean(axis=-1)
            new["s"] = s = beta * state["s"] + (1.0 - beta) * square.mean(axis=-2)
            v = ratio(r[..., None] * s[..., None, :], r.mean(axis=-1)[..., None, None])
        u = ratio(gradient, np.sqrt(v))
        u = u / max(1.0, _rms(u) / options["threshold"])
        return u * (_rms(weight) or 1.0), new


def _rms(x: Array) -> float:
    return float((x**2).mean() ** 0.5)


ADAFACTOR = Adafactor()
