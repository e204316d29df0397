"""Derivatives of a Gaussian process along directions, by central differences of its covariance.

Given its random scalars s a program is a Gaussian process with covariance ``K(x, s; x', s')``; so
its derivative along t is one too, with covariance ``d^2 K / dt dt'``. Differences serve every
recursion, whatever computes it; their step is chosen where the result hangs least on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tpc.conditional.recursion import Array, Places, Points, Recursion

STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
"""Steps that are tried, relative to the size of the scalars."""


@dataclass(frozen=True)
class Quotients:
    """Covariances (P, size, size) of a process and of its derivatives, at pairs of points.

    ``mixed`` is that of the value at the first point and the derivative at the second; ``turned``
    the other way round.
    """

    value: Array
    mixed: Array
    turned: Array
    slope: Array


def quotients(
    kernel: Recursion,
    points: Points,
    steps: Mapping[str, Any],
    epsilon: float,
    rows: Places,
    columns: Places,
) -> Quotients:
    """Return covariances of values and of derivatives along ``steps``, a direction per point."""
    count = len(next(iter(points.values())))
    both = {name: np.concatenate([values, values]) for name, values in points.items()}
    for name, step in steps.items():
        both[name] = np.concatenate([points[name] + epsilon * step, points[name] - epsilon * step])
    table = kernel.pairs(
        both,
        np.concatenate([rows, rows, rows + count, rows + count]),
        np.concatenate([columns, columns + count, columns, columns + count]),
    )
    pp, pm, mp, mm = np.split(table, 4)
    return Quotients(
        (pp + pm + mp + mm) / 4,
        (pp - pm + mp - mm) / (4 * epsilon),
        (pp + pm - mp - mm) / (4 * epsilon),
        (pp - pm - mp + mm) / (4 * epsilon**2),
    )
