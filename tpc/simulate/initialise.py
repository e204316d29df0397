"""Initial weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.exact import Coefficient
from tpc.ops.base import EvalContext
from tpc.ops.scale import numeric

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec
    from tpc.ops.base import Array


def initial_weights(module: Module, width: int, seed: int) -> dict[str, Array]:
    """Return the effective weights W at initialisation, by name.

    Entries are ``N(0, (mult sigma n^-(a+b))^2)``, or zero or one where ``init`` says so. Each
    weight has a stream of random numbers of its own, a function of the seed and its name: neither
    the order of declarations nor other weights matter.

    Raises:
        LookupError: an exponent of a weight is not known yet.
    """
    return {name: _draw(spec, width, seed) for name, spec in module.params.items()}


def _draw(spec: ParamSpec, width: int, seed: int) -> Array:
    import numpy as np

    context = EvalContext(width, seed=seed)
    shape = context.shape(spec.type)
    if spec.init in ("zero", "one"):
        return np.full(shape, float(spec.init == "one"))
    deviation = numeric(Coefficient(spec.entry_std, -spec.entry_exponent), width)
    return deviation * context.generator("param", spec.name).standard_normal(shape)
