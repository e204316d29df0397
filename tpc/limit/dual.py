"""Dual activations: ``E[phi(u) phi(v)]`` for centred, jointly Gaussian u and v."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Constant
from tpc.ops.activations import Activation, ActivationError, DualForm, activation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


class DualAccuracyError(ArithmeticError):
    """An expectation missed the tolerance asked for; ``error`` is what was met."""

    def __init__(
        self,
        activation: Activation,
        tolerance: float,
        error: float,
        other: Activation | None = None,
    ) -> None:
        what = f"E[{activation.label}(u) {(other or activation).label}(v)]"
        super().__init__(
            f"{what} was computed to a relative error of {error:.1e} only, not {tolerance:.1e}"
            if error < float("inf")
            else f"{what} has terms beyond the range of double precision"
        )
        self.error = error


@dataclass(frozen=True)
class Dual:
    """The dual of an activation: a function of two variances and a covariance.

    ``method`` says how it is computed: "closed form" (to rounding), or "series": Hermite series
    with coefficients per variance, direct quadrature where |rho| is so near to one that the series
    is too slow, both with a measured error.
    """

    activation: Activation

    @property
    def form(self) -> DualForm | None:
        """The closed form, if there is one."""
        return self.activation.dual_form()

    @property
    def method(self) -> str:
        """How the expectation is computed."""
        return "series" if self.form is None else "closed form"

    def derivative(self) -> Dual:
        """Return the dual of the derivative: ``E[phi'(u) phi'(v)]`` (jumps of phi dropped)."""
        return Dual(self.activation.derivative())

    def expectation(
        self, q11: ArrayLike, q12: ArrayLike, q22: ArrayLike, tolerance: float = 1e-10
    ) -> Array:
        """Return ``E[phi(u) phi(v)]`` with ``Var u = q11, Cov = q12, Var v = q22``.

        Arrays broadcast. ``tolerance`` bounds the error relative to
        ``sqrt(E phi(u)^2 E phi(v)^2)``; closed forms are exact to rounding whatever it is.

        Raises:
            ValueError: a variance is negative or not finite, or the covariance matrix is not
                positive semidefinite (beyond rounding).
            DualAccuracyError: the tolerance could not be met.
        """
        import numpy as np

        a, k, b = np.broadcast_arrays(*(np.asarray(q, dtype=np.float64) for q in (q11, q12, q22)))
        _check(a, k, b)
        limit = np.sqrt(a) * np.sqrt(b)
        k = np.clip(k, -limit, limit)
        form = self.form
        if form is None:
            return self._series(a, k, b, tolerance)
        value = np.asarray(_closed(form, a, k, b))
        if form.partial and np.isnan(value).any():
            bad = np.isnan(value)
            value = value.copy()
            value[bad] = self._series(a[bad], k[bad], b[bad], tolerance)
        return value

    def _series(self, a: Array, k: Array, b: Array, tolerance: float) -> Array:
        from tpc.limit.series import series_expectation

        value, error = series_expectation(self.activation, a, k, b, tolerance)
        if not error <= tolerance:
            raise DualAccuracyError(self.activation, tolerance, error)
        return value

    def __repr__(self) -> str:
        return f"<dual of {self.activation.label}: {self.method}>"


def dual(phi: str | Activation) -> Dual:
    """Return the dual of an activation, given as such, by name or as ``"leaky_relu(0.2)"``.

    Raises:
        ActivationError: an unknown name, wrong parameters, or an activation without finite second
            moments.
    """
    found = phi if isinstance(phi, Activation) else parse_activation(phi)
    obstacle = found.obstacle()
    if obstacle is not None:
        raise ActivationError(f"`{found.label}` has no dual: {obstacle}")
    return Dual(found)


def parse_activation(text: str) -> Activation:
    """Return the activation that ``"gelu"`` or ``"leaky_relu(0.2)"`` names.

    Raises:
        ActivationError: it is no name, or a parameter is no rational number.
    """
    match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*", text)
    if match is None:
        raise ActivationError(f"not an activation: `{text}`")
    inside = (match[2] or "").strip()
    try:
        parameters = [Constant.of(Fraction(part.strip())) for part in inside.split(",") if inside]
    except (ValueError, ZeroDivisionError) as error:
        raise ActivationError(f"not a number in `{text}`: {error}") from error
    return activation(match[1], *parameters)


def _check(a: Array, k: Array, b: Array) -> None:
    import numpy as np

    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(k)) and np.all(np.isfinite(b))):
        raise ValueError("variances and covariances must be finite")
    if np.any(a < 0) or np.any(b < 0):
        raise ValueError("a variance is negative")
    if np.any(np.abs(k) > np.sqrt(a) * np.sqrt(b) * (1 + 1e-6) + 1e-300):
        raise ValueError("the covariance is larger than the variances allow: |q12| > sqrt(q11 q22)")


def _closed(form: DualForm, a: Array, k: Array, b: Array) -> Any:
    from tpc.runtime import duals

    side, pair = getattr(duals, form.side), getattr(duals, form.pair)
    left, right = side(a, *form.side_parameters), side(b, *form.side_parameters)
    return pair(k, *left, *right, *form.parameters)
