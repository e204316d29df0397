"""Limits with random scalars among others: what evaluates, and refuses, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.conditional.limit import ConditionalLimit
from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit.sampled import written

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.limit.bands import Options
    from tpc.limit.limit import Limit

    Array = NDArray[np.float64]


def require_fixed(limit: Limit) -> None:
    """Refuse to train, or predict, under a tangent kernel that is random and moves.

    Raises:
        TpcError: the limit is such a kernel.
    """
    if isinstance(limit, ConditionalLimit) and limit.kind == "ntk":
        names = ", ".join(s.name for s in limit.cut.scalars)
        raise TpcError(
            Diagnostic(
                "E0967",
                f"the scalars {names} stay random and move in training, so no fixed kernel "
                "governs it: this tangent kernel is a mean over networks",
                help="give what is in between a width, or predict with kind nngp",
            )
        )


def any_conditional(limits: Sequence[Limit]) -> bool:
    """Whether one of some limits is an average over random scalars."""
    return any(isinstance(each, ConditionalLimit) for each in limits)


def evaluated(limits: Sequence[Limit], X: Any, X2: Any, options: Options) -> Array:
    """Return the kernels (kinds, N, N2, axes) of limits, some of them with random scalars.

    Raises:
        TpcError: as their own methods do, or a file that cannot be written.
    """
    parts = [_alone(each, X, X2, options) for each in limits]
    found = np.stack(parts)
    return written(found, options.out, options.dtype)


def _alone(each: Limit, X: Any, X2: Any, options: Options) -> Array:
    if isinstance(each, ConditionalLimit):
        found = each.averaged(X, X2, options.tolerance, options.sampling, options.progress)
        return found[0]
    from tpc.limit.evaluation import evaluate

    return np.asarray(evaluate([each], X, X2, replace(options, out=None))[0])


def diagonals_of(limits: Sequence[Limit], X: Any, options: Options) -> Array:
    """Return the kernels of samples with themselves, (kinds, N) and the kept axes twice."""
    from tpc.limit.evaluation import diagonals

    parts = [
        each.diagonals(X, options.tolerance, options.sampling)
        if isinstance(each, ConditionalLimit)
        else diagonals([each], X, options)[0]
        for each in limits
    ]
    return np.stack(parts).astype(options.dtype, copy=False)
