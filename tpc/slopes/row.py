"""One quantity: its size at several widths, the slope of it, and whether the prediction holds.

A prediction e says that a size is ``n^-e (c + O(n^-1/2))``. Three tests, in this order:

* **agrees**: the least-squares slope of log size against log width is within 0.1 of -e; or the
  size is exactly zero at every width, as e = infinity says.
* **transient**: it is not, but only since the corrections are still large at these widths. The
  mean square times n^2e fits ``A + B n^-1/2`` or ``A + C n^-1`` (or, with five widths or more, all
  three terms) to within its errors (chi squared at 95 %), A is positive by three standard errors,
  and the size at the largest width is within sqrt(2) of the asymptote ``A^1/2 n^-e`` (Richardson's
  extrapolation, with the constant A required to be there).
* **differs**: neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: How far a measured slope may be from the predicted one.
TOLERANCE = 0.1
_HUGE = 1e150
#: Errors of mean squares are taken to be at least this share: corrections of higher order.
_SHARE = 0.03
#: Mean squares over predicted ones that differ this much are no small corrections.
_FAR = 1e4
#: 95 % quantiles of chi squared for 1, 2, ... degrees of freedom.
_CHI_SQUARED = (3.84, 5.99, 7.81, 9.49, 11.07, 12.59, 14.07, 15.51, 16.92, 18.31)
#: The constant must be this many standard errors above zero ...
_SIGNIFICANT = 3.0
#: ... and the mean square at the largest width within this factor of it.
_NEAR = 2.0


class Verdict(StrEnum):
    """What a measured slope says about the predicted exponent."""

    AGREES = "agrees"
    TRANSIENT = "transient"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Row:
    """The size of one quantity of one value against width.

    ``quantity`` is "initial" or "change". ``sizes`` are root mean squares, one tuple of seeds for
    each width. ``predicted`` is the exponent e of n^-e: a Fraction, or ``math.inf`` for zero.
    """

    name: str
    quantity: str
    predicted: Fraction | float
    widths: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...]

    @cached_property
    def means(self) -> tuple[float, ...]:
        """The root mean squares over seeds."""
        return tuple(_root_mean_square(found) for found in self.sizes)

    @property
    def finite(self) -> bool:
        """Whether every size is a number with a square, and positive (else there is no slope).

        Some networks may have size zero (a gate that is shut), if most of a width have not.
        """
        return all(
            all(0 <= x < _HUGE for x in found)
            and 2 * sum(x > 1 / _HUGE for x in found) > len(found)
            for found in self.sizes
        )

    @property
    def zero(self) -> bool:
        """Whether the size is exactly zero everywhere."""
        return all(x == 0 for found in self.sizes for x in found)

    @cached_property
    def slope(self) -> float | None:
        """d log(size) / d log(width) by least squares."""
        if not self.finite or len(self.widths) < 2:
            return None
        return self._slope(self._squares().mean(axis=0))

    @cached_property
    def error(self) -> float | None:
        """The standard error of the slope: the jackknife, leaving out each seed in turn."""
        if self.slope is None or len(self.sizes[0]) < 2:
            return None
        squares = self._squares()
        seeds = len(squares)
        if seeds == 2 and not squares.all():
            return None
        without = [self._slope((squares.sum(axis=0) - one) / (seeds - 1)) for one in squares]
        centre = sum(without) / seeds
        return math.sqrt((seeds - 1) / seeds * sum((each - centre) ** 2 for each in without))

    @cached_property
    def local(self) -> tuple[float, ...]:
        """The slopes between successive widths."""
        if not self.finite:
            return ()
        logs = [(math.log(w), math.log(m)) for w, m in zip(self.widths, self.means, strict=True)]
        return tuple((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(logs))

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the prediction holds."""
        if self.predicted == math.inf or self.slope is None:
            holds = self.zero and self.predicted == math.inf
            return Verdict.AGREES if holds else Verdict.DIFFERS
        if abs(self.slope + float(self.predicted)) <= TOLERANCE:
            return Verdict.AGREES
        return Verdict.TRANSIENT if self._converges() else Verdict.DIFFERS

    # -- fits ------------------------------------------------------------------------------------

    def _squares(self) -> np.ndarray:
        """Return the mean squares, (seeds, widths)."""
        import numpy as np

        return np.array(self.sizes).T ** 2

    def _slope(self, squares: np.ndarray) -> float:
        import numpy as np

        return float(np.polyfit(np.log(self.widths), np.log(squares) / 2, 1)[0])

    def _converges(self) -> bool:
        """Whether corrections that fall like n^-1/2 explain the slope."""
        if len(self.widths) < 3:
            return False
        powers: list[tuple[float, ...]] = [(0.0, -0.5), (0.0, -1.0)]
        if len(self.widths) >= 5:
            powers.append((0.0, -0.5, -1.0))
        return any(self._fits(each) for each in powers)

    def _fits(self, powers: tuple[float, ...]) -> bool:
        """Whether ``n^2e size^2`` is a sum of these powers of n, the constant one significant."""
        import numpy as np

        widths, squares = np.array(self.widths, dtype=float), self._squares()
        widths /= widths[0]
        y = squares.mean(axis=0) * widths ** (2 * float(self.predicted))
        y /= y[0]
        if y.max() > _FAR * y.min():
            return False
        noise = y * np.maximum(_relative_error(squares), _SHARE)
        basis = np.stack([widths**power for power in powers], axis=1)
        scaled = basis / noise[:, None]
        found, *_ = np.linalg.lstsq(scaled, y / noise, rcond=None)
        deviation = np.sqrt(np.linalg.inv(scaled.T @ scaled)[0, 0])
        misfit = (((basis @ found - y) / noise) ** 2).sum()
        freedom = min(len(y) - len(powers), len(_CHI_SQUARED))
        near = found[0] < _NEAR * y[-1] and y[-1] < _NEAR * found[0]
        significant = found[0] > _SIGNIFICANT * deviation
        return bool(misfit < _CHI_SQUARED[freedom - 1] and significant and near)

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object; exponents are strings."""
        return {
            "name": self.name,
            "quantity": self.quantity,
            "predicted": "inf" if self.predicted == math.inf else str(self.predicted),
            "slope": self.slope,
            "error": self.error,
            "local": list(self.local),
            "sizes": [x if math.isfinite(x) else None for x in self.means],
            "verdict": self.verdict.value,
        }


def _relative_error(squares: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over seeds, relative to it, for each width."""
    import numpy as np

    seeds = len(squares)
    if seeds < 2:
        return np.zeros(squares.shape[1])
    return np.asarray(squares.std(axis=0, ddof=1) / seeds**0.5 / squares.mean(axis=0))


def _root_mean_square(found: Sequence[float]) -> float:
    return math.sqrt(sum(x * x for x in found) / len(found))
