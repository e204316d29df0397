"""Muon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tpc.optimizers.base import Kind, Optimizer, Option, number

if TYPE_CHECKING:
    from tpc.ir.types import TensorType
    from tpc.ops.base import Array
    from tpc.optimizers.base import State


class Muon(Optimizer):
    """Muon (Jordan et al. 2024): momentum, orthogonalised.

    `m <- beta m + g`; of `g + beta m = P S Q^T` (singular values S, nesterov) the direction is
    `P Q^T`: the exact polar factor, which the usual Newton-Schulz iteration approximates.
    Singular values that are zero to rounding stay zero. Weights of more than two axes are
    matrices over the last two. No factor for the shape is applied: that is the business of `lr`
    and c. Weight decay acts on the weight itself. Weights with one axis need another optimizer.
    """

    name: ClassVar[str] = "muon"
    kind: ClassVar[Kind] = "spectral"
    decoupled: ClassVar[bool] = True
    own: ClassVar[tuple[Option, ...]] = (
        number("beta", "0.95", "how much of the past is kept"),
        number("nesterov", 1, "1: look ahead with the present gradient, 0: do not"),
    )

    def refuse(self, type_: TensorType) -> str | None:
        if type_.rank < 2:
            return f"muon orthogonalises matrices, and {type_} has {type_.rank or 'no'} axis"
        return None

    def start(self, shape: tuple[int, ...]) -> State:
        import numpy as np

        return {"m": np.zeros(shape)}

    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        m = options["beta"] * state["m"] + gradient
        mixed = gradient + options["beta"] * m if options["nesterov"] else m
        return polar(mixed), {"m": m}


def polar(x: Array) -> Array:
    """Return ``P Q^T`` of the singular value decomposition ``P S Q^T`` of the last two axes."""
    import numpy as np

    p, s, q = np.linalg.svd(x, full_matrices=False)
    floor = s.max(axis=-1, keepdims=True) * max(x.shape[-2:]) * np.finfo(float).eps
    kept = (s > floor).astype(float)
    result: Array = (p * kept[..., None, :]) @ q
    return result


MUON = Muon()
